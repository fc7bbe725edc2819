//! Interrupts: which are pending, which comes first, and how they are delivered (Power ISA Book III chapter 7).
//!
//! An asynchronous interrupt is taken between two instructions and counts as none. What POWER9 does and the book
//! leaves open: an interrupt leaves no trace of a prefixed instruction but SRR1[34].

use crate::bits::{dsisr, lpcr, msr, psscr, srr1};
use crate::observe::Observation;
use crate::{Model, Vcpu};
use timebase_isa::Trap;
use timebase_state::Instant;

macro_rules! vectors {
    ($($name:ident $text:literal $offset:literal;)*) => {
        /// An interrupt, by the book's name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the book's names say it")]
        pub enum Vector { $($name),* }

        use Vector::*;

        impl Vector {
            /// All of them.
            pub const ALL: &[Vector] = &[$($name),*];

            /// The book's name in lower case.
            pub const fn name(self) -> &'static str {
                match self { $($name => $text),* }
            }

            /// Effective address of the vector, relocation off.
            pub const fn offset(self) -> u64 {
                match self { $($name => $offset),* }
            }
        }
    };
}

vectors! {
    SystemReset "system-reset" 0x100;
    MachineCheck "machine-check" 0x200;
    DataStorage "data-storage" 0x300;
    DataSegment "data-segment" 0x380;
    InstructionStorage "instruction-storage" 0x400;
    InstructionSegment "instruction-segment" 0x480;
    External "external" 0x500;
    Alignment "alignment" 0x600;
    Program "program" 0x700;
    FloatingPointUnavailable "floating-point-unavailable" 0x800;
    Decrementer "decrementer" 0x900;
    HypervisorDecrementer "hypervisor-decrementer" 0x980;
    DirectedPrivilegedDoorbell "directed-privileged-doorbell" 0xa00;
    SystemCall "system-call" 0xc00;
    Trace "trace" 0xd00;
    HypervisorDataStorage "hypervisor-data-storage" 0xe00;
    HypervisorInstructionStorage "hypervisor-instruction-storage" 0xe20;
    HypervisorEmulationAssistance "hypervisor-emulation-assistance" 0xe40;
    HypervisorMaintenance "hypervisor-maintenance" 0xe60;
    DirectedHypervisorDoorbell "directed-hypervisor-doorbell" 0xe80;
    HypervisorVirtualization "hypervisor-virtualization" 0xea0;
    PerformanceMonitor "performance-monitor" 0xf00;
    VectorUnavailable "vector-unavailable" 0xf20;
    VsxUnavailable "vsx-unavailable" 0xf40;
    FacilityUnavailable "facility-unavailable" 0xf60;
    HypervisorFacilityUnavailable "hypervisor-facility-unavailable" 0xf80;
    SystemCallVectored "system-call-vectored" 0x1_7000;
}

impl Vector {
    /// How many there are.
    pub const COUNT: usize = Vector::ALL.len();

    /// The interrupt saves into HSRR0/1.
    const fn hypervisor(self) -> bool {
        matches!(
            self,
            HypervisorDecrementer
                | HypervisorDataStorage
                | HypervisorInstructionStorage
                | HypervisorEmulationAssistance
                | HypervisorMaintenance
                | DirectedHypervisorDoorbell
                | HypervisorVirtualization
                | HypervisorFacilityUnavailable
        )
    }

    /// LPCR[AIL] or LPCR[HAIL] moves it.
    const fn relocatable(self) -> bool {
        !matches!(self, SystemReset | MachineCheck | HypervisorMaintenance)
    }
}

/// What could interrupt a vCPU, enabled or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending(pub(crate) u32);

impl Pending {
    const SYSTEM_RESET: u32 = 1;
    const EXTERNAL: u32 = 2;
    const DECREMENTER: u32 = 4;
    const DOORBELL: u32 = 8;
    const HYPERVISOR_DECREMENTER: u32 = 16;
    const HYPERVISOR_DOORBELL: u32 = 32;
    const VIRTUALIZATION: u32 = 64;
    const PERFORMANCE_MONITOR: u32 = 128;
    /// An event-based branch, which problem state takes.
    const EVENT: u32 = 256;
    const MAINTENANCE: u32 = 1024;
    /// No interrupt: the run is to end.
    pub(crate) const LOOK: u32 = 512;
    /// Those that MSR[EE] enables.
    const BY_EE: u32 = Self::EXTERNAL | Self::DECREMENTER | Self::DOORBELL | Self::PERFORMANCE_MONITOR;
    /// Those that MSR[EE] or leaving hypervisor state enables.
    const BY_EE_OR_GUEST: u32 =
        Self::HYPERVISOR_DECREMENTER | Self::HYPERVISOR_DOORBELL | Self::VIRTUALIZATION | Self::MAINTENANCE;
}

