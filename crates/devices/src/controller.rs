//! The interrupt controller of a PAPR platform: one of two. A platform begins with XICS; client architecture support
//! may choose XIVE. Both know the same source numbers.

use crate::{Xics, Xive};
use timebase_memory::Memory;
use timebase_state::State;

/// The interrupt controller.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub enum Controller {
    /// XICS: presentation by hypervisor calls, sources by RTAS.
    Xics(Xics),
    /// XIVE, used natively.
    Xive(Xive),
}

impl Controller {
    /// The external interrupt line of `server`.
    pub fn line(&self, server: u32) -> bool {
        match self {
            Controller::Xics(xics) => xics.line(server),
            Controller::Xive(xive) => xive.line(server),
        }
    }

    /// Drives the line of a level source; triggers a message source when `value`.
    pub fn set(&mut self, number: u32, value: bool, memory: &mut Memory) {
        match self {
            Controller::Xics(xics) => xics.set(number, value),
            Controller::Xive(xive) => xive.set(number, value, memory),
        }
    }

    /// XICS, if that was chosen.
    pub fn xics(&mut self) -> Option<&mut Xics> {
        match self {
            Controller::Xics(xics) => Some(xics),
            Controller::Xive(_) => None,
        }
    }

    /// XIVE, if that was chosen.
    pub fn xive(&mut self) -> Option<&mut Xive> {
        match self {
            Controller::Xics(_) => None,
            Controller::Xive(xive) => Some(xive),
        }
    }
}
