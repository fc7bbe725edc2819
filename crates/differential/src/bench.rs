//! A CPU that executes a block instruction by instruction, without the guest around it: for making blocks, and for the
//! states between their instructions.

use crate::layout::{BLOCKS, WORDS, at, code_of, file, spr};
use crate::layout::{
    CODE, DATA, DATA_END, GPR, MEMORY, PMU, PMU_SPRS, READ_ONLY, Record, SEGMENTS, SLB, SPRS, VSCR, VSR,
    WINDOW, WINDOW_BYTES, kind,
};
use timebase_cpu::mmu::{Access, Slb, SlbEntry};
use timebase_cpu::{Bus, BusError, Clock, Engine, Exit, Interpreter, Model, Sprs, Vcpu, World};
use timebase_isa::{Ops, Regs};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

struct Nobody;
impl Bus for Nobody {
    fn load(&mut self, _: u32, _: u64, _: u8, _: Instant, _: &mut Memory) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn store(&mut self, _: u32, _: u64, _: u8, _: u64, _: Instant, _: &mut Memory) -> Result<(), BusError> {
        Err(BusError)
    }
}

/// V of an SLB entry.
const SLB_VALID: u64 = 1 << 27;

/// Everything that an instruction of a block may change.
#[derive(Clone)]
pub struct Saved {
    regs: Regs,
    spr: Sprs,
    slb: Slb,
    doorbells: [bool; 2],
    window: [u8; WINDOW_BYTES],
    reservation: timebase_memory::Reservation,
}

/// The CPU with its memory.
pub struct Bench {
    pub cpu: Vcpu,
    memory: Memory,
    engine: Interpreter,
    model: Model,
    /// Address of the code.
    pub code: u64,
}

impl Bench {
    /// Blocks stand at `place`.
    pub fn new(model: Model, place: usize) -> Bench {
        let mut memory = Memory::new(MEMORY, 1);
        memory.store(BLOCKS, &file(&[], 0, |_| 1), Writer::Other).expect("memory");
        let cpu = Vcpu::cold(0, model, true, 0, Instant::default());
        Bench { cpu, memory, engine: Interpreter::new(model), model, code: code_of(place) }
    }

    /// The state of a record, as the guest makes it.
    pub fn load(&mut self, record: &Record) {
        self.cpu = Vcpu::cold(0, self.model, true, 0, Instant::default());
        let cpu = &mut self.cpu;
        for (name, _) in SPRS {
            let value = record.get(spr(name));
            match name {
                "tar" => cpu.regs.tar = value,
                "vrsave" => cpu.regs.vrsave = value,
                _ => *field(&mut cpu.spr, name) = value,
            }
        }
        cpu.spr.lpcr = record.get(at::LPCR);
        cpu.spr.lpidr = record.get(at::LPIDR);
        cpu.spr.pidr = record.get(at::PIDR);
        cpu.spr.ptcr = BLOCKS + 0x1_0000;
        cpu.spr.amor = u64::MAX;
        cpu.spr.hsrr0 = record.get(at::NIA);
        cpu.spr.hsrr1 = record.get(at::MSR);
        let regs = &mut cpu.regs;
        record.put_registers(regs);
        (regs.nia, regs.cfar) = (record.get(at::NIA), record.get(at::CFAR));
        cpu.set_msr(record.get(at::MSR));
        cpu.context_changed();
        let kinds = record.get(at::KIND);
        if kinds & kind::SEGMENTS != 0 {
            for n in 0..SEGMENTS {
                let (first, second) = (record.get(SLB + 16 * n), record.get(SLB + 16 * n + 8));
                cpu.slb.write(second, first | n as u64);
            }
        }
        if kinds & kind::COUNTERS != 0 {
            for (n, (name, _)) in PMU_SPRS.iter().enumerate() {
                *field(&mut cpu.spr, name) = record.get(PMU + 8 * n);
            }
        }
        cpu.hypervisor_doorbell = kinds & kind::MSGSND != 0;
        cpu.doorbell = kinds & kind::MSGSNDP != 0;
        self.memory.store(WINDOW, &record.0[DATA..DATA_END], Writer::Other).expect("memory");
        self.memory.store(self.code, &record.0[CODE..], Writer::Other).expect("memory");
        self.memory.set_reservation(0, timebase_memory::Reservation::NONE);
        self.interrupt();
    }

    /// Takes interrupts that are pending and enabled.
    fn interrupt(&mut self) {
        self.cpu.look(Instant::default());
        while self.cpu.take_interrupt().is_some() {}
    }

