//! The operations of the whole CPU that instruction bodies name ([`SystemOp`]).

use crate::Exit;
use crate::bits::{lpcr, msr};
use crate::interpreter::Core;
use crate::mmu::Access;
use crate::observe::Observation;
use crate::spr::facility;
use timebase_isa::{N, Ops, Semantics, SystemOp, Trap, fpscr};
use timebase_memory::{GRANULE, Reservation, Writer};

type Outcome = Result<(), Trap>;

/// Carries out `op`.
pub(crate) fn execute(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    use SystemOp::*;
    match op {
        Mtspr => core.mtspr(i),
        Mfspr => core.mfspr(i),
        Mfmsr => core.privileged().map(|()| core.cpu.regs.gpr[i.t as usize] = core.cpu.regs.msr),
        Mtmsr | Mtmsrd => move_to_msr(core, i, op == Mtmsrd),
        Rfid => return_from_interrupt(core),
        Hrfid => hypervisor_return(core),
        Rfscv => return_from_vectored(core),
        Rfebb => return_from_event(core, i),
        Sc => system_call(core, i),
        Scv => system_call_vectored(core, i),
        Stop => stop(core),
        Wait => {
            core.run.exit(Exit::Yield);
            Ok(())
        }
        Darn => random(core, i),
        LoadReserve => load_reserve(core, i),
        StoreConditional => store_conditional(core, i),
        LoadAtomic => load_atomic(core, i),
        StoreAtomic => store_atomic(core, i),
        Lq | Plq => load_quadword(core, i, op == Plq),
        Stq | Pstq => store_quadword(core, i, op == Pstq),
        MultipleCheck => big_endian_only(core, i),
        LoadString => load_string(core, i),
        StoreString => store_string(core, i),
        Icbi | Dcbst => core.real(core.mode_address(core.ea_x(i).0), Access::Load).map(|_| ()),
        Dcbz => zero_block(core, i),
        Copy => copy(core, i),
        Paste => paste(core, i),
        CpAbort => {
            core.cpu.copy_pending = false;
            Ok(())
        }
        Tlbie | Tlbiel | Tlbsync => invalidate(core, op, i),
        PrivilegedNothing => core.privileged(),
        HypervisorNothing => core.hypervisor_privileged(),
        Slbmte | Slbmfee | Slbmfev | Slbfee | Slbie | Slbieg | Slbia | Slbiag => segment(core, op, i),
        Msgsnd | Msgclr | Msgsndp | Msgclrp => doorbell(core, op, i),
        LoadInhibited | StoreInhibited => inhibited(core, op, i),
        HashStore => hash_store(core, i),
        HashCheck => hash_check(core, i),
        Clrbhrb => core.cpu.available(facility::BHRB).map(|()| core.cpu.history.clear()),
        Mfbhrbe => {
            core.cpu.available(facility::BHRB)?;
            core.cpu.regs.gpr[i.t as usize] = core.cpu.history.entry(i.imm);
            Ok(())
        }
        Tbegin | Transaction | Tcheck | TransactionState => transaction(core, op, i),
        Ultravisor => core.privileged().and(Err(Trap::Illegal)),
        Attn => Err(Trap::Illegal),
    }
}

impl Core<'_, '_, '_> {
    /// Raises the privileged instruction interrupt in problem state.
    fn privileged(&self) -> Outcome {
        if self.cpu.problem() { Err(Trap::Privileged) } else { Ok(()) }
    }

    /// The same outside hypervisor state.
    fn hypervisor_privileged(&self) -> Outcome {
        if self.cpu.hypervisor() { Ok(()) } else { Err(Trap::Privileged) }
    }

    fn gpr_value(&self, n: u8) -> u64 {
        self.gpr(n).0
    }

    /// CR0 := 0b00, `bit`, SO.
    fn set_cr0_eq(&mut self, bit: bool) {
        self.cpu.regs.cr[0] = (bit as u64) << 1 | self.cpu.regs.so;
    }

    /// The effective address of an indexed access that must be aligned to `bytes`.
    fn aligned(&self, i: &Ops, bytes: u64) -> Result<u64, Trap> {
        self.check_alignment(self.ea_x(i).0, bytes)
    }

    fn check_alignment(&self, ea: u64, bytes: u64) -> Result<u64, Trap> {
        if ea.is_multiple_of(bytes) { Ok(ea) } else { Err(Trap::Alignment { ea }) }
    }
}