/// The bit of an asynchronous interrupt.
fn bit_of(vector: Vector) -> u32 {
    match vector {
        SystemReset => Pending::SYSTEM_RESET,
        External => Pending::EXTERNAL,
        HypervisorVirtualization => Pending::VIRTUALIZATION,
        Decrementer => Pending::DECREMENTER,
        DirectedPrivilegedDoorbell => Pending::DOORBELL,
        HypervisorDecrementer => Pending::HYPERVISOR_DECREMENTER,
        DirectedHypervisorDoorbell => Pending::HYPERVISOR_DOORBELL,
        PerformanceMonitor => Pending::PERFORMANCE_MONITOR,
        HypervisorMaintenance => Pending::MAINTENANCE,
        _ => 0,
    }
}

/// Bits of SRR1 that do not come from MSR: 33:36 and 42:47.
const SRR1_CAUSE: u64 = 0x783f_0000;

impl Vcpu {
    /// Looks at everything that could interrupt at `now`. To be called whenever time or a line may have moved.
    pub fn look(&mut self, now: Instant) {
        self.latch_hdec(now);
        self.look_at_counters(now);
        let mut pending = 0;
        let mut add = |condition, bit| pending |= if condition { bit } else { 0 };
        add(self.system_reset, Pending::SYSTEM_RESET);
        add(self.external, Pending::EXTERNAL);
        add(self.dec_exception(now), Pending::DECREMENTER);
        add(self.doorbell, Pending::DOORBELL);
        add(self.hdec_latched && self.spr.lpcr & lpcr::HDICE != 0, Pending::HYPERVISOR_DECREMENTER);
        add(self.hypervisor_doorbell, Pending::HYPERVISOR_DOORBELL);
        add(self.virtualization, Pending::VIRTUALIZATION);
        add(self.performance_exception(), Pending::PERFORMANCE_MONITOR);
        add(self.event_pending(), Pending::EVENT);
        add(self.has_hypervisor && self.spr.hmer & self.spr.hmeer != 0, Pending::MAINTENANCE);
        self.pending = Pending(pending);
    }

    /// Something is pending and enabled.
    #[inline(always)]
    pub fn interruptible(&self) -> bool {
        self.pending.0 != 0 && self.enabled() != 0
    }

    fn enabled(&self) -> u32 {
        let mut enabled = Pending::SYSTEM_RESET | Pending::LOOK;
        let ee = self.regs.msr & msr::EE != 0;
        if ee {
            enabled |= Pending::BY_EE;
        }
        if ee || self.regs.msr & msr::HV == 0 {
            enabled |= Pending::BY_EE_OR_GUEST;
            if self.spr.lpcr & lpcr::HVICE == 0 {
                enabled &= !Pending::VIRTUALIZATION;
            }
        }
        if self.problem() && self.events_available() {
            enabled |= Pending::EVENT;
        }
        self.pending.0 & enabled
    }

    /// Something is pending that ends a rest (H_CEDE, `stop`), enabled or not.
    pub fn wakes(&self) -> bool {
        self.pending.0 & self.exits() != 0
    }

    /// `stop` is left through the system reset vector (PSSCR[EC], III 3.3.1), and by what LPCR[PECE] lets.
    fn stops_to_reset(&self) -> bool {
        self.has_hypervisor && self.spr.psscr & psscr::EC != 0
    }

    /// What ends a rest.
    fn exits(&self) -> u32 {
        if !self.stops_to_reset() {
            return !(Pending::EVENT | Pending::LOOK);
        }
        let by = |bit, pending| if self.spr.lpcr & bit != 0 { pending } else { 0 };
        Pending::SYSTEM_RESET
            | by(lpcr::PECE_VIRTUALIZATION, Pending::VIRTUALIZATION)
            | by(lpcr::PECE_DOORBELL, Pending::DOORBELL)
            | by(lpcr::PECE_HYPERVISOR_DOORBELL, Pending::HYPERVISOR_DOORBELL)
            | by(lpcr::PECE_MAINTENANCE, Pending::MAINTENANCE)
            | by(lpcr::PECE_EXTERNAL, Pending::EXTERNAL)
            | by(lpcr::PECE_DECREMENTER, Pending::DECREMENTER | Pending::HYPERVISOR_DECREMENTER)
    }

