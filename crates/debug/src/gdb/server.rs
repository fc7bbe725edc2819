//! Listens for gdb, one at a time, and does what it asks.

use super::packets::{self, FEATURES, Framer, Item};
use super::target::{Gdb, Request, tid};
use crate::session::{Session, Stopped};
use gdbstub::common::Signal;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStubBuilder, MultiThreadStopReason};
use gdbstub::target::ext::base::reverse_exec::ReplayLogPosition;
use gdbstub::target::ext::breakpoints::WatchKind;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use timebase_machine::Position;

/// How serving ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// gdb said `kill`.
    Killed,
    /// Whoever runs the server wanted it to end.
    Quit,
}

/// Something to tell whoever runs the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// gdb is here.
    Connected,
    /// gdb let go, and may come back.
    Detached,
    /// gdb is gone without a word.
    Vanished,
    /// Another one was sent away.
    Refused,
    /// gdb wanted to change history. It shows its user no more than an error where memory is concerned.
    ReadOnly,
    /// The connection was given up.
    Broken(String),
}

/// Tells whoever runs the server; from several threads.
pub type Tell = dyn Fn(Notice) + Send + Sync;

/// How long to wait for gdb before signals are looked after.
const NAP: Duration = Duration::from_millis(200);

/// What comes from gdb.
struct Inbox {
    stream: TcpStream,
    bytes: VecDeque<u8>,
    gone: bool,
}

impl Inbox {
    /// Reads what is there; waits for it if told so, at most [`NAP`].
    fn fill(&mut self, wait: bool) {
        let mut buffer = [0; 4096];
        if self.stream.set_nonblocking(!wait).is_err() {
            self.gone = true;
            return;
        }
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(read) => self.bytes.extend(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.gone = true,
        }
        if self.stream.set_nonblocking(false).is_err() {
            self.gone = true;
        }
    }
}

/// What goes to gdb.
struct Outbox {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// The next packet answers `qSupported`.
    features: bool,
}

impl Connection for Outbox {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.bytes.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.features)
            && let Some(start) = self.bytes.iter().position(|&byte| byte == b'$')
            && let Some(end) = self.bytes.iter().rposition(|&byte| byte == b'#')
        {
            let mut body = self.bytes[start + 1..end].to_vec();
            body.extend_from_slice(FEATURES.as_bytes());
            self.bytes.truncate(start);
            self.bytes.extend(packets::packet(&body));
        }
        let result = io::Write::write_all(&mut self.stream, &self.bytes);
        self.bytes.clear();
        result
    }
}

/// Serves gdb at `listener` until it says `kill` or `quit` says so. History is where gdb left it when it comes back.
pub fn serve(
    listener: TcpListener,
    session: &mut Session,
    notice: Arc<Tell>,
    quit: &dyn Fn() -> bool,
) -> Ended {
    let busy = Arc::new(AtomicBool::new(false));
    let clients = accept(listener, busy.clone(), notice.clone());
    loop {
        let stream = match clients.recv_timeout(NAP) {
            Ok(stream) => stream,
            Err(RecvTimeoutError::Timeout) if !quit() => continue,
            Err(_) => return Ended::Quit,
        };
        notice(Notice::Connected);
        let left = attend(stream, session, &*notice, quit);
        busy.store(false, Ordering::Relaxed);
        match left {
            Ok(DisconnectReason::Kill) => return Ended::Killed,
            Ok(_) => notice(Notice::Detached),
            Err(Left::Vanished) => notice(Notice::Vanished),
            Err(Left::Quit) => return Ended::Quit,
            Err(Left::Broken(why)) => notice(Notice::Broken(why)),
        }
        if quit() {
            return Ended::Quit;
        }
    }
}

/// Takes connections for as long as the process lives: the first one is handed over, others are sent away while it is
/// here.
fn accept(listener: TcpListener, busy: Arc<AtomicBool>, notice: Arc<Tell>) -> Receiver<TcpStream> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // One that is just leaving gets a moment.
            for _ in 0..4 {
                if busy.load(Ordering::Relaxed) {
                    std::thread::sleep(NAP);
                }
            }
            if busy.swap(true, Ordering::Relaxed) {
                notice(Notice::Refused);
                let sorry = packets::packet(b"E.another gdb is connected: one at a time");
                let _ = io::Write::write_all(&mut stream, &sorry);
                continue;
            }
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Why gdb is gone, if not in order.
enum Left {
    Vanished,
    Quit,
    Broken(String),
}

