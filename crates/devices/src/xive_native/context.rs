//! Operations of software on a thread's context (XIVE specification, "Thread Context Operations"): by address and size
//! in the pages of thread contexts.

use super::XiveNative;
use super::present::Returned;
use super::queue::Generation;
use super::registers_10;
use super::thread::{ACK_COUNT, CPPR, IPB, LGS, NSR, OGEN, OS, PHYSICAL, PIPR, POOL, USER, WORD2};
use timebase_memory::{Memory, Writer};

/// Operations start here; bits 7 and 8 of an offset choose who on the bus answers, which makes no difference.
const OPERATIONS: u64 = 0x800;
const ANSWERS: u64 = 0x180;

impl XiveNative {
    /// A load of `bytes` bytes through `page`: 0 and 1 for the hypervisor, 2 for the operating system, 3 for users.
    pub(super) fn load_context(
        &mut self,
        thread: usize,
        page: u8,
        offset: u64,
        bytes: u8,
        memory: &mut Memory,
    ) -> u64 {
        let (hypervisor, system) = (page < 2, page < 3);
        let second = self.generation == Generation::Second;
        let pulled = |word2: u32| (word2 as u64) << (8 * (bytes as u32).saturating_sub(4));
        let at = if offset & 0xfff < OPERATIONS { offset & 0xfff } else { offset & 0xfff & !ANSWERS };
        match (at, bytes) {
            (0x800, 1) => {
                let was = self.threads[thread].byte(USER + NSR);
                self.threads[thread].set_byte(USER + NSR, 0);
                was as u64
            }
            (0x810, 2) if system => self.accept(thread, OS, memory) as u64,
            (0x830, 2) if hypervisor => self.accept(thread, PHYSICAL, memory) as u64,
            (0x808, 4) if system => pulled(self.pull(thread, USER, memory)),
            (0x818, 4 | 8) if hypervisor => pulled(self.pull(thread, OS, memory)),
            (0x828, 4 | 8) if hypervisor => pulled(self.pull(thread, POOL, memory)),
            (0x810, 4 | 8) if hypervisor && second => pulled(self.pull(thread, OS, memory)),
            (0x820, 4 | 8) if hypervisor && second => pulled(self.pull(thread, POOL, memory)),
            (0x830 | 0x838, 4 | 8) if hypervisor && second => pulled(self.pull(thread, PHYSICAL, memory)),
            (0x838, 1) if hypervisor && second => (self.pull(thread, PHYSICAL, memory) >> 24) as u64,
            (0..0x40, _) => self.threads[thread].read(page, at as usize, bytes),
            _ => u64::MAX >> (64 - 8 * bytes as u32),
        }
    }

    /// A store of `bytes` bytes.
    pub(super) fn store_context(
        &mut self,
        thread: usize,
        page: u8,
        (offset, bytes): (u64, u8),
        value: u64,
        memory: &mut Memory,
    ) {
        const OS_CPPR: u64 = (OS + CPPR) as u64;
        const OS_LGS: u64 = (OS + LGS) as u64;
        const PHYSICAL_CPPR: u64 = (PHYSICAL + CPPR) as u64;
        let (hypervisor, system) = (page < 2, page < 3);
        let mut returned = Returned::new();
        let at = if offset & 0xfff < OPERATIONS { offset & 0xfff } else { offset & 0xfff & !ANSWERS };
        match (at, bytes) {
            (OS_CPPR, 1) if system => self.set_priority(thread, OS, value as u8, &mut returned, memory),
            (PHYSICAL_CPPR, 1) if hypervisor => {
                self.set_priority(thread, PHYSICAL, value as u8, &mut returned, memory);
            }
            (OS_LGS, 1) if system => self.threads[thread].set_byte(OS + LGS, value as u8),
            (0x812, 1) if system => self.deliver(thread, OS, value as u8, &mut returned, memory),
            (0x808, 4) if system => self.threads[thread].write(USER + WORD2, 4, value),
            (0xc10, 1) if system => self.accept_to_line(thread, OS, OS, memory),
            (0xc20, 1) if hypervisor => self.accept_to_line(thread, PHYSICAL, POOL, memory),
            (0xc30, 1) if hypervisor => self.accept_to_line(thread, PHYSICAL, PHYSICAL, memory),
            (0xc08, 1) if hypervisor => self.pull_to_line(thread, USER, memory),
            (0xc18, 1) if hypervisor => self.pull_to_line(thread, OS, memory),
            (0xc28, 1) if hypervisor => self.pull_to_line(thread, POOL, memory),
            (0xc38, 1) if hypervisor => self.pull_to_line(thread, PHYSICAL, memory),
            (0..0x40, _) if hypervisor => self.write_rings(thread, at as usize, bytes, value, memory),
            _ => {}
        }
        self.hand_on(returned, memory);
    }

