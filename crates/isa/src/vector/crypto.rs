//! AES and SHA-2 assistance (Power ISA Book I 6.13; FIPS 197 and FIPS 180-4).
//!
//! The AES state is the 16 bytes of a vector, column by column, element 0 first. Tables are computed, not copied.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, make, vx};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};

type Outcome = Result<(), Trap>;
type State = [u8; 16];

/// x times 2 in GF(2^8).
const fn double(x: u8) -> u8 {
    x << 1 ^ if x & 0x80 != 0 { 0x1b } else { 0 }
}

/// The product in GF(2^8).
const fn product(mut x: u8, mut y: u8) -> u8 {
    let mut sum = 0;
    while y != 0 {
        if y & 1 != 0 {
            sum ^= x;
        }
        x = double(x);
        y >>= 1;
    }
    sum
}

/// SubBytes: the inverse in GF(2^8), then an affine map.
static SUBSTITUTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        // The inverse is the 254th power.
        let (mut inverse, mut n) = (1, 0);
        while n < 254 {
            inverse = product(inverse, x as u8);
            n += 1;
        }
        let r = inverse;
        table[x] = r ^ r.rotate_left(1) ^ r.rotate_left(2) ^ r.rotate_left(3) ^ r.rotate_left(4) ^ 0x63;
        x += 1;
    }
    table
};

static SUBSTITUTE_BACK: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        table[SUBSTITUTE[x] as usize] = x as u8;
        x += 1;
    }
    table
};

/// ShiftRows: row r moves r columns to the left; `back`: to the right.
fn shift_rows(state: State, back: bool) -> State {
    core::array::from_fn(|n| {
        let (row, column) = (n % 4, n / 4);
        let from = if back { column + 4 - row } else { column + row };
        state[from % 4 * 4 + row]
    })
}

/// Products of every byte with each coefficient of a polynomial.
type Products = [[u8; 256]; 4];

const fn products(polynomial: [u8; 4]) -> Products {
    let mut table = [[0; 256]; 4];
    let mut n = 0;
    while n < 4 * 256 {
        table[n / 256][n % 256] = product((n % 256) as u8, polynomial[n / 256]);
        n += 1;
    }
    table
}

/// MixColumns with a polynomial whose products with every byte are given, lowest coefficient first.
fn mix_columns(state: State, products: &Products) -> State {
    core::array::from_fn(|n| {
        let (row, column) = (n % 4, n / 4);
        (0..4).fold(0, |sum, k| sum ^ products[(row + 4 - k) % 4][state[column * 4 + k] as usize])
    })
}

static MIX: Products = products([2, 1, 1, 3]);
static MIX_BACK: Products = products([14, 9, 13, 11]);

fn exclusive_or(a: State, b: State) -> State {
    core::array::from_fn(|n| a[n] ^ b[n])
}

fn encrypt(r: &mut Regs, i: &Ops, last: bool) -> Outcome {
    let (state, key) = (r.vsr128(i.a).to_be_bytes(), r.vsr128(i.b).to_be_bytes());
    let shifted = shift_rows(state.map(|x| SUBSTITUTE[x as usize]), false);
    let mixed = if last { shifted } else { mix_columns(shifted, &MIX) };
    r.set_vsr128(i.t, u128::from_be_bytes(exclusive_or(mixed, key)));
    Ok(())
}

fn decrypt(r: &mut Regs, i: &Ops, last: bool) -> Outcome {
    let (state, key) = (r.vsr128(i.a).to_be_bytes(), r.vsr128(i.b).to_be_bytes());
    let substituted = shift_rows(state, true).map(|x| SUBSTITUTE_BACK[x as usize]);
    let keyed = exclusive_or(substituted, key);
    let mixed = if last { keyed } else { mix_columns(keyed, &MIX_BACK) };
    r.set_vsr128(i.t, u128::from_be_bytes(mixed));
    Ok(())
}

fn substitute(r: &mut Regs, i: &Ops) -> Outcome {
    let state = r.vsr128(i.a).to_be_bytes().map(|x| SUBSTITUTE[x as usize]);
    r.set_vsr128(i.t, u128::from_be_bytes(state));
    Ok(())
}

/// ST and SIX, which stand in the place of VRB.
fn sigma_control(i: &Ops) -> (bool, u32) {
    (i.b & 16 != 0, i.b as u32 & 15)
}

fn sha_sigma_words(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, (upper, six)) = (r.vsr128(i.a), sigma_control(i));
    let sigma = |n: u32| {
        let x = lane(a, 32, n) as u32;
        let turned = |p, q| x.rotate_right(p) ^ x.rotate_right(q);
        let value = match (upper, six >> (3 - n) & 1) {
            (false, 0) => turned(7, 18) ^ x >> 3,
            (false, _) => turned(17, 19) ^ x >> 10,
            (true, 0) => turned(2, 13) ^ x.rotate_right(22),
            (true, _) => turned(6, 11) ^ x.rotate_right(25),
        };
        value as u64
    };
    r.set_vsr128(i.t, make(32, sigma));
    Ok(())
}

fn sha_sigma_doublewords(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, (upper, six)) = (r.vsr128(i.a), sigma_control(i));
    let sigma = |n: u32| {
        let x = lane(a, 64, n);
        let turned = |p, q| x.rotate_right(p) ^ x.rotate_right(q);
        match (upper, six >> (3 - 2 * n) & 1) {
            (false, 0) => turned(1, 8) ^ x >> 7,
            (false, _) => turned(19, 61) ^ x >> 6,
            (true, 0) => turned(28, 34) ^ x.rotate_right(39),
            (true, _) => turned(14, 18) ^ x.rotate_right(41),
        }
    };
    r.set_vsr128(i.t, make(64, sigma));
    Ok(())
}

macro_rules! vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 6.13.1";
    vcipher = vx(1288), "vcipher VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| encrypt(r, i, false)); }
    vcipherlast = vx(1289), "vcipherlast VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| encrypt(r, i, true)); }
    vncipher = vx(1352), "vncipher VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| decrypt(r, i, false)); }
    vncipherlast = vx(1353), "vncipherlast VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| decrypt(r, i, true)); }
    vsbox = vx(1480), "vsbox VRT,VRA", |s, i| { vector!(s, i, substitute); }
    "I 6.13.2";
    vshasigmaw = vx(1666), "vshasigmaw VRT,VRA,ST,SIX", |s, i| { vector!(s, i, sha_sigma_words); }
    vshasigmad = vx(1730), "vshasigmad VRT,VRA,ST,SIX", |s, i| { vector!(s, i, sha_sigma_doublewords); }
}
