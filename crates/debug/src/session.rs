//! What a debugger does with a timeline, in no protocol's words.
//!
//! A thread is a vCPU. History is one sequence of attempts by all vCPUs, so a step of a thread moves history to that
//! thread's next or previous own attempt. Going back, one stops *before* the instruction that hits.

use crate::agent::{self, Guest};
use crate::expression::{Expression, Scope};
use crate::monitor::Brancher;
use crate::registers::Table;
use std::collections::BTreeMap;
use timebase_machine::debug::{Change, Event, Halts, Hit};
use timebase_machine::{Machine, Position, Register, Space, Watchpoint};
use timebase_replay::{ChangeError, Found, Patience, Timeline, TravelError};

/// Why the guest rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// The step is done.
    Step {
        /// Who made it.
        cpu: u32,
    },
    /// At a breakpoint.
    Breakpoint {
        /// Who is there.
        cpu: u32,
    },
    /// Watched bytes were accessed; going back, they are about to be.
    Watchpoint {
        /// Who did.
        cpu: u32,
        /// What was watched.
        watchpoint: Watchpoint,
        /// Where the access is about to be made.
        at: Position,
    },
    /// At the beginning of history.
    Beginning,
    /// At the end of history.
    End,
    /// The user interrupted it.
    Interrupted,
}

/// Watched bytes, and when an access to them counts.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is watched.
    pub watchpoint: Watchpoint,
    /// Only if this is true after the access.
    pub condition: Option<(Expression, String)>,
    /// Its number for `monitor` commands; None if it is gdb's own.
    pub number: Option<u32>,
}

/// A timeline and what a debugger keeps of it.
pub struct Session {
    /// History.
    pub timeline: Timeline,
    /// Breakpoints by effective address, with the conditions of which one must hold (none: always).
    pub breakpoints: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Watchpoints.
    pub watches: Vec<Watch>,
    /// Positions with a name.
    pub bookmarks: BTreeMap<String, Position>,
    /// Memory is addressed by real addresses.
    pub physical: bool,
    /// The vCPU that gdb looked at last, or that it means to continue.
    pub selected: [Option<u32>; 2],
    /// gdb's byte order.
    pub little_endian: bool,
    /// gdb's registers.
    pub table: Table,
    /// Begins branches, where one can.
    pub brancher: Option<Box<Brancher>>,
    /// Where gdb's pass over a trap led to, where gdb thinks that it did, and what is to be told of it when gdb continues.
    passed: Option<(Position, u64, Stopped)>,
}

/// The guest as conditions see it.
struct View<'a> {
    machine: &'a mut dyn Machine,
    cpu: u32,
    table: &'a Table,
}

impl Guest for View<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        let now = self.machine.now();
        let vcpu = self.machine.vcpu(self.cpu);
        self.table.value(number as usize, |register| vcpu.register(register, now)).map(|value| value as u64)
    }
    fn read(&mut self, address: u64, out: &mut [u8]) -> bool {
        self.machine.read_effective(self.cpu, address, out) == out.len()
    }
    fn little_endian(&self) -> bool {
        self.machine.vcpu(self.cpu).little_endian()
    }
}

impl Scope for View<'_> {
    fn named_register(&mut self, register: Register) -> Option<u64> {
        let now = self.machine.now();
        self.machine.vcpu(self.cpu).register(register, now).map(|value| value as u64)
    }
}

/// The parts of a session that decide whether a hit counts.
struct Rules<'a> {
    breakpoints: &'a BTreeMap<u64, Vec<Vec<u8>>>,
    watches: &'a [Watch],
    table: &'a Table,
}

impl Rules<'_> {
    /// Whether the debugger is to stop. A condition that cannot be evaluated stops, so that the user sees it.
    fn accept(&self, machine: &mut dyn Machine, hit: &Hit) -> bool {
        match hit.what {
            Event::Breakpoint(address) => {
                // In real mode the upper 4 bits do not count.
                const REAL: u64 = (1 << 60) - 1;
                self.breakpoints.iter().filter(|(at, _)| *at & REAL == address & REAL).any(
                    |(_, conditions)| {
                        let mut view = View { machine, cpu: hit.cpu, table: self.table };
                        conditions.is_empty()
                            || conditions
                                .iter()
                                .any(|code| agent::evaluate(code, &mut view).is_ok_and(|value| value != 0))
                    },
                )
            }
            Event::Watchpoint { watchpoint, .. } => {
                self.watches.iter().filter(|watch| watch.watchpoint == watchpoint).any(|watch| {
                    let mut view = View { machine, cpu: hit.cpu, table: self.table };
                    watch.condition.as_ref().is_none_or(|(condition, _)| {
                        condition.evaluate(&mut view).is_ok_and(|value| value != 0)
                    })
                })
            }
            Event::Register { .. } => true,
            Event::Slice => false,
        }
    }
}