/// `mtmsr`, `mtmsrd` (III 5.4.4): HV, S, ME and LE stay; problem state implies EE, IR and DR.
fn move_to_msr(core: &mut Core, i: &Ops, doubleword: bool) -> Outcome {
    core.privileged()?;
    let (old, new) = (core.cpu.regs.msr, core.cpu.regs.gpr[i.t as usize]);
    if i.a & 1 != 0 {
        let changed = msr::EE | msr::RI;
        core.cpu.set_msr(old & !changed | new & changed);
        return Ok(());
    }
    let kept = msr::HV | msr::S | msr::ME | msr::LE | if doubleword { 0 } else { !0xffff_ffff };
    let implemented = core.cpu.implemented_msr();
    core.cpu.set_msr(implied(old & kept | new & implemented & !kept));
    enabled_exception(core)
}

/// A floating-point exception that became enabled with MSR[FE0] or MSR[FE1] (III 7.5.9).
fn enabled_exception(core: &Core) -> Outcome {
    let regs = &core.cpu.regs;
    if regs.fpscr & fpscr::FEX != 0 && regs.msr & (msr::FE0 | msr::FE1) != 0 {
        return Err(Trap::FpEnabledByMsr { resume: regs.nia });
    }
    Ok(())
}

/// Problem state implies EE, IR and DR.
fn implied(value: u64) -> u64 {
    if value & msr::PR != 0 { value | msr::EE | msr::IR | msr::DR } else { value }
}

/// MSR from a saved one: HV and ME change only in hypervisor state.
fn restore_msr(core: &mut Core, saved: u64) {
    let old = core.cpu.regs.msr;
    let mut new = saved & core.cpu.implemented_msr();
    if old & msr::HV == 0 {
        new = new & !(msr::HV | msr::ME) | old & msr::ME;
    }
    core.cpu.set_msr(implied(new));
}

fn go_to(core: &mut Core, address: u64) {
    let address = address & !3;
    core.cpu.regs.nia = if core.cpu.regs.msr & msr::SF != 0 { address } else { address & 0xffff_ffff };
}

/// Tells whoever watches of a return from an interrupt.
fn returned(core: &mut Core) {
    let (to, msr) = (core.cpu.regs.nia, core.cpu.regs.msr);
    core.run.world.observe(core.count, || Observation::Return { to, msr });
}

/// CFAR tells of rfebb, rfid and rfscv, not of hrfid (III 8.2).
fn come_from(core: &mut Core) {
    core.cpu.regs.cfar = core.cpu.regs.cia;
}

fn return_from_interrupt(core: &mut Core) -> Outcome {
    core.privileged()?;
    let (address, saved) = (core.cpu.spr.srr0, core.cpu.spr.srr1);
    restore_msr(core, saved);
    come_from(core);
    go_to(core, address);
    returned(core);
    enabled_exception(core)
}

fn hypervisor_return(core: &mut Core) -> Outcome {
    core.hypervisor_privileged()?;
    let (address, saved) = (core.cpu.spr.hsrr0, core.cpu.spr.hsrr1);
    let implemented = core.cpu.implemented_msr();
    core.cpu.set_msr(implied(saved & implemented));
    go_to(core, address);
    returned(core);
    enabled_exception(core)
}

fn return_from_vectored(core: &mut Core) -> Outcome {
    core.privileged()?;
    let (address, saved) = (core.cpu.regs.lr, core.cpu.regs.ctr);
    restore_msr(core, saved);
    come_from(core);
    go_to(core, address);
    returned(core);
    enabled_exception(core)
}