type Machine<'a, 'b> = GdbStubStateMachine<'a, Gdb<'b>, Outbox>;

fn attend<'a>(
    stream: TcpStream,
    session: &'a mut Session,
    notice: &Tell,
    quit: &'a dyn Fn() -> bool,
) -> Result<DisconnectReason, Left> {
    let broken = |error: &dyn std::fmt::Display| Left::Broken(error.to_string());
    let prepare = || -> io::Result<(TcpStream, TcpStream)> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(NAP))?;
        Ok((stream.try_clone()?, stream.try_clone()?))
    };
    let (incoming, outgoing) = prepare().map_err(|error| broken(&error))?;
    let inbox = Rc::new(RefCell::new(Inbox { stream: incoming, bytes: VecDeque::new(), gone: false }));
    session.breakpoints.clear();
    session.watches.retain(|watch| watch.number.is_some());
    session.physical = false;
    session.selected = [None; 2];
    // Ctrl-C, or a gdb that is gone, ends whatever takes long.
    let looked_at = inbox.clone();
    let patience = Box::new(move || {
        let mut inbox = looked_at.borrow_mut();
        inbox.fill(false);
        !inbox.gone && !inbox.bytes.contains(&3) && !quit()
    });
    let mut target = Gdb { session, request: Request::Continue, patience };
    let outbox = Outbox { stream: outgoing, bytes: Vec::new(), features: false };
    let mut machine = GdbStubBuilder::new(outbox)
        .packet_buffer_size(packets::LARGEST)
        .build()
        .map_err(|error| broken(&error))?
        .run_state_machine(&mut target)
        .map_err(|error| broken(&error))?;
    let mut framer = Framer::default();
    let mut acknowledge = true;
    loop {
        machine = match machine {
            GdbStubStateMachine::Disconnected(machine) => return Ok(machine.get_reason()),
            GdbStubStateMachine::Running(running) => {
                let reason = travel(&mut target).map_err(Left::Broken)?;
                // The interrupt has had its effect.
                inbox.borrow_mut().bytes.retain(|&byte| byte != 3);
                if inbox.borrow().gone {
                    return Err(Left::Vanished);
                }
                running.report_stop(&mut target, reason).map_err(|error| broken(&error))?
            }
            GdbStubStateMachine::CtrlCInterrupt(interrupted) => {
                let none = None::<MultiThreadStopReason<u64>>;
                interrupted.interrupt_handled(&mut target, none).map_err(|error| broken(&error))?
            }
            GdbStubStateMachine::Idle(idle) => {
                let byte = inbox.borrow_mut().bytes.pop_front();
                let Some(byte) = byte else {
                    inbox.borrow_mut().fill(true);
                    if quit() {
                        return Err(Left::Quit);
                    }
                    if inbox.borrow().gone && inbox.borrow().bytes.is_empty() {
                        return Err(Left::Vanished);
                    }
                    machine = GdbStubStateMachine::Idle(idle);
                    continue;
                };
                let mut machine: Machine = GdbStubStateMachine::Idle(idle);
                if let Some(item) = framer.push(byte) {
                    machine = handle(machine, &mut target, item, &mut acknowledge, notice)?;
                }
                machine
            }
        };
    }
}

/// Handles what stands in the stream while gdb waits for no stop.
fn handle<'a, 'b>(
    mut machine: Machine<'a, 'b>,
    target: &mut Gdb<'b>,
    item: Item,
    acknowledge: &mut bool,
    notice: &Tell,
) -> Result<Machine<'a, 'b>, Left> {
    let vanished = |_: io::Error| Left::Vanished;
    let GdbStubStateMachine::Idle(idle) = &mut machine else { return Ok(machine) };
    let body = match item {
        Item::Interrupt => return Ok(machine),
        Item::Broken => {
            let out = idle.borrow_conn();
            out.bytes.push(b'-');
            out.flush().map_err(vanished)?;
            return Ok(machine);
        }
        Item::Packet(body) => body,
    };
    if let Some(answer) = packets::answer(target.session, &body) {
        if answer == packets::READ_ONLY {
            notice(Notice::ReadOnly);
        }
        let out = idle.borrow_conn();
        if *acknowledge {
            out.bytes.push(b'+');
        }
        out.bytes.extend(packets::packet(answer.as_bytes()));
        out.flush().map_err(vanished)?;
        return Ok(machine);
    }
    if body.starts_with(b"qSupported") {
        idle.borrow_conn().features = true;
    }
    if body == b"QStartNoAckMode" {
        *acknowledge = false;
    }
    for byte in packets::packet(&body) {
        let GdbStubStateMachine::Idle(idle) = machine else { break };
        machine = idle.incoming_data(target, byte).map_err(|error| {
            let packet = String::from_utf8_lossy(&body[..body.len().min(40)]).escape_debug().to_string();
            Left::Broken(format!("`{packet}`: {error}"))
        })?;
    }
    Ok(machine)
}

