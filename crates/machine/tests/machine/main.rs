//! Tests of machines, one binary.

mod determinism;
mod harness;
mod hcalls;
mod images;
mod linux;
mod observed;
mod powernv;