fn return_from_event(core: &mut Core, i: &Ops) -> Outcome {
    core.cpu.available(facility::EBB)?;
    let enable = 1u64 << 63;
    core.cpu.spr.bescr = core.cpu.spr.bescr & !enable | if i.t != 0 { enable } else { 0 };
    let address = core.cpu.spr.ebbrr;
    come_from(core);
    go_to(core, address);
    core.run.exit(Exit::Look);
    Ok(())
}

fn system_call(core: &mut Core, i: &Ops) -> Outcome {
    if i.t == 1 && !core.cpu.has_hypervisor {
        core.run.exit(Exit::Hypercall);
        return Ok(());
    }
    Err(Trap::SystemCall { lev: i.t })
}

fn system_call_vectored(core: &mut Core, i: &Ops) -> Outcome {
    core.cpu.available(facility::SCV)?;
    Err(Trap::SystemCallVectored { lev: i.t })
}

/// Transactional memory (ISA 3.0 Book II chapter 5), of which a CPU may let every transaction fail: `tbegin.` fails at
/// once and for good, and the CPU is never in a transaction. MSR[TS] is 0 and not implemented.
fn transaction(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    if op == SystemOp::TransactionState {
        core.privileged()?;
    }
    core.cpu.available(facility::TM)?;
    /// Failure is persistent, for a reason of the implementation.
    const REASON: u64 = 1 << (63 - 7) | 1 << (63 - 15);
    /// There is a summary, and TFIAR is exact.
    const SUMMARY: u64 = 1 << (63 - 36) | 1 << (63 - 37);
    match op {
        SystemOp::Tbegin => {
            let privilege = (core.cpu.hypervisor() as u64) << 1 | core.cpu.problem() as u64;
            let cia = core.cpu.regs.cia;
            core.cpu.spr.tfhar = cia.wrapping_add(4);
            core.cpu.spr.tfiar = cia | privilege;
            core.cpu.spr.texasr = REASON | SUMMARY | privilege << (63 - 35);
            // As a failure handler finds it, which is the next instruction.
            core.cpu.regs.cr[0] = 0b1010;
        }
        // TDOOMED: no transaction would succeed.
        SystemOp::Tcheck => core.cpu.regs.cr[i.t as usize & 7] = 0b1000,
        SystemOp::Transaction => core.cpu.regs.cr[0] = 0,
        _ => return Err(Trap::TmBadThing),
    }
    Ok(())
}

/// The address of the hash and the digest that belongs there; None where DEXCR and HDEXCR leave the aspect off: then
/// the instruction does nothing (Book I 3.3.17, Book III 9.3).
fn hash(core: &mut Core, i: &Ops) -> Result<Option<(u64, u64)>, Trap> {
    let privileged = i.c != 0;
    if privileged {
        core.privileged()?;
    }
    let spr = &core.cpu.spr;
    // NPHIE is aspect 5 and PHIE aspect 6: of problem state in the upper words, of others in the lower ones.
    let aspect = if privileged { 1u64 << 57 } else { 1 << 58 };
    let on = match (core.cpu.problem(), core.cpu.hypervisor()) {
        (true, _) => (spr.dexcr | spr.hdexcr << 32) & aspect,
        (_, true) => spr.hdexcr & aspect,
        _ => (spr.dexcr << 32 | spr.hdexcr << 32) & aspect,
    };
    if on == 0 {
        return Ok(None);
    }
    let key = if privileged { spr.hashpkeyr } else { spr.hashkeyr };
    let (ra, rb) = (core.gpr_value(i.a), core.gpr_value(i.b));
    let ea = core.mode_address(ra.wrapping_add(i.imm));
    Ok(Some((core.check_alignment(ea, 8)?, crate::hash::digest(ra, rb, key))))
}

/// `hashst`, `hashstp`.
fn hash_store(core: &mut Core, i: &Ops) -> Outcome {
    match hash(core, i)? {
        Some((ea, digest)) => write_number(core, ea, 8, digest.into()),
        None => Ok(()),
    }
}

/// `hashchk`, `hashchkp`: another hash is a trap.
fn hash_check(core: &mut Core, i: &Ops) -> Outcome {
    let Some((ea, digest)) = hash(core, i)? else { return Ok(()) };
    let stored = read_number(core, ea, 8)?;
    if stored == digest.into() { Ok(()) } else { Err(Trap::TrapInstruction) }
}