impl Session {
    /// A debugger of `timeline`; gdb's numbers are in the byte order of the guest's kernel.
    pub fn new(mut timeline: Timeline, little_endian: bool) -> Session {
        let table = Table::of(timeline.machine().vcpu(0));
        Session {
            timeline,
            breakpoints: BTreeMap::new(),
            watches: Vec::new(),
            bookmarks: BTreeMap::new(),
            physical: false,
            selected: [None; 2],
            little_endian,
            table,
            brancher: None,
            passed: None,
        }
    }

    /// vCPUs.
    pub fn cpus(&mut self) -> u32 {
        self.timeline.machine().cpus()
    }

    /// The vCPU that is on.
    pub fn current(&mut self) -> u32 {
        self.timeline.machine().current()
    }

    /// What a vCPU does, as a debugger shows it beside the thread.
    pub fn describe(&self, cpu: u32) -> String {
        let machine = self.timeline.looked_at();
        format!("vCPU {cpu}: {}", if cpu < machine.cpus() { machine.activity(cpu) } else { "absent" })
    }

    fn halts(&self) -> Halts {
        let mut watchpoints: Vec<Watchpoint> = self.watches.iter().map(|watch| watch.watchpoint).collect();
        watchpoints.sort();
        watchpoints.dedup();
        Halts { breakpoints: self.breakpoints.keys().copied().collect(), watchpoints, ..Halts::default() }
    }

    /// Runs to the next breakpoint or watchpoint.
    pub fn go_on(&mut self, patience: &mut Patience) -> Result<Stopped, TravelError> {
        match self.passed.take() {
            Some((at, behind, stopped)) if at == self.timeline.position() => match stopped {
                Stopped::Step { cpu } if self.is_at_breakpoint(cpu) => Ok(Stopped::Breakpoint { cpu }),
                Stopped::Step { .. } if !self.breakpoints.contains_key(&behind) => {
                    self.go_to(FOREVER, patience)
                }
                other => Ok(other),
            },
            _ => self.go_to(FOREVER, patience),
        }
    }

    /// A breakpoint that counts is where `cpu` is.
    fn is_at_breakpoint(&mut self, cpu: u32) -> bool {
        let at = self.timeline.position();
        let Session { timeline, breakpoints, watches, table, .. } = self;
        let machine = timeline.machine();
        let hit = Hit { at, cpu, what: Event::Breakpoint(machine.vcpu(cpu).regs.nia) };
        Rules { breakpoints, watches, table }.accept(machine, &hit)
    }

    /// `cpu` is to go on at `address`. If that is behind the trap instruction that it is at, it makes the step that
    /// history has there, and this is true.
    ///
    /// gdb takes a trap in the guest's code for a breakpoint that is always there, and passes over it by a change of the
    /// program counter; a step is then a continuation up to a breakpoint behind it. In truth it is an instruction that
    /// may do nothing, or, in the other byte order, branch: kernels begin with one that is both.
    pub fn passes_trap(&mut self, cpu: u32, address: u64) -> Result<bool, TravelError> {
        if cpu >= self.cpus() {
            return Ok(false);
        }
        let nia = self.timeline.machine().vcpu(cpu).regs.nia;
        let mut word = [0; 4];
        let read = self.timeline.machine().read_effective(cpu, nia, &mut word);
        let traps = is_trap(u32::from_be_bytes(word)) || is_trap(u32::from_le_bytes(word));
        if address != nia.wrapping_add(4) || read < word.len() || !traps {
            return Ok(false);
        }
        let stopped = self.step(cpu, &mut || true)?;
        self.passed = Some((self.timeline.position(), address, stopped));
        Ok(true)
    }

    fn go_to(&mut self, limit: Position, patience: &mut Patience) -> Result<Stopped, TravelError> {
        let halts = self.halts();
        let Session { timeline, breakpoints, watches, table, .. } = self;
        let rules = Rules { breakpoints, watches, table };
        let found = timeline.forward(&halts, limit, &mut |machine, hit| rules.accept(machine, hit), patience);
        self.stopped(found)
    }

