//! TB, VTB, DEC, HDEC, PURR and SPURR (Power ISA Book III chapter 8): all differences of virtual times.
//!
//! DEC is level on every 64-bit Book3S CPU: its exception exists exactly while its sign bit is set. With
//! LPCR[LD] = 0 it has 32 bits, otherwise 56; HDEC has 56 bits on POWER9 and POWER10. HDEC is latched: a change of
//! its sign bit from 0 to 1 raises the exception, delivery clears it.

use crate::{Vcpu, bits::lpcr};
use timebase_state::Instant;

/// Implemented bits of the large decrementer and of HDEC.
const LARGE: u32 = 56;

/// The low `bits` bits of `value`, sign-extended.
const fn sign_extend(value: u64, bits: u32) -> u64 {
    ((value << (64 - bits)) as i64 >> (64 - bits)) as u64
}

impl Vcpu {
    /// Time base at `now`.
    pub fn tb(&self, now: Instant) -> u64 {
        now.ticks().wrapping_sub(self.tb_zero.ticks())
    }

    /// Virtual time base at `now`.
    pub fn vtb(&self, now: Instant) -> u64 {
        now.ticks().wrapping_sub(self.vtb_zero.ticks())
    }

    /// Processor utilisation of resources register at `now`.
    pub fn purr(&self, now: Instant) -> u64 {
        now.ticks().wrapping_sub(self.purr_zero.ticks())
    }

    /// Scaled processor utilisation of resources register at `now`.
    pub fn spurr(&self, now: Instant) -> u64 {
        now.ticks().wrapping_sub(self.spurr_zero.ticks())
    }

    /// Bits of DEC that are implemented now.
    fn dec_bits(&self) -> u32 {
        if self.spr.lpcr & lpcr::LD != 0 { LARGE } else { 32 }
    }

    /// DEC at `now`, sign-extended.
    fn dec_signed(&self, now: Instant) -> u64 {
        sign_extend(self.dec_zero.ticks().wrapping_sub(now.ticks()), self.dec_bits())
    }

    /// What `mfspr` reads from DEC at `now`: sign-extended if large, else 32 bits.
    pub fn dec(&self, now: Instant) -> u64 {
        let value = self.dec_signed(now);
        if self.dec_bits() == 32 { value & 0xffff_ffff } else { value }
    }

    /// Writes DEC at `now`. The value is stored even if it raises the exception at once.
    pub fn set_dec(&mut self, value: u64, now: Instant) {
        let value = sign_extend(value, self.dec_bits());
        self.dec_zero = Instant::from_ticks(now.ticks().wrapping_add(value));
    }

    /// The decrementer exception exists at `now`.
    pub fn dec_exception(&self, now: Instant) -> bool {
        (self.dec_signed(now) as i64) < 0
    }

    /// HDEC at `now`, sign-extended.
    pub fn hdec(&self, now: Instant) -> u64 {
        sign_extend(self.hdec_zero.ticks().wrapping_sub(now.ticks()), LARGE)
    }

    /// Writes HDEC at `now`. A change of the sign bit from 0 to 1 by the write raises the exception.
    pub fn set_hdec(&mut self, value: u64, now: Instant) {
        let before = self.hdec(now) as i64;
        let value = sign_extend(value, LARGE);
        self.hdec_zero = Instant::from_ticks(now.ticks().wrapping_add(value));
        if before >= 0 && (value as i64) < 0 {
            self.hdec_latched = true;
        }
        self.hdec_armed = value as i64 >= 0;
    }

    /// The next instant after `now` at which the exception of DEC begins to exist.
    pub fn dec_deadline(&self, now: Instant) -> Instant {
        let value = self.dec_signed(now) as i64;
        let bits = self.dec_bits();
        // -1 is reached in value + 1 ticks; from a negative value only after a whole turn of the counter.
        let turn = if value < 0 { 1u64 << bits } else { 0 };
        let ticks = (value as u64).wrapping_add(1).wrapping_add(turn);
        Instant::from_ticks(now.ticks().wrapping_add(ticks))
    }

    /// The next instant after `now` at which a timer changes what is pending.
    pub fn deadline(&self, now: Instant) -> Instant {
        let dec = self.dec_deadline(now);
        let dec = self.counter_deadline().map_or(dec, |counter| counter.min(dec));
        if !self.has_hypervisor || !self.hdec_armed {
            return dec;
        }
        let ticks = (self.hdec(now) as i64).max(0) as u64 + 1;
        dec.min(Instant::from_ticks(now.ticks().wrapping_add(ticks)))
    }

    /// HDEC went negative since it was written: its exception is latched.
    pub(crate) fn latch_hdec(&mut self, now: Instant) {
        if self.has_hypervisor && self.hdec_armed && (self.hdec(now) as i64) < 0 {
            self.hdec_latched = true;
            self.hdec_armed = false;
        }
    }

    /// Writes TB at `now`, keeping the tick grid.
    pub fn set_tb(&mut self, value: u64, now: Instant) {
        self.tb_zero = Instant::from_ticks(now.ticks().wrapping_sub(value));
    }
}