/// `stop` rests until something is pending. The thread goes on after it (PSSCR[EC] = 0).
fn stop(core: &mut Core) -> Outcome {
    core.privileged()?;
    core.run.exit(Exit::Rest);
    Ok(())
}

/// `darn`: L 0: 32 bits, 1 and 2: 64 bits, 3: reserved, the error value.
fn random(core: &mut Core, i: &Ops) -> Outcome {
    let value = match i.b {
        0 => core.cpu.draw() & 0xffff_ffff,
        1 | 2 => core.cpu.draw(),
        _ => u64::MAX,
    };
    core.cpu.regs.gpr[i.t as usize] = value;
    Ok(())
}

/// A number of `bytes` bytes in the thread's byte order.
fn read_number(core: &mut Core, ea: u64, bytes: usize) -> Result<u128, Trap> {
    let mut buffer = [0; 16];
    core.read_bytes(ea, &mut buffer[..bytes])?;
    let number = u128::from_be_bytes(buffer) >> (8 * (16 - bytes));
    let reversed = u128::from_le_bytes(buffer);
    Ok(if core.cpu.little_endian() { reversed } else { number })
}

fn write_number(core: &mut Core, ea: u64, bytes: usize, value: u128) -> Outcome {
    if core.cpu.little_endian() {
        core.write_bytes(ea, &value.to_le_bytes()[..bytes])
    } else {
        core.write_bytes(ea, &value.to_be_bytes()[16 - bytes..])
    }
}

/// Writes a GPR, or an even/odd pair of them, from a number of `bytes` bytes.
fn set_target(core: &mut Core, t: u8, bytes: usize, value: u128) -> Outcome {
    if bytes < 16 {
        core.cpu.regs.gpr[t as usize] = value as u64;
        return Ok(());
    }
    let even = t as usize & 30;
    core.cpu.regs.gpr[even] = (value >> 64) as u64;
    core.cpu.regs.gpr[even + 1] = value as u64;
    Ok(())
}

fn source(core: &Core, t: u8, bytes: usize) -> u128 {
    let gpr = &core.cpu.regs.gpr;
    if bytes < 16 {
        return gpr[t as usize] as u128;
    }
    let even = t as usize & 30;
    (gpr[even] as u128) << 64 | gpr[even + 1] as u128
}

/// A pair must be named by its even register.
fn check_pair(i: &Ops, bytes: usize) -> Outcome {
    if bytes == 16 && i.t & 1 != 0 { Err(Trap::Illegal) } else { Ok(()) }
}

fn load_reserve(core: &mut Core, i: &Ops) -> Outcome {
    let bytes = i.imm as usize;
    check_pair(i, bytes)?;
    let ea = core.aligned(i, i.imm)?;
    let real = core.real(core.mode_address(ea), Access::Load)?;
    let value = read_number(core, ea, bytes)?;
    core.run.world.memory.set_reservation(core.cpu.index, Reservation::new(real, bytes as u8));
    set_target(core, i.t, bytes, value)
}

/// The store is checked as a store whether or not the reservation is held.
fn store_conditional(core: &mut Core, i: &Ops) -> Outcome {
    let bytes = i.imm as usize;
    check_pair(i, bytes)?;
    let ea = core.aligned(i, i.imm)?;
    let real = core.real(core.mode_address(ea), Access::Store)?;
    let index = core.cpu.index;
    let held = core.run.world.memory.reservation(index).matches(real, bytes as u8);
    if held {
        let value = source(core, i.t, bytes);
        write_number(core, ea, bytes, value)?;
    }
    core.run.world.memory.set_reservation(index, Reservation::NONE);
    core.set_cr0_eq(held);
    Ok(())
}

/// The operands of an atomic memory operation lie within 32 aligned bytes (II 4.5).
fn atomic_address(core: &Core, i: &Ops, bytes: u64) -> Result<u64, Trap> {
    let ea = core.gpr_value(if i.a == 0 { 32 } else { i.a });
    core.check_alignment(ea, bytes)
}

