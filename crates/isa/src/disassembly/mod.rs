//! Instructions as text, as the assembler takes them and as the GNU binutils print them.
//!
//! The text follows from the definition's syntax ([`crate::Instruction::SYNTAX`]): the mnemonic with its optional
//! letters, and operands by name ([`operands`]). What has a shorter extended mnemonic (Power ISA Book I appendix C:
//! `li`, `mr`, `blr`, `beq`, ...) is shown by that ([`extended`]).

mod extended;
mod operands;
mod spr;

use crate::decode::Entry;
use crate::{Decoder, Encoding};
use alloc::{format, string::String, vec::Vec};

/// An instruction word with what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    /// The word; of a prefixed instruction, the prefix in the upper 32 bits.
    pub bits: u64,
    /// Effective address of the instruction.
    pub address: u64,
}

impl Word {
    /// `width` bits from `shift` up.
    pub(crate) fn field(self, shift: u32, width: u32) -> u64 {
        self.bits >> shift & ((1 << width) - 1)
    }
    /// RT, RS, BO, TO.
    pub(crate) fn t(self) -> u64 {
        self.field(21, 5)
    }
    /// RA, BI.
    pub(crate) fn a(self) -> u64 {
        self.field(16, 5)
    }
    /// RB.
    pub(crate) fn b(self) -> u64 {
        self.field(11, 5)
    }
}

/// The instruction whose word (with its prefix in the upper 32 bits) is `bits`, at `address`: `addi    r3,r1,16`.
/// What no definition has is `.long 0x...`.
pub fn disassemble(decoder: &Decoder, bits: u64, address: u64) -> String {
    let entry = &decoder.entries()[decoder.decode(bits).op as usize];
    let word = Word { bits, address };
    if entry.name == "illegal" {
        return if bits >> 32 != 0 {
            format!(".quad   {bits:#018x}")
        } else {
            format!(".long   {:#x}", bits as u32)
        };
    }
    let (mnemonic, operands) = extended::extended(entry, word).unwrap_or_else(|| plain(entry, word));
    let comment = match relative(entry, word) {
        Some(target) => format!("\t# {target:x}"),
        None => String::new(),
    };
    if operands.is_empty() { mnemonic } else { format!("{mnemonic:<7} {operands}{comment}") }
}

/// What a prefixed instruction with R = 1 addresses (MLS and 8LS forms: prefix types 2 and 0).
fn relative(entry: &Entry, word: Word) -> Option<u64> {
    let set = entry.encoding.prefixed() && word.field(56, 1) == 0 && word.field(52, 1) == 1;
    set.then(|| word.address.wrapping_add(crate::encoding::d34(word.bits)))
}

/// Whether `word` is a prefix: the instruction has a second word.
pub fn is_prefix(word: u32) -> bool {
    word >> 26 == 1
}

/// Mnemonic and operands as the definition's syntax says.
pub(crate) fn plain(entry: &Entry, word: Word) -> (String, String) {
    let (mnemonic, syntax) = entry.syntax.split_once(' ').unwrap_or((entry.syntax, ""));
    (letters(mnemonic, word, &entry.encoding), list(entry, syntax, word))
}

/// The mnemonic with those of its `[x]` letters that the word has.
pub(crate) fn letters(mnemonic: &str, word: Word, encoding: &Encoding) -> String {
    let mut text = String::new();
    // VC and XX3 forms have Rc in bit 21, quad-precision forms RO in bit 31.
    let (po, prefixed) = (word.field(26, 6), encoding.prefixed());
    let rc = if !prefixed && (po == 4 || po == 60) { 10 } else { 0 };
    let oe = if po == 63 { 0 } else { 10 };
    for part in mnemonic.split(['[', ']']) {
        let chosen = match part {
            "." => word.field(rc, 1) != 0,
            "l" | "x" => word.bits & 1 != 0,
            "o" => word.field(oe, 1) != 0,
            "a" if encoding.flow == crate::Flow::Branch => word.bits >> 1 & 1 != 0,
            _ => true,
        };
        if chosen {
            text.push_str(part);
        }
    }
    text
}

/// Operands by their names in `syntax`: `RT,D(RA)`.
pub(crate) fn list(entry: &Entry, syntax: &str, word: Word) -> String {
    let mut operands: Vec<String> = Vec::new();
    for name in syntax.split(',').filter(|name| !name.is_empty()) {
        let shown = match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
            Some((displacement, base)) => {
                let (d, base) =
                    (operands::show(entry, displacement, word), operands::show(entry, base, word));
                match relative(entry, word) {
                    Some(_) => d,
                    None => d.zip(base).map(|(d, base)| format!("{d}({base})")),
                }
            }
            None => operands::show(entry, name, word),
        };
        operands.extend(shown);
    }
    operands.join(",")
}