    /// The rest by `stop` ends. If PSSCR[EC] is set the thread goes on at the system reset vector, where SRR1 says what
    /// woke it (III 7.5.1) and that no state was lost. The interrupt itself stays pending.
    pub fn leave_stop(&mut self) {
        if !self.stops_to_reset() {
            return;
        }
        const NO_LOSS: u64 = 1 << 16;
        let pending = self.pending.0 & self.exits();
        let reasons = [
            (Pending::SYSTEM_RESET, 0b0100),
            (Pending::MAINTENANCE, 0b1010),
            (Pending::VIRTUALIZATION, 0b1001),
            (Pending::EXTERNAL, 0b1000),
            (Pending::DECREMENTER | Pending::HYPERVISOR_DECREMENTER, 0b0110),
            (Pending::DOORBELL, 0b0101),
            (Pending::HYPERVISOR_DOORBELL, 0b0011),
        ];
        let reason = reasons.iter().find(|(bits, _)| pending & bits != 0).map_or(0, |&(_, reason)| reason);
        if pending & Pending::SYSTEM_RESET != 0 {
            self.system_reset = false;
            self.pending.0 &= !Pending::SYSTEM_RESET;
        }
        self.enter(SystemReset, self.regs.nia, reason << 18 | NO_LOSS);
    }

    /// Takes the most important interrupt that is pending and enabled, at the boundary before NIA.
    /// [`Vcpu::look`] must have been called for this instant.
    pub fn take_interrupt(&mut self) -> Option<Vector> {
        let enabled = self.enabled();
        let has = |bit| enabled & bit != 0;
        // Those that delivery clears are pending no more; the others are levels.
        let delivered = Pending::SYSTEM_RESET
            | Pending::HYPERVISOR_DECREMENTER
            | Pending::DOORBELL
            | Pending::HYPERVISOR_DOORBELL;
        let vector = if has(Pending::SYSTEM_RESET) {
            self.system_reset = false;
            SystemReset
        } else if has(Pending::MAINTENANCE) {
            HypervisorMaintenance
        } else if has(Pending::HYPERVISOR_DECREMENTER) {
            self.hdec_latched = false;
            HypervisorDecrementer
        } else if has(Pending::VIRTUALIZATION) {
            HypervisorVirtualization
        } else if has(Pending::EXTERNAL) {
            External
        } else if has(Pending::DECREMENTER) {
            Decrementer
        } else if has(Pending::PERFORMANCE_MONITOR) {
            PerformanceMonitor
        } else if has(Pending::DOORBELL) {
            self.doorbell = false;
            DirectedPrivilegedDoorbell
        } else if has(Pending::HYPERVISOR_DOORBELL) {
            self.hypervisor_doorbell = false;
            DirectedHypervisorDoorbell
        } else {
            if has(Pending::EVENT) {
                self.pending.0 &= !Pending::EVENT;
                self.branch_by_event();
            }
            return None;
        };
        self.pending.0 &= !(enabled & delivered & bit_of(vector));
        self.enter(vector, self.regs.nia, 0);
        Some(vector)
    }

    /// What there is to tell of an interrupt that was just delivered.
    pub fn interrupted_by(&self, vector: Vector) -> Observation {
        let spr = &self.spr;
        let (resume, cause) = match vector {
            SystemCallVectored => (self.regs.lr, self.regs.ctr),
            _ if self.saves_to_hsrr(vector) => (spr.hsrr0, spr.hsrr1),
            _ => (spr.srr0, spr.srr1),
        };
        let (address, status) =
            if vector == HypervisorDataStorage { (spr.hdar, spr.hdsisr) } else { (spr.dar, spr.dsisr) };
        Observation::Interrupt { vector, resume, cause, address, status }
    }

