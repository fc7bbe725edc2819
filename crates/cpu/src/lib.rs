//! The Power CPU: architected state, translation, interrupts, timers, and the interpreter that runs it.
//!
//! [`Vcpu`] is state and nothing else; everything derived from it (translations, decoded code) belongs to an
//! [`Engine`], which may forget it at any instant without the guest being able to tell.
#![no_std]
extern crate alloc;

pub mod bits;
mod breakpoint;
mod clock;
mod compatibility;
pub mod compiled;
mod engine;
mod hash;
mod history;
pub mod interpreter;
mod interrupt;
mod kinds;
pub mod mmu;
pub mod observe;
mod pmu;
mod register;
mod spr;
mod system;
mod timers;
mod vcpu;

pub use clock::Clock;
pub use engine::{Bus, BusError, Engine, Exit, Halts, NoDevices, Outcome, World};
pub use interpreter::Interpreter;
pub use interrupt::{Pending, Vector};
pub use mmu::Partition;
pub use pmu::CYCLES_PER_TICK;
pub use register::Register;
pub use spr::Sprs;
pub use vcpu::{Model, Vcpu};
