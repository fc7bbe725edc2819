//! Condition register instructions (Power ISA Book I 2.5).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::Ops;
use crate::Reg;
use crate::encoding::*;
use crate::instruction::instructions;

macro_rules! bits {
    ($s:ident, $i:ident, |$a:ident, $b:ident| $e:expr) => {{
        let ($a, $b) = ($s.cr_bit($i.a), $s.cr_bit($i.b));
        let v = $e;
        $s.set_cr_bit($i.t, v);
    }};
}

instructions! { "I 2.5";
    crand = xl(257), "crand BT,BA,BB", |s, i| { bits!(s, i, |a, b| a & b) }
    crnand = xl(225), "crnand BT,BA,BB", |s, i| { bits!(s, i, |a, b| !(a & b)) }
    cror = xl(449), "cror BT,BA,BB", |s, i| { bits!(s, i, |a, b| a | b) }
    crxor = xl(193), "crxor BT,BA,BB", |s, i| { bits!(s, i, |a, b| a ^ b) }
    crnor = xl(33), "crnor BT,BA,BB", |s, i| { bits!(s, i, |a, b| !(a | b)) }
    creqv = xl(289), "creqv BT,BA,BB", |s, i| { bits!(s, i, |a, b| !(a ^ b)) }
    crandc = xl(129), "crandc BT,BA,BB", |s, i| { bits!(s, i, |a, b| a & !b) }
    crorc = xl(417), "crorc BT,BA,BB", |s, i| { bits!(s, i, |a, b| a | !b) }
    mcrf = xl(0).operands(|w| Ops { t: f(w, 23, 3), a: f(w, 18, 3), rc: false, ..tab(w) }), "mcrf BF,BFA", |s, i| {
        let v = s.get(Reg::cr(i.a));
        s.set(Reg::cr(i.t), v);
    }
}
