//! The binary `timebase`.
fn main() {}