    fn stopped(&mut self, found: Result<Found, TravelError>) -> Result<Stopped, TravelError> {
        match found {
            Ok(Found::Hit(hit)) => Ok(match hit.what {
                Event::Watchpoint { watchpoint, .. } => {
                    Stopped::Watchpoint { cpu: hit.cpu, watchpoint, at: hit.at }
                }
                _ => Stopped::Breakpoint { cpu: hit.cpu },
            }),
            Ok(Found::Beginning) => Ok(Stopped::Beginning),
            Ok(Found::End) => Ok(Stopped::End),
            Ok(Found::Limit) => Ok(Stopped::Step { cpu: self.current() }),
            Err(TravelError::Interrupted) => Ok(Stopped::Interrupted),
            Err(error) => Err(error),
        }
    }

    /// Runs back to the previous breakpoint or watchpoint. Interrupted, one is where one was.
    pub fn go_back(&mut self, patience: &mut Patience) -> Result<Stopped, TravelError> {
        let start = self.timeline.position();
        let halts = self.halts();
        let Session { timeline, breakpoints, watches, table, .. } = self;
        let rules = Rules { breakpoints, watches, table };
        let mut judge = |machine: &mut dyn Machine, hit: &Hit| rules.accept(machine, hit);
        let found = timeline.backward(&halts, Position::default(), &mut judge, patience);
        if matches!(found, Err(TravelError::Interrupted)) {
            self.timeline.seek(start, &mut || true)?;
        }
        self.stopped(found)
    }

    /// Moves to after the next attempt of `cpu`, unless something of another vCPU stops it.
    pub fn step(&mut self, cpu: u32, patience: &mut Patience) -> Result<Stopped, TravelError> {
        if !self.is_next(cpu) {
            let halts = Halts { slices: true, ..self.halts() };
            let Session { timeline, breakpoints, watches, table, .. } = self;
            let rules = Rules { breakpoints, watches, table };
            let mut judge = |machine: &mut dyn Machine, hit: &Hit| {
                hit.what == Event::Slice && hit.cpu == cpu || rules.accept(machine, hit)
            };
            let found = timeline.forward(&halts, FOREVER, &mut judge, patience);
            if !matches!(&found, Ok(Found::Hit(hit)) if hit.what == Event::Slice) {
                return self.stopped(found);
            }
        }
        let here = self.timeline.position();
        let next = Position { count: here.count + 1, sequence: 0 };
        match self.go_to(next, patience)? {
            Stopped::Step { .. } => Ok(Stopped::Step { cpu }),
            other => Ok(other),
        }
    }

    /// `cpu` makes the next attempt.
    fn is_next(&mut self, cpu: u32) -> bool {
        let machine = self.timeline.machine();
        machine.cpus() == 1 || machine.current() == cpu && machine.activity(cpu) == "running"
    }

    /// Moves to before the previous attempt of `cpu`.
    pub fn step_back(&mut self, cpu: u32, patience: &mut Patience) -> Result<Stopped, TravelError> {
        let start = self.timeline.position();
        if start == Position::default() {
            return Ok(Stopped::Beginning);
        }
        let last = if self.cpus() == 1 { Ok(start) } else { self.end_of_slice(cpu, start, patience) };
        let before = |last: Position| Position { count: last.count.saturating_sub(1), sequence: 0 };
        let moved = match last {
            Ok(Position { count: 0, .. }) => {
                self.timeline.seek(Position::default(), patience)?;
                return Ok(Stopped::Beginning);
            }
            Ok(last) => self.timeline.seek(before(last), patience),
            Err(error) => Err(error),
        };
        match moved {
            Ok(()) => Ok(Stopped::Step { cpu }),
            Err(TravelError::Interrupted) => {
                self.timeline.seek(start, &mut || true)?;
                Ok(Stopped::Interrupted)
            }
            Err(error) => Err(error),
        }
    }

    /// The position after the latest attempt of `cpu` before `start`; the beginning if there is none.
    fn end_of_slice(
        &mut self,
        cpu: u32,
        start: Position,
        patience: &mut Patience,
    ) -> Result<Position, TravelError> {
        let slices = Halts { slices: true, ..Halts::default() };
        let mut its = |_: &mut dyn Machine, hit: &Hit| hit.cpu == cpu && hit.at.count < start.count;
        let Found::Hit(_) = self.timeline.backward(&slices, Position::default(), &mut its, patience)? else {
            // No slice of it begins before: the first one of all is that of vCPU 0.
            return Ok(if cpu == 0 { self.next_slice(start, patience)? } else { Position::default() });
        };
        self.next_slice(start, patience)
    }

