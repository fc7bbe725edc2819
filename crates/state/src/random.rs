//! Random numbers that are state: a 64-bit splitmix generator (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
//! Generators").

/// Draws the next number and moves `state` on.
pub fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