/// Does what gdb asked for, and says why the guest rests.
fn travel(target: &mut Gdb) -> Result<MultiThreadStopReason<u64>, String> {
    let Gdb { session, request, patience } = target;
    let last = session.cpus() - 1;
    let back = matches!(request, Request::ReverseContinue | Request::ReverseStep(_));
    let start = session.timeline.position();
    let stopped = match *request {
        Request::Continue => session.go_on(patience),
        Request::Step(cpu) => session.step(cpu.min(last), patience),
        Request::ReverseContinue => session.go_back(patience),
        Request::ReverseStep(cpu) => {
            // gdb goes back with "any thread", and means the one that it looked at last.
            let [looked_at, meant] = session.selected;
            session.step_back(meant.or(looked_at).unwrap_or(cpu).min(last), patience)
        }
    };
    let stopped = stopped.map_err(|error| error.to_string())?;
    if !matches!(request, Request::Step(_) | Request::ReverseStep(_)) {
        session.timeline.flush().map_err(|error| error.to_string())?;
    }
    let current = session.current();
    session.selected[0] = Some(match stopped {
        Stopped::Step { cpu } | Stopped::Breakpoint { cpu } | Stopped::Watchpoint { cpu, .. } => cpu,
        Stopped::Beginning | Stopped::End | Stopped::Interrupted => current,
    });
    let at_breakpoint = |session: &mut Session, cpu: u32| {
        let nia = session.timeline.machine().vcpu(cpu).regs.nia;
        session.breakpoints.contains_key(&nia)
    };
    Ok(match stopped {
        Stopped::Step { cpu } if at_breakpoint(session, cpu) && !back => {
            MultiThreadStopReason::SwBreak(tid(cpu))
        }
        Stopped::Step { cpu } => {
            MultiThreadStopReason::SignalWithThread { tid: tid(cpu), signal: Signal::SIGTRAP }
        }
        Stopped::Breakpoint { cpu } => MultiThreadStopReason::SwBreak(tid(cpu)),
        Stopped::Watchpoint { cpu, watchpoint, at } => {
            let kind = match (watchpoint.loads, watchpoint.stores) {
                (true, true) => WatchKind::ReadWrite,
                (true, false) => WatchKind::Read,
                _ => WatchKind::Write,
            };
            let gdbs = session.watches.iter().any(|w| w.number.is_none() && w.watchpoint == watchpoint);
            if gdbs {
                // On Power, gdb takes a watchpoint to stop before the access in the direction of travel: it makes a
                // step of its own before it looks.
                let edge = if back { Position { count: at.count + 1, sequence: 0 } } else { at.max(start) };
                session.seek(edge, patience).map_err(|error| error.to_string())?;
                MultiThreadStopReason::Watch { tid: tid(cpu), kind, addr: watchpoint.address }
            } else {
                // gdb knows nothing of this one.
                MultiThreadStopReason::SignalWithThread { tid: tid(cpu), signal: Signal::SIGTRAP }
            }
        }
        Stopped::Beginning => {
            MultiThreadStopReason::ReplayLog { tid: Some(tid(current)), pos: ReplayLogPosition::Begin }
        }
        Stopped::End => {
            MultiThreadStopReason::ReplayLog { tid: Some(tid(current)), pos: ReplayLogPosition::End }
        }
        Stopped::Interrupted => {
            MultiThreadStopReason::SignalWithThread { tid: tid(current), signal: Signal::SIGINT }
        }
    })
}