    /// Delivers the synchronous interrupt that the instruction at CIA (NIA: the one after it) raised.
    /// `prefixed`: it has two words.
    pub(crate) fn deliver(&mut self, trap: Trap, prefixed: bool) -> Vector {
        let here = self.regs.cia;
        if !matches!(
            trap,
            Trap::SystemCall { .. } | Trap::SystemCallVectored { .. } | Trap::FpEnabledByMsr { .. }
        ) {
            self.not_completed();
        }
        let program = |cause| (Program, cause);
        let (vector, cause) = match trap {
            Trap::Illegal if self.has_hypervisor => (HypervisorEmulationAssistance, 0),
            Trap::Illegal => program(srr1::PROGRAM_ILLEGAL),
            Trap::Privileged => program(srr1::PROGRAM_PRIVILEGED),
            Trap::TrapInstruction => program(srr1::PROGRAM_TRAP),
            Trap::FpEnabled => program(srr1::PROGRAM_FP),
            Trap::FpEnabledByMsr { .. } => program(srr1::PROGRAM_FP | srr1::PROGRAM_LATER),
            Trap::TmBadThing => program(srr1::PROGRAM_TM),
            Trap::FpUnavailable => (FloatingPointUnavailable, 0),
            Trap::VectorUnavailable => (VectorUnavailable, 0),
            Trap::VsxUnavailable => (VsxUnavailable, 0),
            Trap::Facility(cause) => {
                self.spr.fscr = self.spr.fscr & !(0xff << 56) | (cause as u64) << 56;
                (FacilityUnavailable, 0)
            }
            Trap::HypervisorFacility(cause) => {
                self.spr.hfscr = self.spr.hfscr & !(0xff << 56) | (cause as u64) << 56;
                (HypervisorFacilityUnavailable, 0)
            }
            Trap::Alignment { ea } => {
                // The upper half is 0 in 32-bit mode (I 1.11.3), where the sum may have one.
                let narrow = self.regs.msr & msr::SF == 0;
                self.spr.dar = if narrow { ea & 0xffff_ffff } else { ea };
                self.spr.dsisr = 0;
                (Alignment, 0)
            }
            Trap::DataStorage { ea, dsisr } => {
                self.spr.dar = ea;
                self.spr.dsisr = dsisr as u64;
                (DataStorage, 0)
            }
            Trap::DataSegment { ea } => {
                self.spr.dar = ea;
                (DataSegment, 0)
            }
            Trap::InstructionStorage { srr1 } => (InstructionStorage, srr1),
            Trap::InstructionSegment => (InstructionSegment, 0),
            Trap::HypervisorDataStorage { ea, gra, hdsisr } => {
                self.spr.hdar = ea;
                self.spr.hdsisr = hdsisr as u64;
                self.spr.asdr = gra;
                (HypervisorDataStorage, 0)
            }
            Trap::HypervisorInstructionStorage { gra, hsrr1 } => {
                self.spr.asdr = gra;
                (HypervisorInstructionStorage, hsrr1)
            }
            // ISA 3.1 tells LEV.
            Trap::SystemCall { lev } if self.model == Model::Power10 => (SystemCall, (lev as u64 & 3) << 20),
            Trap::SystemCall { .. } => (SystemCall, 0),
            Trap::SystemCallVectored { lev } => {
                self.enter_vectored(lev);
                return SystemCallVectored;
            }
            Trap::MachineCheck { ea, fetch } => {
                if !fetch {
                    self.spr.dar = ea;
                    self.spr.dsisr = dsisr::BAD_REAL_ADDRESS as u64;
                }
                (MachineCheck, if fetch { srr1::BAD_REAL_FETCH } else { srr1::BY_DSISR })
            }
        };
        // Of all but fetches the book says whether a prefixed instruction was the cause (ISA 3.1 III 7.5).
        let fetch = matches!(
            trap,
            Trap::InstructionStorage { .. }
                | Trap::InstructionSegment
                | Trap::HypervisorInstructionStorage { .. }
                | Trap::MachineCheck { fetch: true, .. }
        );
        let cause = cause | if prefixed && !fetch { srr1::PREFIXED } else { 0 };
        let resume = match trap {
            Trap::SystemCall { .. } => self.regs.nia,
            Trap::FpEnabledByMsr { resume } => resume,
            _ => here,
        };
        let calls_hypervisor = matches!(trap, Trap::SystemCall { lev } if lev & 1 != 0);
        self.enter_in(vector, resume, cause, calls_hypervisor);
        vector
    }

    /// Enters an interrupt handler: saves where to resume and MSR, and makes the new MSR and NIA.
    pub(crate) fn enter(&mut self, vector: Vector, resume: u64, cause: u64) {
        self.enter_in(vector, resume, cause, false);
    }

