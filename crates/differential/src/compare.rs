//! Where two results differ.

use crate::layout::{DATA, DATA_END, GPR, PMU, PMU_SPRS, Record, SEGMENTS, SLB, SPRS, VSCR, VSR, at, spr};
use std::fmt::{Display, Formatter};

/// A field of a result with both values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub field: String,
    pub ours: u128,
    pub peer: u128,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:x}, peer {:x}", self.field, self.ours, self.peer)
    }
}

/// The differences, where a side may not have come back: then that is the only one.
pub fn between(ours: Option<&Record>, peer: Option<&Record>) -> Vec<Difference> {
    match (ours, peer) {
        (Some(ours), Some(peer)) => differences(ours, peer),
        (None, None) => Vec::new(),
        (ours, peer) => {
            let (ours, peer) = (ours.is_some() as u128, peer.is_some() as u128);
            vec![Difference { field: "end".into(), ours, peer }]
        }
    }
}

/// All fields that differ.
pub fn differences(ours: &Record, peer: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut check = |field: &dyn Fn() -> String, ours: u128, peer: u128| {
        if ours != peer {
            found.push(Difference { field: field(), ours, peer });
        }
    };
    let named = [
        ("vector", at::VECTOR),
        ("msr", at::MSR),
        ("cr", at::CR),
        ("xer", at::XER),
        ("lr", at::LR),
        ("ctr", at::CTR),
        ("fpscr", at::FPSCR),
        ("vscr", VSCR),
        ("cfar", at::CFAR),
    ];
    let sprs = SPRS.iter().map(|(name, _)| (*name, spr(name)));
    for (name, offset) in named.into_iter().chain(sprs) {
        check(&|| name.into(), ours.get(offset) as u128, peer.get(offset) as u128);
    }
    for n in 0..32 {
        check(&|| format!("r{n}"), ours.get(GPR + 8 * n) as u128, peer.get(GPR + 8 * n) as u128);
    }
    for n in 0..64 {
        check(&|| format!("vs{n}"), ours.vsr(n), peer.vsr(n));
    }
    debug_assert_eq!(VSR + 16 * 64, DATA);
    for n in 0..2 * SEGMENTS {
        let name = ["slbe", "slbv"][n % 2];
        check(&|| format!("{name}{}", n / 2), ours.get(SLB + 8 * n) as u128, peer.get(SLB + 8 * n) as u128);
    }
    for (n, (name, _)) in PMU_SPRS.iter().enumerate() {
        check(&|| (*name).into(), ours.get(PMU + 8 * n) as u128, peer.get(PMU + 8 * n) as u128);
    }
    for offset in (DATA..DATA_END).step_by(8) {
        check(&|| format!("memory+{:x}", offset - DATA), ours.get(offset) as u128, peer.get(offset) as u128);
    }
    found
}
