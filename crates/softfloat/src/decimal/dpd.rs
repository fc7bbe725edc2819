//! Densely packed decimal (Book I 5.11.2 and appendix B): three digits in ten bits, a declet.

/// A digit below 8 from its upper two bits and its last one.
const fn small(two: u16, last: u16) -> u16 {
    two << 1 | last
}

/// The three digits of a declet, as BCD in 12 bits. All 1024 declets have some.
const fn unpack(declet: u16) -> u16 {
    // Named p q r s t u v w x y from the left.
    let (pq, r, st, u, y) = (declet >> 8 & 3, declet >> 7 & 1, declet >> 5 & 3, declet >> 4 & 1, declet & 1);
    let (v, wx) = (declet >> 3 & 1, declet >> 1 & 3);
    let (a, b, c) = match (v, wx, st) {
        (0, ..) => (small(pq, r), small(st, u), small(wx, y)),
        (_, 0, _) => (small(pq, r), small(st, u), 8 | y),
        (_, 1, _) => (small(pq, r), 8 | u, small(st, y)),
        (_, 2, _) => (8 | r, small(st, u), small(pq, y)),
        (_, _, 0) => (8 | r, 8 | u, small(pq, y)),
        (_, _, 1) => (8 | r, small(pq, u), 8 | y),
        (_, _, 2) => (small(pq, r), 8 | u, 8 | y),
        _ => (8 | r, 8 | u, 8 | y),
    };
    a << 8 | b << 4 | c
}

/// By declet: its number, 0 to 999.
static NUMBERS: [u16; 1024] = {
    let mut numbers = [0; 1024];
    let mut declet = 0;
    while declet < 1024 {
        let bcd = unpack(declet as u16);
        numbers[declet] = (bcd >> 8) * 100 + (bcd >> 4 & 15) * 10 + (bcd & 15);
        declet += 1;
    }
    numbers
};

/// By number: its preferred declet, the least of those that have these digits.
static DECLETS: [u16; 1000] = {
    let mut declets = [0; 1000];
    let mut declet = 1024;
    while declet > 0 {
        declet -= 1;
        declets[NUMBERS[declet] as usize] = declet as u16;
    }
    declets
};

/// The digits of a declet (its low 10 bits) as BCD in 12 bits.
pub fn declet_to_bcd(declet: u16) -> u16 {
    unpack(declet & 0x3ff)
}

/// The declet of three BCD digits; a digit above 9 counts as it can.
pub fn bcd_to_declet(bcd: u16) -> u16 {
    let number = (bcd >> 8 & 15) * 100 + (bcd >> 4 & 15) * 10 + (bcd & 15);
    DECLETS[number as usize % 1000]
}

/// The number in `count` declets.
pub(super) fn decode(mut declets: u128, count: u32) -> u128 {
    let (mut number, mut place) = (0, 1u128);
    for _ in 0..count {
        number += NUMBERS[declets as usize & 0x3ff] as u128 * place;
        place = place.wrapping_mul(1000);
        declets >>= 10;
    }
    number
}

/// The low `count` groups of three digits as declets.
pub(super) fn encode(mut number: u128, count: u32) -> u128 {
    let mut declets = 0;
    for n in 0..count {
        declets |= (DECLETS[(number % 1000) as usize] as u128) << (10 * n);
        number /= 1000;
    }
    declets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_and_digits_are_digits() {
        for number in 0..1000 {
            assert_eq!(NUMBERS[DECLETS[number as usize] as usize], number);
        }
        for declet in 0..1024 {
            let bcd = unpack(declet);
            assert!((0..3).all(|n| bcd >> (4 * n) & 15 < 10), "{declet:x}");
        }
        // 999 and 888 as appendix B has them; 0 to 79 are as in BCD.
        assert_eq!((DECLETS[999], DECLETS[888], DECLETS[79]), (0x0ff, 0x06e, 0x79));
    }
}
