//! Device models. Each is plain state with methods; none knows the CPU, a clock or a host.
//!
//! A device tells what it wants through what its methods return or through lines that its owner reads. Wiring is a
//! number, never a pointer.
#![no_std]
extern crate alloc;

pub mod bmc;
mod controller;
pub mod flash;
pub mod i2c;
pub mod lpc;
pub mod nvram;
pub mod occ;
pub mod phb;
pub mod psi;
pub mod rtc;
pub mod sbe;
pub mod uart;
pub mod vty;
pub mod xics;
pub mod xive;
pub mod xive_native;

pub use bmc::Bmc;
pub use controller::{Controller, Routed};
pub use flash::Flash;
pub use i2c::I2c;
pub use lpc::Lpc;
pub use nvram::Nvram;
pub use occ::Occ;
pub use phb::Phb;
pub use psi::Psi;
pub use rtc::Rtc;
pub use sbe::Sbe;
pub use uart::Uart;
pub use vty::Vty;
pub use xics::Xics;
pub use xive::Xive;
pub use xive_native::XiveNative;
