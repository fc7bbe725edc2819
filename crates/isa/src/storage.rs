//! Storage control of Book II: cache management, synchronisation, load and reserve / store conditional, atomic
//! memory operations, copy/paste.
//!
//! There are no caches to manage, and the machine is sequentially consistent: a barrier is where a vCPU may give
//! way, nothing else. Instructions that only hint translate nothing and do nothing.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::{Ops, SystemOp};

/// The access size of an atomic in `imm`; EH or FC stays in `c`.
const fn sized(po: u64, xo: u64, operands: fn(u64) -> Ops) -> Encoding {
    x0(po, xo).operands(operands)
}

macro_rules! size {
    ($n:literal) => {
        |w| Ops { imm: $n, rc: w & 1 != 0, ..tab0(w) }
    };
}

macro_rules! nothing {
    ($s:ident, $i:ident) => {{
        let _ = (&$s, $i);
    }};
}

instructions! {
    "II 4.3";
    icbi = x0(31, 982), "icbi RA,RB", |s, i| { s.system(SystemOp::Icbi, i)?; }
    icbt = x0(31, 22), "icbt CT,RA,RB", |s, i| { nothing!(s, i) }
    dcbt = x0(31, 278), "dcbt RA,RB,TH", |s, i| { nothing!(s, i) }
    dcbtst = x0(31, 246), "dcbtst RA,RB,TH", |s, i| { nothing!(s, i) }
    // The data streams of before ISA 2.07: POWER9 and POWER10 do nothing.
    dss = x0(31, 822), "dss STRM,A", |s, i| { nothing!(s, i) }
    dst = x0(31, 342), "dst RA,RB,STRM,T", |s, i| { nothing!(s, i) }
    dstst = x0(31, 374), "dstst RA,RB,STRM,T", |s, i| { nothing!(s, i) }
    dcbz = x0(31, 1014), "dcbz RA,RB", |s, i| { s.system(SystemOp::Dcbz, i)?; }
    dcbst = x0(31, 54), "dcbst RA,RB", |s, i| { s.system(SystemOp::Dcbst, i)?; }
    dcbf = x0(31, 86), "dcbf RA,RB,L", |s, i| { s.system(SystemOp::Dcbst, i)?; }
    "II 4.4";
    copy = x0(31, 774).field(21, 1, 1), "copy RA,RB", |s, i| { s.system(SystemOp::Copy, i)?; }
    paste_ = x0(31, 902).recording(), "paste. RA,RB,L", |s, i| { s.system(SystemOp::Paste, i)?; }
    cpabort = x(31, 838), "cpabort", |s, i| { s.system(SystemOp::CpAbort, i)?; }
    "II 4.5";
    lwat = x0(31, 582).operands(|w| Ops { imm: 4, c: f(w, 11, 5), ..tab0(w) }), "lwat RT,RA,FC", |s, i| { s.system(SystemOp::LoadAtomic, i)?; }
    ldat = x0(31, 614).operands(|w| Ops { imm: 8, c: f(w, 11, 5), ..tab0(w) }), "ldat RT,RA,FC", |s, i| { s.system(SystemOp::LoadAtomic, i)?; }
    stwat = x0(31, 710).operands(|w| Ops { imm: 4, c: f(w, 11, 5), ..tab0(w) }), "stwat RS,RA,FC", |s, i| { s.system(SystemOp::StoreAtomic, i)?; }
    stdat = x0(31, 742).operands(|w| Ops { imm: 8, c: f(w, 11, 5), ..tab0(w) }), "stdat RS,RA,FC", |s, i| { s.system(SystemOp::StoreAtomic, i)?; }
    "II 4.6.1";
    isync = xl(150), "isync", |s, i| { nothing!(s, i) }
    "II 4.6.2";
    lbarx = sized(31, 52, size!(1)), "lbarx RT,RA,RB,EH", |s, i| { s.system(SystemOp::LoadReserve, i)?; }
    lharx = sized(31, 116, size!(2)), "lharx RT,RA,RB,EH", |s, i| { s.system(SystemOp::LoadReserve, i)?; }
    lwarx = sized(31, 20, size!(4)), "lwarx RT,RA,RB,EH", |s, i| { s.system(SystemOp::LoadReserve, i)?; }
    ldarx = sized(31, 84, size!(8)), "ldarx RT,RA,RB,EH", |s, i| { s.system(SystemOp::LoadReserve, i)?; }
    lqarx = sized(31, 276, size!(16)), "lqarx RTp,RA,RB,EH", |s, i| { s.system(SystemOp::LoadReserve, i)?; }
    stbcx_ = sized(31, 694, size!(1)).recording(), "stbcx. RS,RA,RB", |s, i| { s.system(SystemOp::StoreConditional, i)?; }
    sthcx_ = sized(31, 726, size!(2)).recording(), "sthcx. RS,RA,RB", |s, i| { s.system(SystemOp::StoreConditional, i)?; }
    stwcx_ = sized(31, 150, size!(4)).recording(), "stwcx. RS,RA,RB", |s, i| { s.system(SystemOp::StoreConditional, i)?; }
    stdcx_ = sized(31, 214, size!(8)).recording(), "stdcx. RS,RA,RB", |s, i| { s.system(SystemOp::StoreConditional, i)?; }
    stqcx_ = sized(31, 182, size!(16)).recording(), "stqcx. RSp,RA,RB", |s, i| { s.system(SystemOp::StoreConditional, i)?; }
    "II 4.6.3";
    sync = x(31, 598), "sync L,SC", |s, i| { nothing!(s, i) }
    eieio = x(31, 854), "eieio", |s, i| { nothing!(s, i) }
    "II 4.6.4";
    wait = x(31, 30).operands(|w| Ops { t: f(w, 21, 2), ..tab(w) }).context(), "wait WC,PL", |s, i| { s.system(SystemOp::Wait, i)?; }
}
