//! Commands that gdb has no words for: `monitor COMMAND`.

use crate::expression::{Expression, number};
use crate::session::{Session, Watch};
use std::fmt::Write;
use std::path::Path;
use timebase_machine::debug::{Event, Hit};
use timebase_machine::{Position, Register, Space, Watchpoint};
use timebase_replay::address::Place;
use timebase_replay::events::{Kind, latest};
use timebase_replay::live::{Live, World};
use timebase_replay::{Patience, Record, TravelError};

/// Opens the recording of a branch whose history begins with these records, at a path that the user named; and the
/// world in which it goes on.
pub type Brancher = dyn FnMut(&Path, &[Record]) -> Result<(Live, Box<dyn World>), String>;

const HELP: &str = "\
when                          where history stands
goto PLACE                    go there: N, N.SEQUENCE, +N, -N, N%, start, end, end-N, console:REGEX, a bookmark
bookmark [NAME]               remember this place; without a name: list them
last-write ADDR [LEN] [phys]  go to before the last store to these bytes
last-change REG [CPU]         go to before the last change of a register: r3, msr, lr, dec, srr0, vs34, ...
watch ADDR [LEN] [read|write|access] [phys] [if EXPR]
                              a watchpoint with a condition: C operators over $r3, numbers, u8[..] u16[] u32[] u64[]
unwatch [N]                   remove a watchpoint of `monitor watch`; without N: list them
events [N] [KIND,...]         the latest N events before here: decrementer, interrupt, exception, hcall, rtas, vcpu, ...
inputs                        the inputs of history near here
console [LINES]               what the console showed last, up to here
branch FILE                   go live from here, recorded in FILE: memory and registers can be written then
physical on|off               addresses of memory are real addresses
endian little|big             byte order in which gdb gets registers
checkpoints                   how many there are, and what they use
help                          this
After a command that moves, `maintenance flush register-cache` makes gdb read registers anew.
";

/// A position as it is shown.
pub fn show(at: Position) -> String {
    if at.sequence == 0 { at.count.to_string() } else { format!("{}.{}", at.count, at.sequence) }
}

/// Carries out a command, and gives what it says.
pub fn command(session: &mut Session, text: &str, patience: &mut Patience) -> Result<String, String> {
    let (verb, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    let words: Vec<&str> = rest.split_whitespace().collect();
    match verb {
        "help" | "" => Ok(HELP.into()),
        "when" => Ok(when(session)),
        "goto" => goto(session, rest, patience),
        "bookmark" => bookmark(session, rest),
        "last-write" => last_write(session, &words, patience),
        "last-change" => last_change(session, &words, patience),
        "watch" => watch(session, rest),
        "unwatch" => unwatch(session, rest),
        "events" => events(session, &words, patience),
        "inputs" => Ok(inputs(session)),
        "console" => console(session, rest),
        "branch" => branch(session, rest),
        "physical" => {
            session.physical = on_or_off(rest)?;
            Ok(String::new())
        }
        "endian" => {
            session.little_endian = match rest {
                "little" => true,
                "big" => false,
                _ => return Err("say `endian little` or `endian big`".into()),
            };
            Ok(String::new())
        }
        "checkpoints" => Ok(checkpoints(session)),
        _ => Err(format!("there is no command `{verb}`: see `monitor help`")),
    }
}

fn on_or_off(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("say on or off".into()),
    }
}

fn travelled(error: TravelError) -> String {
    error.to_string()
}

fn when(session: &mut Session) -> String {
    let (here, end) = (session.timeline.position(), session.timeline.end());
    let percent = if end.count == 0 { 100.0 } else { 100.0 * here.count as f64 / end.count as f64 };
    let live = if session.timeline.is_live() { ", live" } else { "" };
    let machine = session.timeline.machine();
    let (cpu, nia) = (machine.current(), machine.vcpu(machine.current()).regs.nia);
    let (ticks, ticks_per_second) = (machine.now().ticks(), 512_000_000.0);
    format!(
        "instruction {} of {} ({percent:.3} %), guest time {:.9} s, vCPU {cpu} at {nia:#x}{live}\n",
        show(here),
        show(end),
        ticks as f64 / ticks_per_second
    )
}

