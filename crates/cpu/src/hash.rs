//! The digest of `hashst` and `hashchk` (Power ISA 3.1B Book I 3.3.17, appendix "Hash digest"): Simon 32/64, a
//! published block cipher, over four 32-bit lanes made of two doublewords, each lane with its own order of the
//! round keys.

/// Words of the key and rounds of Simon 32/64.
const KEYS: usize = 4;
const ROUNDS: usize = 32;
/// The constant sequence of the key schedule, first round most significant.
const Z0: u64 = 0xfa25_61cd_f44a_c398;

/// The round keys of a 64-bit key.
fn schedule(key: u64) -> [u16; ROUNDS] {
    let mut keys = [0; ROUNDS];
    for (n, word) in keys.iter_mut().take(KEYS).enumerate() {
        *word = (key >> (48 - 16 * n)) as u16;
    }
    for n in KEYS..ROUNDS {
        let mixed = keys[n - 1].rotate_right(3) ^ keys[n - 3];
        let constant = 0xfffc ^ (Z0 >> (63 - (n - KEYS)) & 1) as u16;
        keys[n] = constant ^ keys[n - 4] ^ mixed ^ mixed.rotate_right(1);
    }
    keys
}

/// Enciphers one lane; within each four rounds the keys begin with number `lane`.
fn encipher(block: u32, keys: &[u16; ROUNDS], lane: usize) -> u32 {
    let (mut left, mut right) = (block as u16, (block >> 16) as u16);
    for round in 0..ROUNDS {
        let key = keys[round / 4 * 4 + (round + lane) % 4];
        let f = left.rotate_left(1) & left.rotate_left(8) ^ left.rotate_left(2);
        (left, right) = (right ^ f ^ key, left);
    }
    (right as u32) << 16 | left as u32
}

/// The digest of (RA) and (RB) under a key.
pub(crate) fn digest(ra: u64, rb: u64, key: u64) -> u64 {
    // Bytes of the low words of RB and high words of RA alternate in the first half, the others in the second.
    let byte = |value: u64, n: u32| value >> (8 * n) & 255;
    let (mut first, mut second) = (0, 0);
    for n in 0..4 {
        let (even, odd) = (16 * n, 56 - 16 * n);
        first |= byte(rb, n) << odd | byte(ra, n + 4) << even;
        second |= byte(rb, n + 4) << odd | byte(ra, n) << even;
    }
    let keys = schedule(key);
    let half = |value: u64, lane: usize| {
        (encipher((value >> 32) as u32, &keys, lane) as u64) << 32
            | encipher(value as u32, &keys, lane + 1) as u64
    };
    half(first, 0) ^ half(second, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_is_the_published_one() {
        // Simon 32/64: key 1918 1110 0908 0100, plaintext 6565 6877, ciphertext c69b e9bb (left word first).
        // Lanes have the left word in the low half.
        let keys = schedule(0x0100_0908_1110_1918);
        assert_eq!(encipher(0x6877_6565, &keys, 0), 0xe9bb_c69b);
    }
}