    /// Writes rings as they are. A target that so comes to a ring brings its context with it.
    fn write_rings(&mut self, thread: usize, at: usize, bytes: u8, value: u64, memory: &mut Memory) {
        let valid = |xive: &XiveNative| [OS, POOL, PHYSICAL].map(|ring| xive.threads[thread].is_valid(ring));
        let before = valid(self);
        self.threads[thread].write(at, bytes, value);
        for (ring, (was, is)) in [OS, POOL, PHYSICAL].into_iter().zip(before.into_iter().zip(valid(self))) {
            if is && !was {
                self.restore(thread, ring, memory);
            }
        }
        for signal in [OS, PHYSICAL] {
            self.look(thread, signal, memory);
        }
    }

    /// The priority that the processor works at changes; what is pending is looked at anew.
    fn set_priority(
        &mut self,
        thread: usize,
        signal: usize,
        priority: u8,
        returned: &mut Returned,
        memory: &mut Memory,
    ) {
        let context = &mut self.threads[thread];
        let priority = if priority > 7 { 0xff } else { priority };
        context.set_byte(signal + CPPR, priority);
        if context.byte(signal + PIPR) >= priority {
            self.give_back(thread, signal, returned, memory);
        }
        self.look(thread, signal, memory);
    }

    /// Accepts what NSR tells of: NSR as it was, and the new priority.
    fn accept(&mut self, thread: usize, signal: usize, memory: &mut Memory) -> u16 {
        let told = self.threads[thread].accept(signal);
        self.look(thread, signal, memory);
        (told as u16) << 8 | self.threads[thread].byte(signal + CPPR) as u16
    }

    /// The targets of a ring and of those below it leave the thread. Returns word 2 of the ring as it was.
    fn pull(&mut self, thread: usize, ring: usize, memory: &mut Memory) -> u32 {
        let mut returned = Returned::new();
        let was = self.threads[thread].word2(ring);
        for left in [USER, OS, POOL, PHYSICAL].into_iter().filter(|&left| left <= ring) {
            let context = &mut self.threads[thread];
            let word2 = context.word2(left);
            if !context.is_valid(left) {
                continue;
            }
            context.invalidate(left);
            if left == USER {
                continue;
            }
            let signal = super::thread::signal(left);
            if context.told(signal) == left {
                self.give_back(thread, signal, &mut returned, memory);
            }
            self.look(thread, signal, memory);
            if left == ring {
                self.save(thread, left, word2, memory);
            }
        }
        self.hand_on(returned, memory);
        was
    }

    /// Whether reports have the form of the first generation.
    fn reports_as_first(&self, thread: usize) -> bool {
        const FIRST_FORM: u64 = 1 << (63 - 24);
        self.generation == Generation::First
            || self.configuration(thread, registers_10::CONFIGURATION) & FIRST_FORM != 0
    }

    /// Accepts, and reports what a load would have given to the even line of the ring's target.
    fn accept_to_line(&mut self, thread: usize, signal: usize, ring: usize, memory: &mut Memory) {
        let (block, index) = self.ring_target(thread, ring);
        let Some(at) = self.report_lines(block, index, memory) else { return };
        let [nsr, cppr] = self.accept(thread, signal, memory).to_be_bytes();
        let first = self.reports_as_first(thread) || ring == OS && self.threads[thread].byte(OS + OGEN) == 1;
        let mut report = [0xff; 16];
        let place = if first { 8 } else { 0 };
        (report[place], report[place + 1]) = (nsr, cppr);
        let _ = memory.store(at, &report, Writer::Other);
    }

    /// Reports the rings to the odd line of the thread's own target, and pulls.
    fn pull_to_line(&mut self, thread: usize, ring: usize, memory: &mut Memory) {
        let (block, index) = self.ring_target(thread, PHYSICAL);
        let Some(at) = self.report_lines(block, index, memory) else { return };
        let at = at + 0x80;
        if self.reports_as_first(thread) {
            let _ = memory.store(at, &self.short_report(thread), Writer::Other);
        } else {
            let mut report = *self.threads[thread].rings();
            report[0xc..0x10].fill(0xff);
            let _ = memory.store(at, &report, Writer::Other);
        }
        self.pull(thread, ring, memory);
    }

    /// What of the rings the first generation reports, in 16 bytes.
    fn short_report(&self, thread: usize) -> [u8; 16] {
        let context = &self.threads[thread];
        let byte = |at: usize| context.byte(at);
        let valid = |ring: usize| context.is_valid(ring) as u8;
        let mut report = [0; 16];
        report[0..3].copy_from_slice(&[NSR, CPPR, IPB].map(|at| byte(PHYSICAL + at)));
        report[3..6].copy_from_slice(&[byte(POOL + IPB), byte(OS + ACK_COUNT), byte(PHYSICAL + LGS)]);
        report[6] = 0xff;
        report[7] = valid(PHYSICAL) << 7 | valid(POOL) << 6 | valid(OS) << 5 | byte(PHYSICAL + WORD2) & 3;
        report[8..11].copy_from_slice(&[NSR, CPPR, IPB].map(|at| byte(OS + at)));
        report[11] = byte(OS + LGS);
        if context.is_valid(USER) {
            let [first, rest @ ..] = context.word2(USER).to_be_bytes();
            report[12] = first & 0x7f | byte(USER + NSR) & 0x80;
            report[13..].copy_from_slice(&rest);
        }
        report
    }
}