    /// Where the next slice after the cursor begins, `start` at most.
    fn next_slice(&mut self, start: Position, patience: &mut Patience) -> Result<Position, TravelError> {
        let slices = Halts { slices: true, ..Halts::default() };
        let here = self.timeline.position();
        let mut later = |_: &mut dyn Machine, hit: &Hit| hit.at.count > here.count;
        Ok(match self.timeline.forward(&slices, start, &mut later, patience)? {
            Found::Hit(hit) => hit.at.min(start),
            _ => start,
        })
    }

    /// Goes to a position.
    pub fn seek(&mut self, target: Position, patience: &mut Patience) -> Result<(), TravelError> {
        self.timeline.seek(target, patience)
    }

    /// The last store to bytes before the cursor: goes to before it. None: there was none, and one is where one was.
    pub fn last_write(
        &mut self,
        space: Space,
        address: u64,
        bytes: u64,
        patience: &mut Patience,
    ) -> Result<Option<Hit>, TravelError> {
        let watchpoint = Watchpoint { space, address, bytes, loads: false, stores: true };
        self.last(Halts { watchpoints: vec![watchpoint], ..Halts::default() }, patience)
    }

    /// The last change of a register before the cursor: goes to before it.
    pub fn last_change(
        &mut self,
        cpu: u32,
        register: Register,
        patience: &mut Patience,
    ) -> Result<Option<Hit>, TravelError> {
        self.last(Halts { register: Some((cpu, register)), ..Halts::default() }, patience)
    }

    fn last(&mut self, halts: Halts, patience: &mut Patience) -> Result<Option<Hit>, TravelError> {
        let start = self.timeline.position();
        match self.timeline.backward(&halts, Position::default(), &mut |_, _| true, patience) {
            Ok(Found::Hit(hit)) => Ok(Some(hit)),
            Ok(_) => {
                self.timeline.seek(start, &mut || true)?;
                Ok(None)
            }
            Err(error) => {
                if matches!(error, TravelError::Interrupted) {
                    self.timeline.seek(start, &mut || true)?;
                }
                Err(error)
            }
        }
    }

    /// The value of the register of gdb's number.
    pub fn register(&mut self, cpu: u32, number: usize) -> Option<u128> {
        let machine = self.timeline.machine();
        let (now, vcpu) = (machine.now(), machine.vcpu(cpu));
        self.table.value(number, |register| vcpu.register(register, now))
    }

    /// Changes the register of gdb's number.
    pub fn set_register(&mut self, cpu: u32, number: usize, value: u128) -> Result<(), ChangeError> {
        let machine = self.timeline.machine();
        let (now, vcpu) = (machine.now(), machine.vcpu(cpu));
        let Some((register, value)) =
            self.table.change(number, value, |register| vcpu.register(register, now))
        else {
            return Ok(());
        };
        // gdb writes whole sets of registers: those that stay as they are need no record.
        if vcpu.register(register, now) == Some(value) {
            return Ok(());
        }
        self.timeline.change(&Change::Register { cpu, register, value })
    }

    /// Reads memory as `cpu` sees it, or real memory. Returns how many bytes could be read.
    pub fn read(&mut self, cpu: u32, address: u64, out: &mut [u8]) -> usize {
        if !self.physical {
            return self.timeline.machine().read_effective(cpu, address, out);
        }
        let memory = self.timeline.machine().memory();
        let readable = memory.bytes().saturating_sub(address).min(out.len() as u64) as usize;
        if memory.read(address, &mut out[..readable]).is_ok() { readable } else { 0 }
    }

    /// Writes memory as `cpu` sees it, or real memory.
    pub fn write(&mut self, cpu: u32, address: u64, bytes: &[u8]) -> Result<(), ChangeError> {
        const PAGE: u64 = 4096;
        let mut done = 0;
        while done < bytes.len() {
            let ea = address.wrapping_add(done as u64);
            let length = ((PAGE - ea % PAGE) as usize).min(bytes.len() - done);
            let real = if self.physical { Some(ea) } else { self.timeline.machine().real_address(cpu, ea) };
            let Some(address) = real else {
                let why = format!("{ea:#x} is not mapped");
                return Err(ChangeError::Refused(timebase_machine::InputError::BadPayload(why)));
            };
            self.timeline.change(&Change::Memory { address, bytes: bytes[done..done + length].to_vec() })?;
            done += length;
        }
        Ok(())
    }
}

/// `tdi`, `twi`, `td` or `tw`: what gdb takes for a breakpoint of the program.
fn is_trap(word: u32) -> bool {
    matches!((word >> 26, word >> 1 & 0x3ff), (2 | 3, _) | (31, 4 | 68))
}

const FOREVER: Position = Position { count: u64::MAX, sequence: u32::MAX };