fn sign(value: u64, bytes: usize) -> i64 {
    if bytes == 4 { value as i32 as i64 } else { value as i64 }
}

fn combine(function: u8, old: u64, operand: u64, bytes: usize) -> Option<u64> {
    Some(match function {
        0 => old.wrapping_add(operand),
        1 => old ^ operand,
        2 => old | operand,
        3 => old & operand,
        4 => old.max(operand),
        5 => {
            if sign(old, bytes) > sign(operand, bytes) {
                old
            } else {
                operand
            }
        }
        6 => old.min(operand),
        7 => {
            if sign(old, bytes) < sign(operand, bytes) {
                old
            } else {
                operand
            }
        }
        _ => return None,
    })
}

/// `lwat`, `ldat`: fetch and operate.
fn load_atomic(core: &mut Core, i: &Ops) -> Outcome {
    let bytes = i.imm as usize;
    let ea = atomic_address(core, i, i.imm)?;
    let mask = if bytes == 4 { 0xffff_ffff } else { u64::MAX };
    let pair = |n: u8| (i.t.wrapping_add(n) & 31) as usize;
    let operand = core.cpu.regs.gpr[pair(1)] & mask;
    let second = core.cpu.regs.gpr[pair(2)] & mask;
    let old = read_number(core, ea, bytes)? as u64;
    let other = |core: &mut Core, offset: i64| {
        read_number(core, ea.wrapping_add_signed(offset), bytes).map(|v| v as u64)
    };
    let (new, result) = match i.c {
        0..=7 => (combine(i.c, old, operand, bytes), old),
        8 => (Some(operand), old),
        16 => ((old != operand).then_some(second), old),
        24 | 25 => {
            let bound = other(core, bytes as i64)?;
            let go = if i.c == 24 { old != bound } else { old == bound };
            (go.then(|| old.wrapping_add(1)), if go { old } else { 1 << (8 * bytes - 1) })
        }
        28 => {
            let bound = other(core, -(bytes as i64))?;
            let go = old != bound;
            (go.then(|| old.wrapping_sub(1)), if go { old } else { 1 << (8 * bytes - 1) })
        }
        _ => return Err(Trap::DataStorage { ea, dsisr: 1 << 30 }),
    };
    if let Some(new) = new {
        write_number(core, ea, bytes, (new & mask) as u128)?;
    }
    core.cpu.regs.gpr[i.t as usize] = result;
    Ok(())
}

/// `stwat`, `stdat`.
fn store_atomic(core: &mut Core, i: &Ops) -> Outcome {
    let bytes = i.imm as usize;
    let ea = atomic_address(core, i, i.imm)?;
    let mask = if bytes == 4 { 0xffff_ffff } else { u64::MAX };
    let operand = core.cpu.regs.gpr[i.t as usize] & mask;
    let old = read_number(core, ea, bytes)? as u64;
    if i.c == 24 {
        // Store twin: both words if they are equal.
        let twin = ea.wrapping_add(bytes as u64);
        if read_number(core, twin, bytes)? as u64 == old {
            write_number(core, ea, bytes, operand as u128)?;
            write_number(core, twin, bytes, operand as u128)?;
        }
        return Ok(());
    }
    match combine(i.c, old, operand, bytes) {
        Some(new) => write_number(core, ea, bytes, (new & mask) as u128),
        None => Err(Trap::DataStorage { ea, dsisr: 1 << 30 }),
    }
}

fn quadword_address(core: &Core, i: &Ops, prefixed: bool) -> u64 {
    if prefixed && i.oe { core.cpu.regs.cia.wrapping_add(i.imm) } else { core.ea_d(i).0 }
}

fn load_quadword(core: &mut Core, i: &Ops, prefixed: bool) -> Outcome {
    check_pair(i, 16)?;
    let ea = core.check_alignment(quadword_address(core, i, prefixed), 16)?;
    let value = read_number(core, ea, 16)?;
    let value = in_order(core, prefixed, value);
    set_target(core, i.t, 16, value)
}

