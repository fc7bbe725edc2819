//! What a bare CPU does beside executing instructions, on a bench that runs it as a machine does.

mod bench;
mod breakpoints;
mod compatibility;
mod differential;
mod hash;
mod history;
mod interrupts;
mod maintenance;
mod performance;
mod registers;
mod translation;