fn events(session: &mut Session, words: &[&str], patience: &mut Patience) -> Result<String, String> {
    let mut most = 20;
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !kind.is_frequent()).collect();
    for word in words {
        match word.parse() {
            Ok(number) => most = number,
            Err(_) => kinds = word.split(',').map(str::parse).collect::<Result<_, String>>()?,
        }
    }
    let found = latest(&mut session.timeline, most, &kinds, patience).map_err(travelled)?;
    let lines: String = found.iter().map(|happening| format!("{happening}\n")).collect();
    Ok(if lines.is_empty() { "nothing of that kind happened before here\n".into() } else { lines })
}

fn goto(session: &mut Session, text: &str, patience: &mut Patience) -> Result<String, String> {
    let position = match session.bookmarks.get(text) {
        Some(position) => *position,
        None => {
            let place: Place = text.parse().map_err(|error| format!("{error}, or a bookmark"))?;
            let found = session.timeline.find(&place, patience).map_err(travelled)?;
            found.ok_or_else(|| {
                let end = show(session.timeline.end());
                format!("history has no such place: it ends at {end}")
            })?
        }
    };
    session.seek(position, patience).map_err(travelled)?;
    Ok(when(session))
}

fn bookmark(session: &mut Session, name: &str) -> Result<String, String> {
    if name.is_empty() {
        let mut text = String::new();
        for (name, at) in &session.bookmarks {
            let _ = writeln!(text, "{name:<16} {}", show(*at));
        }
        return Ok(if text.is_empty() { "no bookmarks\n".into() } else { text });
    }
    if name.parse::<Place>().is_ok() || name.contains(char::is_whitespace) {
        return Err(format!("`{name}` is not a name"));
    }
    let here = session.timeline.position();
    session.bookmarks.insert(name.into(), here);
    Ok(format!("{name} is {}\n", show(here)))
}

fn address(word: Option<&&str>) -> Result<u64, String> {
    let word = word.ok_or("which address?")?;
    number(word).ok_or_else(|| format!("`{word}` is not an address: write 0x..."))
}

/// LEN, `phys`, and kinds of access, in any order.
struct Options {
    bytes: u64,
    space: Space,
    loads: bool,
    stores: bool,
}

fn options(words: &[&str]) -> Result<Options, String> {
    let mut options = Options { bytes: 8, space: Space::Effective, loads: false, stores: true };
    for word in words {
        match *word {
            "phys" | "physical" => options.space = Space::Real,
            "write" => (options.loads, options.stores) = (false, true),
            "read" => (options.loads, options.stores) = (true, false),
            "access" => (options.loads, options.stores) = (true, true),
            _ => {
                options.bytes = number(word)
                    .filter(|&bytes| bytes != 0)
                    .ok_or_else(|| format!("`{word}` is not understood: see `monitor help`"))?;
            }
        }
    }
    Ok(options)
}

fn last_write(session: &mut Session, words: &[&str], patience: &mut Patience) -> Result<String, String> {
    let ea = address(words.first())?;
    let Options { bytes, space, .. } = options(&words[1..])?;
    let physical = space == Space::Real || session.physical;
    let cpu = session.current();
    // By real address, so that stores by other names of the memory, by firmware and by devices are seen, too.
    let real = if physical { Some(ea) } else { session.timeline.machine().real_address(cpu, ea) };
    let (space, at) = real.map_or((Space::Effective, ea), |real| (Space::Real, real));
    let found = session.last_write(space, at, bytes, patience).map_err(travelled)?;
    Ok(moved(session, found, &format!("nothing stored to {ea:#x} before here\n")))
}

fn last_change(session: &mut Session, words: &[&str], patience: &mut Patience) -> Result<String, String> {
    let name = words.first().ok_or("which register?")?;
    let register = Register::named(name.trim_start_matches('$'))
        .ok_or_else(|| format!("no register is named `{name}`"))?;
    let cpu = match words.get(1) {
        Some(word) => word.parse().ok().filter(|&n| n < session.cpus()).ok_or("there is no such vCPU")?,
        None => session.current(),
    };
    let found = session.last_change(cpu, register, patience).map_err(travelled)?;
    Ok(moved(session, found, &format!("{register} of vCPU {cpu} did not change before here\n")))
}