    /// The same; `calls_hypervisor`: the interrupt goes to hypervisor state whatever its vector, for it is a system call
    /// of level 1 (Power ISA 3.0B, Book III, 6.5, "MSR setting due to interrupt").
    fn enter_in(&mut self, vector: Vector, resume: u64, cause: u64, calls_hypervisor: bool) {
        let old = self.regs.msr;
        let saved = old & !SRR1_CAUSE | cause;
        let to_hypervisor =
            self.has_hypervisor && (calls_hypervisor || vector.hypervisor() || self.hypervisor_takes(vector));
        if self.saves_to_hsrr(vector) {
            self.spr.hsrr0 = resume;
            self.spr.hsrr1 = saved;
        } else {
            self.spr.srr0 = resume;
            self.spr.srr1 = saved;
        }
        // Interrupts that save into HSRR0 and HSRR1 leave RI alone (III 7.5, "MSR setting due to interrupt").
        let recoverable = if self.saves_to_hsrr(vector) { msr::RI } else { 0 };
        let mut new = msr::SF | old & (msr::ME | msr::HV | recoverable);
        if to_hypervisor {
            new |= msr::HV;
        }
        if vector == MachineCheck {
            new &= !msr::ME;
        }
        let little =
            if new & msr::HV != 0 { self.spr.hid0 >> 59 & 1 != 0 } else { self.spr.lpcr & lpcr::ILE != 0 };
        if little {
            new |= msr::LE;
        }
        let (base, relocated) = self.location(vector, old, new);
        if relocated {
            new |= msr::IR | msr::DR;
        }
        self.set_msr(new);
        self.regs.nia = base + vector.offset();
    }

    /// The interrupt saves into HSRR0/1.
    fn saves_to_hsrr(&self, vector: Vector) -> bool {
        let taken = self.has_hypervisor && self.hypervisor_takes(vector);
        vector.hypervisor() || taken && vector == External
    }

    /// Interrupts that go to hypervisor state where there is one.
    fn hypervisor_takes(&self, vector: Vector) -> bool {
        match vector {
            SystemReset | MachineCheck => true,
            External => self.spr.lpcr & lpcr::LPES == 0,
            _ => false,
        }
    }

    /// Where the handlers are (LPCR[AIL], LPCR[HAIL]) and whether they run relocated (III 7.4 and the LPCR of each book):
    /// AIL is for interrupts that find both relocations on. On POWER9 it does not count where a guest that hashes is
    /// interrupted into hypervisor state. On POWER10 HAIL says it of all handlers in hypervisor state, whatever relocations
    /// a guest had on, and AIL 2 is reserved.
    fn location(&self, vector: Vector, old: u64, new: u64) -> (u64, bool) {
        if !vector.relocatable() {
            return (0, false);
        }
        let both = msr::IR | msr::DR;
        let relocated = old & both == both;
        let rises = old & msr::HV != new & msr::HV;
        let lpcr = self.spr.lpcr;
        let ail = (lpcr & lpcr::AIL) >> lpcr::AIL_SHIFT;
        let ail = match self.model {
            Model::Power10 if new & msr::HV != 0 => {
                let counts = lpcr & lpcr::HAIL != 0 && (relocated || rises);
                u64::from(counts) * 3
            }
            Model::Power10 if ail == 2 => 0,
            Model::Power9 if rises && lpcr & lpcr::HR == 0 => 0,
            _ if relocated => ail,
            _ => 0,
        };
        match ail {
            2 => (0x1_8000, true),
            3 => (0xc000_0000_0000_4000, true),
            _ => (0, false),
        }
    }

    /// `scv` (III 7.5.27): LR and CTR keep what SRR0 and SRR1 would; EE and RI stay.
    fn enter_vectored(&mut self, lev: u8) {
        let old = self.regs.msr;
        self.regs.lr = self.regs.nia;
        self.regs.ctr = old & !SRR1_CAUSE;
        let mut new = msr::SF | old & (msr::ME | msr::HV | msr::EE | msr::RI);
        if self.spr.lpcr & lpcr::ILE != 0 && new & msr::HV == 0
            || self.spr.hid0 >> 59 & 1 != 0 && new & msr::HV != 0
        {
            new |= msr::LE;
        }
        let (base, relocated) = self.location(SystemCallVectored, old, new);
        let base = match base {
            0xc000_0000_0000_4000 => 0xc000_0000_0000_3000,
            0x1_8000 => 0x1_7000 + 0x1_8000,
            _ => 0x1_7000,
        };
        if relocated {
            new |= msr::IR | msr::DR;
        }
        self.set_msr(new);
        self.regs.nia = base + 0x20 * lev as u64;
    }
}
