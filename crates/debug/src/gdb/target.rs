//! A [`Session`] as the crate `gdbstub` wants to see a target.

use crate::monitor;
use crate::registers::{from_bytes, to_bytes};
use crate::session::{Session, Watch};
use gdbstub::arch::{Arch, RegId, Registers};
use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::*;
use gdbstub::target::ext::base::reverse_exec::{ReverseCont, ReverseContOps, ReverseStep, ReverseStepOps};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints::*;
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps, output};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use std::num::NonZeroUsize;
use timebase_machine::{Space, Watchpoint};
use timebase_replay::ChangeError;

/// 64-bit Power, big- or little-endian, with the registers that the target description lists.
#[derive(Debug)]
pub enum Power64 {}

/// A register's number.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub usize);

impl RegId for Number {
    fn from_raw_id(id: usize) -> Option<(Number, Option<NonZeroUsize>)> {
        // Sizes differ by machine; the target checks them.
        (id < 512).then_some((Number(id), None))
    }
    fn to_raw_id(&self) -> Option<usize> {
        Some(self.0)
    }
}

/// All registers, as the bytes of the target description.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllRegisters {
    bytes: Vec<u8>,
    pc: u64,
}

impl Registers for AllRegisters {
    type ProgramCounter = u64;
    fn pc(&self) -> u64 {
        self.pc
    }
    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        for &byte in &self.bytes {
            write_byte(Some(byte));
        }
    }
    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.bytes = bytes.to_vec();
        Ok(())
    }
}

impl Arch for Power64 {
    type Usize = u64;
    type Registers = AllRegisters;
    type BreakpointKind = usize;
    type RegId = Number;
}

/// What gdb asked for, to be done once it waits for the guest to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Run.
    Continue,
    /// One attempt of this vCPU.
    Step(u32),
    /// Run back.
    ReverseContinue,
    /// One attempt of this vCPU back.
    ReverseStep(u32),
}

/// The target.
pub struct Gdb<'a> {
    /// The debugger.
    pub session: &'a mut Session,
    /// What to do next.
    pub request: Request,
    /// Asked by long commands whether to go on.
    pub patience: Box<dyn FnMut() -> bool + 'a>,
}

fn cpu(tid: Tid) -> u32 {
    tid.get() as u32 - 1
}

/// The thread of a vCPU.
pub fn tid(cpu: u32) -> Tid {
    Tid::new(cpu as usize + 1).unwrap_or(Tid::MIN)
}

/// As gdb is told; the message goes another way.
fn refused(error: ChangeError) -> TargetError<String> {
    match error {
        // EROFS: history is read-only.
        ChangeError::History => TargetError::Errno(30),
        // EFAULT
        ChangeError::Refused(_) => TargetError::Errno(14),
        ChangeError::Travel(error) => TargetError::Fatal(error.to_string()),
    }
}

impl Gdb<'_> {
    fn exists(&mut self, tid: Tid) -> TargetResult<u32, Self> {
        let cpu = cpu(tid);
        // ESRCH
        if cpu < self.session.cpus() { Ok(cpu) } else { Err(TargetError::Errno(3)) }
    }
}

impl Target for Gdb<'_> {
    type Arch = Power64;
    type Error = String;

    fn base_ops(&mut self) -> BaseOps<'_, Power64, String> {
        BaseOps::MultiThread(self)
    }
    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }
    fn guard_rail_implicit_sw_breakpoints(&self) -> bool {
        true
    }
}