    /// The state now as a record, with the code of `like`.
    pub fn record(&self, like: &Record) -> Record {
        let mut record = like.clone();
        let (regs, mut spr_now) = (&self.cpu.regs, self.cpu.spr.clone());
        for (name, _) in SPRS {
            let value = match name {
                "tar" => regs.tar,
                "vrsave" => regs.vrsave,
                _ => *field(&mut spr_now, name),
            };
            record.set(spr(name), value);
        }
        for n in 0..32 {
            record.set(GPR + 8 * n, regs.gpr[n]);
        }
        for n in 0..64 {
            record.set(VSR + 16 * n, regs.vsr[n][0]);
            record.set(VSR + 16 * n + 8, regs.vsr[n][1]);
        }
        record.set(at::CR, regs.cr_packed());
        record.set(at::XER, regs.xer());
        record.set(at::LR, regs.lr);
        record.set(at::CTR, regs.ctr);
        record.set(at::FPSCR, regs.fpscr);
        record.set(VSCR, regs.vscr);
        record.set(at::NIA, regs.nia);
        record.set(at::CFAR, regs.cfar);
        record.set(at::MSR, regs.msr);
        record.0[DATA..DATA_END].copy_from_slice(&self.window());
        let kinds = record.get(at::KIND);
        for (n, entry) in self.cpu.slb.entries[..SEGMENTS].iter().enumerate() {
            let valid = kinds & kind::SEGMENTS != 0 && entry.esid & SLB_VALID != 0;
            record.set(SLB + 16 * n, if valid { entry.esid } else { 0 });
            record.set(SLB + 16 * n + 8, if valid { entry.vsid } else { 0 });
        }
        if kinds & kind::COUNTERS != 0 {
            for (n, (name, _)) in PMU_SPRS.iter().enumerate() {
                record.set(PMU + 8 * n, *field(&mut spr_now, name));
            }
        }
        if kinds & kind::DOORBELLS != 0 {
            let pending = |is: bool, bit| if is { bit } else { 0 };
            let sent = pending(self.cpu.hypervisor_doorbell, kind::MSGSND);
            record.set(at::KIND, kind::DOORBELLS | sent | pending(self.cpu.doorbell, kind::MSGSNDP));
        }
        record
    }

    fn window(&self) -> [u8; WINDOW_BYTES] {
        let mut bytes = [0; WINDOW_BYTES];
        self.memory.read(WINDOW, &mut bytes).expect("memory");
        bytes
    }

    /// Writes a word of code in the byte order that the CPU is in.
    pub fn put(&mut self, n: usize, word: u32) {
        let bytes = if self.cpu.little_endian() { word.to_le_bytes() } else { word.to_be_bytes() };
        self.memory.store(self.code + 4 * n as u64, &bytes, Writer::Other).expect("memory");
    }

    /// The word of code at `n`, with the next one below it.
    pub fn word_at(&self, n: usize, little: bool) -> u64 {
        let word = |n: usize| {
            let word = self.memory.read_u32(self.code + 4 * n as u64).expect("memory");
            (if little { word.swap_bytes() } else { word }) as u64
        };
        word(n) << 32 | if n + 1 < WORDS { word(n + 1) } else { 0 }
    }

    /// Everything an instruction may change.
    pub fn save(&self) -> Saved {
        let (regs, spr) = (self.cpu.regs.clone(), self.cpu.spr.clone());
        let (slb, doorbells) = (self.cpu.slb.clone(), [self.cpu.hypervisor_doorbell, self.cpu.doorbell]);
        Saved { regs, spr, slb, doorbells, window: self.window(), reservation: self.memory.reservation(0) }
    }

    /// Goes back.
    pub fn restore(&mut self, saved: &Saved) {
        self.cpu.set_msr(saved.regs.msr);
        self.cpu.regs = saved.regs.clone();
        self.cpu.spr = saved.spr.clone();
        self.cpu.slb = saved.slb.clone();
        [self.cpu.hypervisor_doorbell, self.cpu.doorbell] = saved.doorbells;
        self.cpu.look(Instant::default());
        self.cpu.context_changed();
        self.memory.store(WINDOW, &saved.window, Writer::Other).expect("memory");
        self.memory.set_reservation(0, saved.reservation);
    }

    /// Executes one instruction, and takes the interrupt that is enabled then.
    pub fn step(&mut self) {
        let mut world = World {
            observed: None,
            memory: &mut self.memory,
            bus: &mut Nobody,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: 0,
            passed: None,
        };
        let outcome = self.engine.run(&mut self.cpu, &mut world, 1);
        match outcome.exit {
            // PIR and TIR are 0.
            Exit::Doorbell { message, hypervisor: true } => {
                self.cpu.hypervisor_doorbell |= message & 0xf_ffff == 0
            }
            Exit::Doorbell { message, .. } => self.cpu.doorbell |= message & 0x7f == 0,
            Exit::Rest => {
                self.cpu.look(Instant::default());
                self.cpu.leave_stop();
            }
            _ => {}
        }
        self.interrupt();
    }

    /// The instruction that is next can be fetched.
    pub fn fetches(&self) -> bool {
        self.cpu.translate(&self.memory, self.cpu.regs.nia, Access::Fetch).is_ok()
    }

