//! Which version of the Power ISA brought an instruction (the books' "Power ISA instruction set sorted by version").

/// Mnemonics, encodings and versions, a line each; the first lines say what and from where.
pub const PUBLISHED: &str = include_str!("published.txt");
