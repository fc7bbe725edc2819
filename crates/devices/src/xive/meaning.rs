//! What an access to XIVE's pages does, in the words of the books, for whoever observes. Nothing is changed here.

use super::{PRIORITIES, Place, Xive, thread};

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The operation: `esb-eoi`, `esb-trigger`, `tima-acknowledge`, ...
    pub name: &'static str,
    /// The source that it is about.
    pub source: Option<u32>,
    /// The queue that it is about: server and priority.
    pub queue: Option<(u32, u8)>,
    /// What it sets PQ to.
    pub pq: Option<u8>,
}

/// The operation on PQ bits at `offset` of a management page.
fn on_pq(offset: u64, store: bool) -> (usize, Option<u8>) {
    match (offset & 0xf00, store) {
        (0x000..=0x300, true) => (0, None),
        (0x000..=0x700, false) => (1, None),
        (0x800..=0xb00, false) => (2, None),
        (0xc00.., _) => (3, Some((offset >> 8 & 3) as u8)),
        _ => (4, None),
    }
}

impl Xive {
    /// What an access of `bytes` bytes at the real address `address` does; None if nothing answers there.
    pub fn meaning(&self, address: u64, bytes: u8, store: bool) -> Option<Operation> {
        let mut operation = Operation { name: "", source: None, queue: None, pq: None };
        match self.place(address)? {
            Place::Source { number, management, offset } => {
                operation.source = Some(number);
                let (n, pq) =
                    if management { on_pq(offset, store) } else { (if store { 0 } else { 4 }, None) };
                operation.pq = pq;
                operation.name = ["esb-trigger", "esb-eoi", "esb-get-pq", "esb-set-pq", "esb-nothing"][n];
            }
            Place::Queue { index, escalation, offset } => {
                let priorities = PRIORITIES as u32;
                operation.queue = Some((index / priorities, (index % priorities) as u8));
                let (n, pq) = if escalation { (4, None) } else { on_pq(offset, store) };
                operation.pq = pq;
                operation.name = ["end-trigger", "end-eoi", "end-get-pq", "end-set-pq", "end-nothing"][n];
            }
            Place::Thread { offset } => operation.name = thread::operation(offset, bytes, store),
            Place::User => operation.name = "tima-nothing",
        }
        Some(operation)
    }
}