    /// `slbmte` would make a second entry for some address.
    pub fn overlaps(&self, ops: &Ops) -> bool {
        let (rs, rb) = (self.cpu.regs.gpr[ops.t as usize & 31], self.cpu.regs.gpr[ops.b as usize & 31]);
        let mut slb = self.cpu.slb.clone();
        slb.write(rs, rb);
        let valid = || slb.entries.iter().filter(|entry| entry.esid & SLB_VALID != 0);
        let meet =
            |a: &SlbEntry, b: &SlbEntry| (a.esid ^ b.esid) >> a.segment_shift().max(b.segment_shift()) == 0;
        valid().any(|a| valid().filter(|b| meet(a, b)).count() > 1)
    }

    /// The peer lets the guest make the entries of the SLB that there are: none with a B or L and LP that is reserved, which
    /// an instruction of a block may have made here.
    pub fn loads(&self) -> bool {
        const SIZE: u64 = 3 << 62;
        const PAGE: u64 = 0x130;
        let known = |entry: &SlbEntry| {
            entry.vsid & SIZE <= 1 << 62 && matches!(entry.vsid & PAGE, 0 | 0x100 | 0x110 | 0x120)
        };
        self.cpu.slb.entries[..SEGMENTS].iter().filter(|entry| entry.esid & SLB_VALID != 0).all(known)
    }

    /// Something may be stored at an effective address.
    pub fn may_store(&self, address: u64) -> bool {
        self.cpu.translate(&self.memory, address, Access::Store).is_ok()
    }

    /// The number of the word that is next; None if an interrupt or a jump led elsewhere.
    pub fn next(&self) -> Option<usize> {
        let nia = self.cpu.regs.nia;
        let nia = if self.cpu.regs.msr >> 63 == 0 { nia & 0xffff_ffff } else { nia };
        let distance = nia.wrapping_sub(self.code);
        (distance < 4 * WORDS as u64).then_some(distance as usize / 4)
    }

    /// An interrupt was taken.
    pub fn interrupted(&self) -> bool {
        let nia = self.cpu.regs.nia;
        let vector = (0x100..0x2000).contains(&nia) || (0x1_7000..0x1_8000).contains(&nia);
        vector && self.cpu.regs.msr & (timebase_cpu::bits::msr::IR | timebase_cpu::bits::msr::PR) == 0
    }

    /// An access is wholly in the window.
    pub fn harmless(address: u64, bytes: u64) -> bool {
        (WINDOW..=WINDOW + WINDOW_BYTES as u64 - bytes).contains(&address)
    }

    /// The address is in the pages of the window.
    pub fn beside(address: u64) -> bool {
        (WINDOW & !0xfff..READ_ONLY).contains(&address)
    }
}

fn field<'a>(spr: &'a mut Sprs, name: &str) -> &'a mut u64 {
    match name {
        "srr0" => &mut spr.srr0,
        "srr1" => &mut spr.srr1,
        "dar" => &mut spr.dar,
        "dsisr" => &mut spr.dsisr,
        "dscr" => &mut spr.dscr,
        "sprg0" => &mut spr.sprg0,
        "sprg1" => &mut spr.sprg1,
        "sprg2" => &mut spr.sprg2,
        "sprg3" => &mut spr.sprg3,
        "fscr" => &mut spr.fscr,
        "amr" => &mut spr.amr,
        "iamr" => &mut spr.iamr,
        "uamor" => &mut spr.uamor,
        "hsrr0" => &mut spr.hsrr0,
        "hsrr1" => &mut spr.hsrr1,
        "hfscr" => &mut spr.hfscr,
        "hsprg0" => &mut spr.hsprg0,
        "hsprg1" => &mut spr.hsprg1,
        "hdar" => &mut spr.hdar,
        "hdsisr" => &mut spr.hdsisr,
        "heir" => &mut spr.heir,
        "asdr" => &mut spr.asdr,
        "pmc1" => &mut spr.pmc1,
        "pmc2" => &mut spr.pmc2,
        "pmc3" => &mut spr.pmc3,
        "pmc4" => &mut spr.pmc4,
        "pmc5" => &mut spr.pmc5,
        "pmc6" => &mut spr.pmc6,
        "mmcr0" => &mut spr.mmcr0,
        "mmcr1" => &mut spr.mmcr1,
        "mmcr2" => &mut spr.mmcr2,
        "mmcr3" => &mut spr.mmcr3,
        "mmcra" => &mut spr.mmcra,
        "sier" => &mut spr.sier,
        "sier2" => &mut spr.sier2,
        "sier3" => &mut spr.sier3,
        "siar" => &mut spr.siar,
        "sdar" => &mut spr.sdar,
        "ppr" => &mut spr.ppr,
        other => unreachable!("{other} is not in Sprs"),
    }
}
