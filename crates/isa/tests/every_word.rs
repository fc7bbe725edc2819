//! Every word decodes, to operands that every reader may use, and has a text.

use timebase_isa::{Decoder, disassemble};

/// Decodes a word and looks at what readers rely on.
fn check(decoder: &Decoder, word: u64) {
    let ops = decoder.decode(word);
    let entry = &decoder.entries()[ops.op as usize];
    // LEV has seven bits; it names no register.
    let t = if matches!(entry.name, "sc" | "scv") { 0 } else { ops.t };
    assert!(t < 64 && ops.a < 64 && ops.b < 64 && ops.c < 64, "{word:x}: {} {ops:?}", entry.name);
    let matches = word & entry.encoding.mask == entry.encoding.bits;
    assert!(matches || entry.name == "illegal", "{word:x}: {}", entry.name);
}

#[test]
fn a_sample_of_all_words_decodes_and_has_a_text() {
    for level in [300, 310] {
        let decoder = Decoder::new(level);
        let mut word = 0u32;
        for n in 0..2_000_000u64 {
            // An odd step visits every word once in 2^32 steps.
            word = word.wrapping_add(0x9e37_79b1);
            check(&decoder, word.into());
            let prefixed = (1 << 26 | n << 3 & 0x03ff_ffff) << 32 | word as u64;
            check(&decoder, prefixed);
            if n % 16 == 0 {
                assert!(!disassemble(&decoder, word.into(), 0).is_empty());
                assert!(!disassemble(&decoder, prefixed, 0).is_empty());
            }
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn all_words_decode() {
    for level in [300, 310] {
        let decoder = Decoder::new(level);
        (0..=u32::MAX).for_each(|word| check(&decoder, word.into()));
    }
}
