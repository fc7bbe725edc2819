//! Floating-point arithmetic, conversion and comparison on FPRs (Power ISA Book I 4.6.6 to 4.6.8).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::scalar::*;
use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Encoding, Ops};
use timebase_softfloat::{Double, Single};

/// A-form with FRC in the place of the second operand: FRT, FRA, FRC.
const fn a_product(po: u64) -> Encoding {
    a(po, 25).operands(|w| Ops { b: f(w, 6, 5), ..tab(w) })
}
/// X-form into a CR field: BF, FRA, FRB.
const fn x_bf(xo: u64) -> Encoding {
    x(63, xo).operands(|w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) })
}

macro_rules! fp {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Fp)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 4.6.6.1";
    fadd = a(63, 21), "fadd[.] FRT,FRA,FRB", |s, i| { fp!(s, i, add::<Double>); }
    fadds = a(59, 21), "fadds[.] FRT,FRA,FRB", |s, i| { fp!(s, i, add::<Single>); }
    fsub = a(63, 20), "fsub[.] FRT,FRA,FRB", |s, i| { fp!(s, i, sub::<Double>); }
    fsubs = a(59, 20), "fsubs[.] FRT,FRA,FRB", |s, i| { fp!(s, i, sub::<Single>); }
    fmul = a_product(63), "fmul[.] FRT,FRA,FRC", |s, i| { fp!(s, i, mul::<Double>); }
    fmuls = a_product(59), "fmuls[.] FRT,FRA,FRC", |s, i| { fp!(s, i, mul::<Single>); }
    fdiv = a(63, 18), "fdiv[.] FRT,FRA,FRB", |s, i| { fp!(s, i, div::<Double>); }
    fdivs = a(59, 18), "fdivs[.] FRT,FRA,FRB", |s, i| { fp!(s, i, div::<Single>); }
    fsqrt = a(63, 22), "fsqrt[.] FRT,FRB", |s, i| { fp!(s, i, sqrt::<Double>); }
    fsqrts = a(59, 22), "fsqrts[.] FRT,FRB", |s, i| { fp!(s, i, sqrt::<Single>); }
    fre = a(63, 24), "fre[.] FRT,FRB", |s, i| { fp!(s, i, reciprocal::<Double>); }
    fres = a(59, 24), "fres[.] FRT,FRB", |s, i| { fp!(s, i, reciprocal::<Single>); }
    frsqrte = a(63, 26), "frsqrte[.] FRT,FRB", |s, i| { fp!(s, i, reciprocal_sqrt::<Double>); }
    frsqrtes = a(59, 26), "frsqrtes[.] FRT,FRB", |s, i| { fp!(s, i, reciprocal_sqrt::<Single>); }
    ftdiv = x_bf(128), "ftdiv BF,FRA,FRB", |s, i| { fp!(s, i, test_for_divide); }
    ftsqrt = x_bf(160), "ftsqrt BF,FRB", |s, i| { fp!(s, i, test_for_sqrt); }
    "I 4.6.6.2";
    fmadd = a(63, 29), "fmadd[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, madd::<Double>); }
    fmadds = a(59, 29), "fmadds[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, madd::<Single>); }
    fmsub = a(63, 28), "fmsub[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, msub::<Double>); }
    fmsubs = a(59, 28), "fmsubs[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, msub::<Single>); }
    fnmadd = a(63, 31), "fnmadd[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, nmadd::<Double>); }
    fnmadds = a(59, 31), "fnmadds[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, nmadd::<Single>); }
    fnmsub = a(63, 30), "fnmsub[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, nmsub::<Double>); }
    fnmsubs = a(59, 30), "fnmsubs[.] FRT,FRA,FRC,FRB", |s, i| { fp!(s, i, nmsub::<Single>); }
    "I 4.6.7.1";
    frsp = x(63, 12), "frsp[.] FRT,FRB", |s, i| { fp!(s, i, round_to_single); }
    "I 4.6.7.2";
    fctid = x(63, 814), "fctid[.] FRT,FRB", |s, i| { fp!(s, i, to_i64); }
    fctidz = x(63, 815), "fctidz[.] FRT,FRB", |s, i| { fp!(s, i, to_i64_truncated); }
    fctidu = x(63, 942), "fctidu[.] FRT,FRB", |s, i| { fp!(s, i, to_u64); }
    fctiduz = x(63, 943), "fctiduz[.] FRT,FRB", |s, i| { fp!(s, i, to_u64_truncated); }
    fctiw = x(63, 14), "fctiw[.] FRT,FRB", |s, i| { fp!(s, i, to_i32); }
    fctiwz = x(63, 15), "fctiwz[.] FRT,FRB", |s, i| { fp!(s, i, to_i32_truncated); }
    fctiwu = x(63, 142), "fctiwu[.] FRT,FRB", |s, i| { fp!(s, i, to_u32); }
    fctiwuz = x(63, 143), "fctiwuz[.] FRT,FRB", |s, i| { fp!(s, i, to_u32_truncated); }
    fcfid = x(63, 846), "fcfid[.] FRT,FRB", |s, i| { fp!(s, i, from_i64::<Double>); }
    fcfids = x(59, 846), "fcfids[.] FRT,FRB", |s, i| { fp!(s, i, from_i64::<Single>); }
    fcfidu = x(63, 974), "fcfidu[.] FRT,FRB", |s, i| { fp!(s, i, from_u64::<Double>); }
    fcfidus = x(59, 974), "fcfidus[.] FRT,FRB", |s, i| { fp!(s, i, from_u64::<Single>); }
    "I 4.6.7.3";
    frin = x(63, 392), "frin[.] FRT,FRB", |s, i| { fp!(s, i, integral_nearest); }
    friz = x(63, 424), "friz[.] FRT,FRB", |s, i| { fp!(s, i, integral_truncated); }
    frip = x(63, 456), "frip[.] FRT,FRB", |s, i| { fp!(s, i, integral_up); }
    frim = x(63, 488), "frim[.] FRT,FRB", |s, i| { fp!(s, i, integral_down); }
    "I 4.6.8";
    fcmpu = x_bf(0), "fcmpu BF,FRA,FRB", |s, i| { fp!(s, i, compare_unordered); }
    fcmpo = x_bf(32), "fcmpo BF,FRA,FRB", |s, i| { fp!(s, i, compare_ordered); }
}
