//! Instructions of Book III, and what else needs the whole CPU: operations named here, done by the cpu crate.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::{Ops, Trap};

/// An operation of the whole CPU: privileged state, translation, reservations, timers, interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemOp {
    /// `mtspr` of an SPR that is not a [`crate::Reg`]; number in `imm`.
    Mtspr,
    /// `mfspr`, `mftb`.
    Mfspr,
    /// `mtmsr`; L in `a` bit 0.
    Mtmsr,
    /// `mtmsrd`.
    Mtmsrd,
    /// `mfmsr`.
    Mfmsr,
    /// `rfid`.
    Rfid,
    /// `hrfid`.
    Hrfid,
    /// `rfscv`.
    Rfscv,
    /// `rfebb`; S in `t`.
    Rfebb,
    /// `sc`; LEV in `t`.
    Sc,
    /// `scv`; LEV in `t`.
    Scv,
    /// `stop`.
    Stop,
    /// `wait`.
    Wait,
    /// `darn`; L in `b`.
    Darn,
    /// Load and reserve; size in `imm`.
    LoadReserve,
    /// Store conditional; size in `imm`.
    StoreConditional,
    /// `lwat`, `ldat`; size in `imm`, function in `c`.
    LoadAtomic,
    /// `stwat`, `stdat`.
    StoreAtomic,
    /// `lq`.
    Lq,
    /// `stq`.
    Stq,
    /// `plq`.
    Plq,
    /// `pstq`.
    Pstq,
    /// `lmw` and `stmw` raise Alignment in little-endian mode.
    MultipleCheck,
    /// `lswi`, `lswx`; bytes in `imm`, all ones: from XER.
    LoadString,
    /// `stswi`, `stswx`.
    StoreString,
    /// `icbi`: translates as a load.
    Icbi,
    /// `dcbst`, `dcbf`: translate as loads.
    Dcbst,
    /// `dcbz`.
    Dcbz,
    /// `copy`.
    Copy,
    /// `paste.`.
    Paste,
    /// `cpabort`.
    CpAbort,
    /// `tlbie`.
    Tlbie,
    /// `tlbiel`.
    Tlbiel,
    /// `tlbsync`.
    Tlbsync,
    /// `slbsync`: privileged and nothing to do.
    PrivilegedNothing,
    /// `msgsync`: the hypervisor's, and nothing to do.
    HypervisorNothing,
    /// `slbmte`.
    Slbmte,
    /// `slbmfee`.
    Slbmfee,
    /// `slbmfev`.
    Slbmfev,
    /// `slbfee.`.
    Slbfee,
    /// `slbie`.
    Slbie,
    /// `slbieg`.
    Slbieg,
    /// `slbia`; IH in `t`.
    Slbia,
    /// `slbiag`.
    Slbiag,
    /// `msgsnd`.
    Msgsnd,
    /// `msgclr`.
    Msgclr,
    /// `msgsndp`.
    Msgsndp,
    /// `msgclrp`.
    Msgclrp,
    /// Caching-inhibited load of hypervisor real mode (`lbzcix` ...); size in `imm`.
    LoadInhibited,
    /// Caching-inhibited store.
    StoreInhibited,
    /// `hashst`, `hashstp` (privileged if `c`): displacement in `imm`.
    HashStore,
    /// `hashchk`, `hashchkp`.
    HashCheck,
    /// `clrbhrb`.
    Clrbhrb,
    /// `mfbhrbe`; entry in `imm`.
    Mfbhrbe,
    /// `tbegin.`: fails at once.
    Tbegin,
    /// The transactional memory instructions that do nothing outside a transaction.
    Transaction,
    /// `tcheck`; BF in `t`.
    Tcheck,
    /// `treclaim.`, `trechkpt.`.
    TransactionState,
    /// `urfid`, `msgsndu`, `msgclru`: of an ultravisor, which no machine here has.
    Ultravisor,
    /// `attn`: support processor attention, or illegal when not enabled.
    Attn,
}

macro_rules! system {
    ($s:ident, $i:ident, $op:ident) => {
        $s.system(SystemOp::$op, $i)?
    };
}

const fn mt(xo: u64) -> Encoding {
    x(31, xo).context()
}

const fn inhibited(xo: u64, operands: fn(u64) -> Ops) -> Encoding {
    x0(31, xo).operands(operands).context()
}

const fn tlbi(w: u64) -> Ops {
    // RS in t, RB in b, RIC in a, PRS in c, R in oe.
    Ops { a: f(w, 18, 2), c: f(w, 17, 1), oe: w >> 16 & 1 != 0, rc: false, ..tab(w) }
}