impl MultiThreadBase for Gdb<'_> {
    fn read_registers(&mut self, regs: &mut AllRegisters, tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.exists(tid)?;
        regs.bytes.clear();
        for number in 0..self.session.table.len() {
            let bytes = self.session.table.bytes(number).unwrap_or(0);
            let value = self.session.register(cpu, number).unwrap_or(0);
            regs.bytes.extend(to_bytes(value, bytes, self.session.little_endian));
        }
        regs.pc = self.session.timeline.machine().vcpu(cpu).regs.nia;
        Ok(())
    }

    fn write_registers(&mut self, regs: &AllRegisters, tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.exists(tid)?;
        let mut rest = &regs.bytes[..];
        for number in 0..self.session.table.len() {
            let length = self.session.table.bytes(number).unwrap_or(0);
            let Some((bytes, after)) = rest.split_at_checked(length) else { break };
            let value = from_bytes(bytes, self.session.little_endian);
            self.session.set_register(cpu, number, value).map_err(refused)?;
            rest = after;
        }
        Ok(())
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let cpu = self.exists(tid)?;
        match self.session.read(cpu, start, data) {
            // EFAULT
            0 if !data.is_empty() => Err(TargetError::Errno(14)),
            read => Ok(read),
        }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.exists(tid)?;
        self.session.write(cpu, start, data).map_err(refused)
    }

    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), String> {
        // The one that is on comes first: gdb asks for the first one when it connects.
        let (current, cpus) = (self.session.current(), self.session.cpus());
        active(tid(current));
        (0..cpus).filter(|&cpu| cpu != current).for_each(|cpu| active(tid(cpu)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for Gdb<'_> {
    fn thread_extra_info(&self, tid: Tid, buffer: &mut [u8]) -> Result<usize, String> {
        let text = self.session.describe(cpu(tid));
        let length = text.len().min(buffer.len());
        buffer[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(length)
    }
}

impl SingleRegisterAccess<Tid> for Gdb<'_> {
    fn read_register(&mut self, tid: Tid, number: Number, buffer: &mut [u8]) -> TargetResult<usize, Self> {
        let cpu = self.exists(tid)?;
        let Some(bytes) = self.session.table.bytes(number.0) else { return Err(TargetError::NonFatal) };
        let value = self.session.register(cpu, number.0).unwrap_or(0);
        buffer[..bytes].copy_from_slice(&to_bytes(value, bytes, self.session.little_endian));
        Ok(bytes)
    }

    fn write_register(&mut self, tid: Tid, number: Number, value: &[u8]) -> TargetResult<(), Self> {
        let cpu = self.exists(tid)?;
        if self.session.table.bytes(number.0) != Some(value.len()) {
            return Err(TargetError::NonFatal);
        }
        let value = from_bytes(value, self.session.little_endian);
        self.session.set_register(cpu, number.0, value).map_err(refused)
    }
}

impl MultiThreadResume for Gdb<'_> {
    fn resume(&mut self) -> Result<(), String> {
        Ok(())
    }
    fn clear_resume_actions(&mut self) -> Result<(), String> {
        self.request = Request::Continue;
        Ok(())
    }
    fn set_resume_action_continue(&mut self, _: Tid, _: Option<Signal>) -> Result<(), String> {
        Ok(())
    }
    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
    fn support_reverse_step(&mut self) -> Option<ReverseStepOps<'_, Tid, Self>> {
        Some(self)
    }
    fn support_reverse_cont(&mut self) -> Option<ReverseContOps<'_, Tid, Self>> {
        Some(self)
    }
    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSchedulerLocking for Gdb<'_> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), String> {
        // gdb steps a thread over a breakpoint so: the others do what history says. Anything else was refused before.
        Ok(())
    }
}

impl MultiThreadSingleStep for Gdb<'_> {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), String> {
        self.request = Request::Step(cpu(tid));
        Ok(())
    }
}

impl ReverseCont<Tid> for Gdb<'_> {
    fn reverse_cont(&mut self) -> Result<(), String> {
        self.request = Request::ReverseContinue;
        Ok(())
    }
}

impl ReverseStep<Tid> for Gdb<'_> {
    fn reverse_step(&mut self, tid: Tid) -> Result<(), String> {
        self.request = Request::ReverseStep(cpu(tid));
        Ok(())
    }
}

impl Breakpoints for Gdb<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Gdb<'_> {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        self.session.breakpoints.insert(address, Vec::new());
        Ok(true)
    }
    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        self.session.breakpoints.remove(&address);
        Ok(true)
    }
}

impl HwBreakpoint for Gdb<'_> {
    fn add_hw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.add_sw_breakpoint(address, kind)
    }
    fn remove_hw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.remove_sw_breakpoint(address, kind)
    }
}

/// gdb's watchpoint as ours.
fn watchpoint(session: &Session, address: u64, bytes: u64, kind: WatchKind) -> Watchpoint {
    Watchpoint {
        space: if session.physical { Space::Real } else { Space::Effective },
        address,
        bytes: bytes.max(1),
        loads: kind != WatchKind::Write,
        stores: kind != WatchKind::Read,
    }
}

impl HwWatchpoint for Gdb<'_> {
    fn add_hw_watchpoint(&mut self, address: u64, bytes: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        let watchpoint = watchpoint(self.session, address, bytes, kind);
        self.session.watches.push(Watch { watchpoint, condition: None, number: None });
        Ok(true)
    }
    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        bytes: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let watchpoint = watchpoint(self.session, address, bytes, kind);
        let found = self
            .session
            .watches
            .iter()
            .position(|watch| watch.number.is_none() && watch.watchpoint == watchpoint);
        if let Some(found) = found {
            self.session.watches.remove(found);
        }
        Ok(true)
    }
}

impl MonitorCmd for Gdb<'_> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), String> {
        let text = String::from_utf8_lossy(command);
        let said = monitor::command(self.session, &text, &mut self.patience);
        match said {
            Ok(text) => output!(out, "{text}"),
            Err(text) => output!(out, "{text}\n"),
        }
        Ok(())
    }
}

impl TargetDescriptionXmlOverride for Gdb<'_> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut [u8],
    ) -> TargetResult<usize, Self> {
        if annex != b"target.xml" {
            return Err(TargetError::NonFatal);
        }
        let xml = self.session.table.xml();
        let rest = xml.as_bytes().get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(length).min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}