/// In little-endian mode `plq` and `pstq` have the doubleword at the lower address in the first register (I 3.3.4), `lq`
/// and `stq` the most significant one.
fn in_order(core: &Core, prefixed: bool, value: u128) -> u128 {
    if prefixed && core.cpu.little_endian() { value.rotate_left(64) } else { value }
}

fn store_quadword(core: &mut Core, i: &Ops, prefixed: bool) -> Outcome {
    check_pair(i, 16)?;
    let ea = core.check_alignment(quadword_address(core, i, prefixed), 16)?;
    let value = in_order(core, prefixed, source(core, i.t, 16));
    write_number(core, ea, 16, value)
}

fn big_endian_only(core: &mut Core, i: &Ops) -> Outcome {
    if core.cpu.little_endian() { Err(Trap::Alignment { ea: core.ea_d(i).0 }) } else { Ok(()) }
}

/// Where a string operation works and how many bytes: (RA|0) or (RA|0)+(RB), NB or XER[57:63].
fn string(core: &Core, i: &Ops) -> Result<(u64, usize), Trap> {
    let ea = core.ea_string(i);
    if core.cpu.little_endian() {
        return Err(Trap::Alignment { ea });
    }
    let bytes = if i.imm == u64::MAX { core.cpu.regs.xer_rest & 0x7f } else { i.imm };
    Ok((ea, bytes as usize))
}

fn load_string(core: &mut Core, i: &Ops) -> Outcome {
    let (ea, bytes) = string(core, i)?;
    let mut buffer = [0u8; 128];
    for (n, chunk) in buffer[..bytes].chunks_mut(16).enumerate() {
        core.read_bytes(ea.wrapping_add(16 * n as u64), chunk)?;
    }
    for (n, word) in buffer[..bytes.next_multiple_of(4)].chunks(4).enumerate() {
        let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        core.cpu.regs.gpr[(i.t as usize + n) & 31] = value as u64;
    }
    Ok(())
}

fn store_string(core: &mut Core, i: &Ops) -> Outcome {
    let (ea, bytes) = string(core, i)?;
    let mut buffer = [0u8; 128];
    for (n, word) in buffer[..bytes.next_multiple_of(4)].chunks_mut(4).enumerate() {
        let value = core.cpu.regs.gpr[(i.t as usize + n) & 31] as u32;
        word.copy_from_slice(&value.to_be_bytes());
    }
    if bytes != 0 {
        core.probe(N(ea), bytes as u32, true)?;
    }
    for (n, chunk) in buffer[..bytes].chunks(16).enumerate() {
        core.write_bytes(ea.wrapping_add(16 * n as u64), chunk)?;
    }
    Ok(())
}

/// `dcbz`: a cache block of zeros; Alignment where there is no cacheable storage.
fn zero_block(core: &mut Core, i: &Ops) -> Outcome {
    let ea = core.mode_address(core.ea_x(i).0);
    let real = core.real_to_clear(ea)? & !(GRANULE - 1);
    core.check_watchpoints(ea & !(GRANULE - 1), GRANULE as usize, Access::Store)?;
    let writer = Writer::Cpu(core.cpu.index);
    core.run.world.memory.zero(real, GRANULE, writer).map_err(|_| Trap::Alignment { ea })?;
    core.tell(ea & !(GRANULE - 1), [(real, GRANULE as usize), (0, 0)], true);
    Ok(())
}

fn copy(core: &mut Core, i: &Ops) -> Outcome {
    let ea = core.aligned(i, GRANULE)?;
    core.real(core.mode_address(ea), Access::Load)?;
    core.cpu.copy_pending = true;
    Ok(())
}

/// Pasting works only to accelerators, of which there are none: it fails.
fn paste(core: &mut Core, i: &Ops) -> Outcome {
    let ea = core.aligned(i, GRANULE)?;
    core.real(core.mode_address(ea), Access::Store)?;
    core.cpu.copy_pending = false;
    core.set_cr0_eq(false);
    Ok(())
}

