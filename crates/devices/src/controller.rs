//! The interrupt controller of a PAPR platform: one of two. A platform begins with XICS; client architecture support
//! may choose XIVE. Both know the same source numbers.

use crate::{Xics, Xive};
use alloc::vec::Vec;
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

/// An interrupt that was offered to a server, for whoever observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Its source.
    pub source: u32,
    /// The server (vCPU) it goes to.
    pub server: u32,
    /// Its priority, 0 the most favoured.
    pub priority: u8,
    /// The number that XIVE writes into the queue.
    pub event: Option<u32>,
}

impl Controller {
    /// From now on what is offered to servers is kept until [`Controller::take_routed`]; or not any more. No state.
    pub fn observe(&mut self, on: bool) {
        let routed = match self {
            Controller::Xics(xics) => &mut xics.routed,
            Controller::Xive(xive) => &mut xive.routed,
        };
        match (on, routed.is_some()) {
            (true, false) => *routed = Some(Vec::new()),
            (false, true) => *routed = None,
            _ => {}
        }
    }

    /// What was offered since the last call, in order.
    pub fn take_routed(&mut self) -> Vec<Routed> {
        let routed = match self {
            Controller::Xics(xics) => &mut xics.routed,
            Controller::Xive(xive) => &mut xive.routed,
        };
        routed.as_mut().map(core::mem::take).unwrap_or_default()
    }

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

    /// The controller, if it is XIVE, to look at.
    pub fn as_xive(&self) -> Option<&Xive> {
        match self {
            Controller::Xics(_) => None,
            Controller::Xive(xive) => Some(xive),
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