/// Negative displacements in doublewords, DX || D, in `imm`; the privileged form in `c`.
const fn hash(xo: u64, operands: fn(u64) -> Ops) -> Encoding {
    Encoding::new(PO | 0x7fe, 31 << 26 | xo << 1, operands).v31()
}
const fn hash_operands(w: u64) -> Ops {
    let displacement = (w & 1) << 8 | (w >> 21 & 31) << 3;
    Ops { c: 0, rc: false, imm: displacement.wrapping_sub(512), ..tab0(w) }
}
const fn privileged_hash_operands(w: u64) -> Ops {
    Ops { c: 1, ..hash_operands(w) }
}

/// The extended opcodes 10aaa10010 are for hints of later versions: no operation to a CPU that has none (Book I 1.9.3).
/// ISA 3.1 has taken four of them for the hashes.
const fn reserved_nop() -> Encoding {
    Encoding::new(PO | 0x31f << 1, 31 << 26 | 0x212 << 1, |_| tab(0))
}

instructions! {
    "I 1.9.3";
    rnop = reserved_nop(), "rnop", |s, i| { let _ = (s, i); }
    "I 3.3.17.1";
    hashst = hash(722, hash_operands), "hashst RB,DW(RA)", |s, i| { system!(s, i, HashStore); }
    hashchk = hash(754, hash_operands), "hashchk RB,DW(RA)", |s, i| { system!(s, i, HashCheck); }
    "III 5.4.6";
    hashstp = hash(658, privileged_hash_operands), "hashstp RB,DW(RA)", |s, i| { system!(s, i, HashStore); }
    hashchkp = hash(690, privileged_hash_operands), "hashchkp RB,DW(RA)", |s, i| { system!(s, i, HashCheck); }
    "III 3.3";
    mtmsr = mt(146), "mtmsr RS,L", |s, i| { system!(s, i, Mtmsr); }
    mtmsrd = mt(178), "mtmsrd RS,L", |s, i| { system!(s, i, Mtmsrd); }
    mfmsr = x(31, 83), "mfmsr RT", |s, i| { system!(s, i, Mfmsr); }
    rfid = xl_branch(18).context(), "rfid", |s, i| { system!(s, i, Rfid); }
    hrfid = xl_branch(274).context(), "hrfid", |s, i| { system!(s, i, Hrfid); }
    urfid = xl_branch(306).context(), "urfid", |s, i| { system!(s, i, Ultravisor); }
    rfscv = xl_branch(82).context(), "rfscv", |s, i| { system!(s, i, Rfscv); }
    rfebb = xl_branch(146).operands(|w| Ops { t: f(w, 11, 1), ..tab(w) }).context(), "rfebb S", |s, i| { system!(s, i, Rfebb); }
    stop = xl(370).context(), "stop", |s, i| { system!(s, i, Stop); }
    "III 5.4";
    lwzcix = inhibited(789, |w| Ops { imm: 4, ..tab0(w) }), "lwzcix RT,RA,RB", |s, i| { system!(s, i, LoadInhibited); }
    lhzcix = inhibited(821, |w| Ops { imm: 2, ..tab0(w) }), "lhzcix RT,RA,RB", |s, i| { system!(s, i, LoadInhibited); }
    lbzcix = inhibited(853, |w| Ops { imm: 1, ..tab0(w) }), "lbzcix RT,RA,RB", |s, i| { system!(s, i, LoadInhibited); }
    ldcix = inhibited(885, |w| Ops { imm: 8, ..tab0(w) }), "ldcix RT,RA,RB", |s, i| { system!(s, i, LoadInhibited); }
    stwcix = inhibited(917, |w| Ops { imm: 4, ..tab0(w) }), "stwcix RS,RA,RB", |s, i| { system!(s, i, StoreInhibited); }
    sthcix = inhibited(949, |w| Ops { imm: 2, ..tab0(w) }), "sthcix RS,RA,RB", |s, i| { system!(s, i, StoreInhibited); }
    stbcix = inhibited(981, |w| Ops { imm: 1, ..tab0(w) }), "stbcix RS,RA,RB", |s, i| { system!(s, i, StoreInhibited); }
    stdcix = inhibited(1013, |w| Ops { imm: 8, ..tab0(w) }), "stdcix RS,RA,RB", |s, i| { system!(s, i, StoreInhibited); }
    "III 6.9.3";
    slbie = mt(434), "slbie RB", |s, i| { system!(s, i, Slbie); }
    slbieg = mt(466), "slbieg RS,RB", |s, i| { system!(s, i, Slbieg); }
    slbia = mt(498).operands(|w| Ops { t: f(w, 21, 3), ..tab(w) }), "slbia IH", |s, i| { system!(s, i, Slbia); }
    slbiag = mt(850), "slbiag RS,L", |s, i| { system!(s, i, Slbiag); }
    slbmte = mt(402), "slbmte RS,RB", |s, i| { system!(s, i, Slbmte); }
    slbmfev = x(31, 851), "slbmfev RT,RB", |s, i| { system!(s, i, Slbmfev); }
    slbmfee = x(31, 915), "slbmfee RT,RB", |s, i| { system!(s, i, Slbmfee); }
    slbfee_ = x(31, 979).recording(), "slbfee. RT,RB", |s, i| { system!(s, i, Slbfee); }
    slbsync = x(31, 338), "slbsync", |s, i| { system!(s, i, PrivilegedNothing); }
    tlbie = mt(306).operands(tlbi), "tlbie RB,RS,RIC,PRS,R", |s, i| { system!(s, i, Tlbie); }
    tlbiel = mt(274).operands(tlbi), "tlbiel RB,RS,RIC,PRS,R", |s, i| { system!(s, i, Tlbiel); }
    tlbsync = x(31, 566), "tlbsync", |s, i| { system!(s, i, Tlbsync); }
    "III 12";
    msgsnd = mt(206), "msgsnd RB", |s, i| { system!(s, i, Msgsnd); }
    msgclr = mt(238), "msgclr RB", |s, i| { system!(s, i, Msgclr); }
    msgsndp = mt(142), "msgsndp RB", |s, i| { system!(s, i, Msgsndp); }
    msgclrp = mt(174), "msgclrp RB", |s, i| { system!(s, i, Msgclrp); }
    msgsndu = mt(78), "msgsndu RB", |s, i| { system!(s, i, Ultravisor); }
    msgclru = mt(110), "msgclru RB", |s, i| { system!(s, i, Ultravisor); }
    msgsync = x(31, 886), "msgsync", |s, i| { system!(s, i, HypervisorNothing); }
    "II 7";
    clrbhrb = x(31, 430), "clrbhrb", |s, i| { system!(s, i, Clrbhrb); }
    mfbhrbe = x(31, 302).operands(|w| Ops { imm: w >> 11 & 1023, ..tab(w) }), "mfbhrbe RT,BHRBE", |s, i| { system!(s, i, Mfbhrbe); }
    "II 5 (3.0)";
    tbegin_ = mt(654).recording().until30(), "tbegin. A,R", |s, i| { system!(s, i, Tbegin); }
    tend_ = mt(686).recording().until30(), "tend. A", |s, i| { system!(s, i, Transaction); }
    tabort_ = mt(910).recording().until30(), "tabort. RA", |s, i| { system!(s, i, Transaction); }
    tabortwc_ = mt(782).recording().until30(), "tabortwc. TO,RA,RB", |s, i| { system!(s, i, Transaction); }
    tabortwci_ = mt(846).recording().until30(), "tabortwci. TO,RA,SI", |s, i| { system!(s, i, Transaction); }
    tabortdc_ = mt(814).recording().until30(), "tabortdc. TO,RA,RB", |s, i| { system!(s, i, Transaction); }
    tabortdci_ = mt(878).recording().until30(), "tabortdci. TO,RA,SI", |s, i| { system!(s, i, Transaction); }
    tsr_ = mt(750).recording().until30(), "tsr. L", |s, i| { system!(s, i, Transaction); }
    tcheck = mt(718).operands(|w| Ops { t: f(w, 23, 3), ..tab(w) }).until30(), "tcheck BF", |s, i| { system!(s, i, Tcheck); }
    treclaim_ = mt(942).recording().until30(), "treclaim. RA", |s, i| { system!(s, i, TransactionState); }
    trechkpt_ = mt(1006).recording().until30(), "trechkpt.", |s, i| { system!(s, i, TransactionState); }
    "III 11";
    attn = Encoding::new(PO | 0x7fe, 256 << 1, tab).context(), "attn", |s, i| { system!(s, i, Attn); }
    "I 1.9.2";
    illegal = Encoding::new(u64::MAX, 0, |w| Ops { imm: w, ..tab(0) }).context(), "illegal", |s, i| {
        let _ = i;
        let always = s.always();
        s.trap_if(always, Trap::Illegal)?;
    }
}
