//! Kinds of instructions that the performance monitor counts apart.

use alloc::vec::Vec;
use timebase_isa::decode::Entry;
use timebase_isa::effects::Reader;
use timebase_isa::{Decoder, Flow, SystemOp};

/// A branch, taken or not.
pub(crate) const BRANCH: u8 = 1;
/// It loads from storage.
pub(crate) const LOAD: u8 = 2;
/// It stores into it, if its condition holds.
pub(crate) const STORE: u8 = 4;
/// Binary floating-point arithmetic, of one number or several.
pub(crate) const FLOAT: u8 = 8;
/// A branch that is taken, which only its execution tells.
pub(crate) const TAKEN: u8 = 16;

/// The kinds of each definition, by number.
pub(crate) struct Kinds(Vec<u8>);

impl Kinds {
    pub fn gather(decoder: &Decoder) -> Kinds {
        let reader = Reader::new(decoder.level());
        Kinds(decoder.entries().iter().map(|entry| kinds(decoder, &reader, entry)).collect())
    }

    /// The kinds of the definition of this number.
    #[inline]
    pub fn of(&self, number: u16) -> u8 {
        self.0.get(number as usize).copied().unwrap_or(0)
    }
}

fn kinds(decoder: &Decoder, reader: &Reader, entry: &Entry) -> u8 {
    // What is accessed does not depend on the operands, but for how much.
    let effects = reader.accesses(&decoder.decode(entry.encoding.bits));
    let (loads, stores) = effects.system.map_or((false, false), accesses);
    let kind = |is, kind| if is { kind } else { 0 };
    kind(entry.encoding.flow == Flow::Branch, BRANCH)
        | kind(loads || effects.loads != 0, LOAD)
        | kind(stores || effects.stores != 0, STORE)
        | kind(is_arithmetic(entry), FLOAT)
}

/// Whether an operation of the whole CPU is a load, and a store.
fn accesses(op: SystemOp) -> (bool, bool) {
    use SystemOp::*;
    match op {
        LoadReserve | LoadAtomic | Lq | Plq | LoadString | LoadInhibited | HashCheck | Copy => (true, false),
        StoreConditional | StoreAtomic | Stq | Pstq | StoreString | StoreInhibited | HashStore | Dcbz
        | Paste => (false, true),
        _ => (false, false),
    }
}

/// Elementary arithmetic, multiply-add and estimates, by the sections that have them; not the tests for software's division,
/// which stand beside them, nor the outer products of integers.
fn is_arithmetic(entry: &Entry) -> bool {
    const SECTIONS: [&str; 6] = ["I 4.6.6.1", "I 4.6.6.2", "I 6.10.1", "I 6.10.5", "I 7.6.1.3", "I 7.6.2.7"];
    let (section, name) = (&entry.section, entry.name);
    let tests = name.contains("tdiv") || name.contains("tsqrt");
    let outer_product = *section == "I 7.6.2.13" && !name.contains("xvi");
    SECTIONS.contains(section) && !tests || outer_product
}