/// `tlbie`, `tlbiel`, `tlbsync` (III 6.9.3.3): nothing is held that could be stale. The hypervisor must lend those that
/// concern other threads (LPCR[GTSE]), and keeps what invalidates partition-scoped radix translations.
fn invalidate(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    let lpcr = core.cpu.spr.lpcr;
    let global = op != SystemOp::Tlbiel && lpcr & lpcr::GTSE == 0;
    let partition_scoped = op != SystemOp::Tlbsync && i.c == 0 && lpcr & lpcr::HR != 0;
    if global || partition_scoped { core.hypervisor_privileged() } else { core.privileged() }
}

fn segment(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    core.privileged()?;
    let (rs, rb) = (core.gpr_value(i.t), core.gpr_value(i.b));
    let index = (rb & 0xfff) as usize;
    let entry = core.cpu.slb.entries.get(index).copied().unwrap_or_default();
    let valid = entry.esid & 1 << 27 != 0;
    match op {
        SystemOp::Slbmte => core.cpu.slb.write(rs, rb),
        SystemOp::Slbie => core.cpu.slb.invalidate(rb),
        SystemOp::Slbia => core.cpu.slb.invalidate_all(i.t),
        SystemOp::Slbmfee => {
            core.cpu.regs.gpr[i.t as usize] = if valid { entry.esid } else { 0 };
            return Ok(());
        }
        SystemOp::Slbmfev => {
            core.cpu.regs.gpr[i.t as usize] = if valid { entry.vsid } else { 0 };
            return Ok(());
        }
        SystemOp::Slbfee => {
            let found = core.cpu.slb.find(rb).copied();
            core.cpu.regs.gpr[i.t as usize] = found.map_or(0, |entry| entry.vsid);
            core.set_cr0_eq(found.is_some());
            return Ok(());
        }
        // slbieg, slbiag: global, for processes that use segment tables (UPRT); nothing is held of those.
        _ => return Ok(()),
    }
    core.cpu.context_changed();
    Ok(())
}

fn doorbell(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    let message = core.gpr_value(i.b);
    // Message type 5: directed; the only one.
    let directed = message >> 27 & 31 == 5;
    match op {
        SystemOp::Msgsnd | SystemOp::Msgclr => core.hypervisor_privileged()?,
        _ => {
            core.privileged()?;
            core.cpu.available(facility::MSGP)?;
        }
    }
    if !directed {
        return Ok(());
    }
    if let SystemOp::Msgsnd | SystemOp::Msgsndp = op {
        let hypervisor = op == SystemOp::Msgsnd;
        core.run.world.observe(core.count, || Observation::DoorbellSent { message, hypervisor });
    }
    match op {
        SystemOp::Msgsnd => core.run.exit(Exit::Doorbell { message, hypervisor: true }),
        SystemOp::Msgsndp => core.run.exit(Exit::Doorbell { message, hypervisor: false }),
        SystemOp::Msgclr => core.cpu.hypervisor_doorbell = false,
        _ => core.cpu.doorbell = false,
    }
    core.run.exit(Exit::Look);
    Ok(())
}

/// Caching-inhibited accesses by real address, hypervisor only (III 5.4.2).
fn inhibited(core: &mut Core, op: SystemOp, i: &Ops) -> Outcome {
    core.hypervisor_privileged()?;
    let bytes = i.imm as usize;
    let ea = core.aligned(i, i.imm)?;
    if op == SystemOp::LoadInhibited {
        let value = read_number(core, ea, bytes)?;
        set_target(core, i.t, bytes, value)
    } else {
        let value = source(core, i.t, bytes);
        write_number(core, ea, bytes, value)
    }
}

impl Core<'_, '_, '_> {
    /// An effective address as the current mode cuts it.
    fn mode_address(&self, ea: u64) -> u64 {
        if self.mode64() { ea } else { ea & 0xffff_ffff }
    }

    /// (RA|0) for the immediate forms, which give RB as 32, or (RA|0)+(RB).
    fn ea_string(&self, i: &Ops) -> u64 {
        self.mode_address(self.gpr_value(i.a).wrapping_add(self.gpr_value(i.b)))
    }
}