fn moved(session: &mut Session, found: Option<Hit>, otherwise: &str) -> String {
    let Some(hit) = found else { return otherwise.into() };
    let what = match hit.what {
        Event::Register { old, new } => format!(" changes it from {old:#x} to {new:#x}"),
        Event::Watchpoint { address, .. } => format!(" stores at {address:#x}"),
        _ => String::new(),
    };
    let nia = session.timeline.machine().vcpu(hit.cpu).regs.nia;
    format!("the next attempt, by vCPU {} at {nia:#x},{what}\n{}", hit.cpu, when(session))
}

fn watch(session: &mut Session, text: &str) -> Result<String, String> {
    let (what, condition) = match text.split_once(" if ") {
        Some((what, condition)) => {
            (what, Some((Expression::parse(condition)?, condition.trim().to_string())))
        }
        None => (text, None),
    };
    let words: Vec<&str> = what.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let at = address(words.first())?;
    let Options { bytes, space, loads, stores } = options(&words[1..])?;
    let number = 1 + session.watches.iter().filter_map(|watch| watch.number).max().unwrap_or(0);
    let watchpoint = Watchpoint { space, address: at, bytes, loads, stores };
    session.watches.push(Watch { watchpoint, condition, number: Some(number) });
    Ok(list_watches(session))
}

fn list_watches(session: &Session) -> String {
    let mut text = String::new();
    for watch in &session.watches {
        let (Some(number), point) = (watch.number, watch.watchpoint) else { continue };
        let kind = match (point.loads, point.stores) {
            (true, true) => "access",
            (true, false) => "read",
            _ => "write",
        };
        let space = if point.space == Space::Real { " phys" } else { "" };
        let condition = watch.condition.as_ref().map(|(_, text)| format!(" if {text}")).unwrap_or_default();
        let _ = writeln!(text, "{number}: {:#x} {} {kind}{space}{condition}", point.address, point.bytes);
    }
    if text.is_empty() { "no watchpoints\n".into() } else { text }
}

fn unwatch(session: &mut Session, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(list_watches(session));
    }
    let number: u32 = text.parse().map_err(|_| format!("`{text}` is not a number of a watchpoint"))?;
    let before = session.watches.len();
    session.watches.retain(|watch| watch.number != Some(number));
    if session.watches.len() == before {
        return Err(format!("there is no watchpoint {number}"));
    }
    Ok(list_watches(session))
}

fn inputs(session: &mut Session) -> String {
    const NEAR: usize = 8;
    let here = session.timeline.position();
    let inputs: Vec<&Record> = session.timeline.inputs().collect();
    let next = inputs.partition_point(|record| record.at < here);
    let mut text = format!("{} inputs\n", inputs.len());
    for (n, record) in inputs.iter().enumerate().skip(next.saturating_sub(NEAR)).take(2 * NEAR) {
        let timebase_replay::Event::Input { port, payload } = &record.event else { continue };
        let mark = if n == next { "next ->" } else { "" };
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]).escape_debug().to_string();
        let _ = writeln!(text, "{mark:>7} {:>16} {port} \"{shown}\"", show(record.at));
    }
    text
}

fn console(session: &mut Session, text: &str) -> Result<String, String> {
    let lines: usize = if text.is_empty() { 20 } else { text.parse().map_err(|_| "how many lines?")? };
    let shown =
        String::from_utf8_lossy(session.timeline.console().until(session.timeline.position())).into_owned();
    let shown = shown.replace('\r', "");
    let all: Vec<&str> = shown.lines().collect();
    let mut last = all[all.len().saturating_sub(lines)..].join("\n");
    last.push('\n');
    if session.timeline.explored() < session.timeline.position() {
        last.push_str("(not all of it was run through yet)\n");
    }
    Ok(last)
}

fn branch(session: &mut Session, file: &str) -> Result<String, String> {
    if file.is_empty() {
        return Err("say which file to record to: `monitor branch FILE`".into());
    }
    let brancher = session.brancher.as_mut().ok_or("there is nothing to branch here")?;
    let (live, world) = brancher(Path::new(file), session.timeline.past())?;
    session.timeline.branch(live, world);
    Ok(format!("live from instruction {}, recorded in {file}\n", show(session.timeline.position())))
}

fn checkpoints(session: &mut Session) -> String {
    format!(
        "{} checkpoints, {} MiB\n",
        session.timeline.checkpoints().count(),
        session.timeline.checkpoint_bytes() >> 20
    )
}
