//! The packets of gdb's remote serial protocol that `gdbstub` has no words for, answered before it sees them:
//! conditions of breakpoints, addresses of physical memory (as the peer has them), refusals that say why.

use crate::Session;
use timebase_machine::Register;

/// Bytes of a packet at most.
pub const LARGEST: usize = 0x4000;

/// What stands in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A packet with a good checksum: what stands between `$` and `#`.
    Packet(Vec<u8>),
    /// A packet with a bad one, or one that is too long.
    Broken,
    /// Ctrl-C.
    Interrupt,
}

/// Finds packets in a stream of bytes.
#[derive(Default)]
pub struct Framer {
    body: Vec<u8>,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Inside,
    Checksum(Option<u8>),
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

impl Framer {
    /// Takes a byte; acknowledgements and noise between packets are dropped.
    pub fn push(&mut self, byte: u8) -> Option<Item> {
        match self.state {
            State::Outside if byte == b'$' => {
                self.body.clear();
                self.state = State::Inside;
                None
            }
            State::Outside => (byte == 3).then_some(Item::Interrupt),
            State::Inside if byte == b'#' => {
                self.state = State::Checksum(None);
                None
            }
            State::Inside => {
                if self.body.len() <= LARGEST {
                    self.body.push(byte);
                }
                None
            }
            State::Checksum(None) => {
                self.state = State::Checksum(Some(byte));
                None
            }
            State::Checksum(Some(first)) => {
                self.state = State::Outside;
                let sum = self.body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                let good = matches!((hex(first), hex(byte)), (Some(a), Some(b)) if a << 4 | b == sum);
                let whole = good && self.body.len() <= LARGEST;
                Some(if whole { Item::Packet(std::mem::take(&mut self.body)) } else { Item::Broken })
            }
        }
    }
}

/// A packet around `body`.
pub fn packet(body: &[u8]) -> Vec<u8> {
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let mut packet = vec![b'$'];
    packet.extend_from_slice(body);
    packet.extend_from_slice(format!("#{sum:02x}").as_bytes());
    packet
}

/// Features of ours, to be added to `gdbstub`'s answer to `qSupported`.
pub const FEATURES: &str = ";ConditionalBreakpoints+;error-message+";

/// Why history cannot be written.
pub const READ_ONLY: &str =
    "E.history cannot be changed: `monitor branch FILE` goes live from here, recorded in FILE";

/// Our own answer to a packet, None if it is `gdbstub`'s to answer.
pub fn answer(session: &mut Session, body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    if let Some(rest) = text.strip_prefix("Z0,").or_else(|| text.strip_prefix("Z1,"))
        && rest.contains(';')
    {
        return Some(match conditional(rest) {
            Some((address, conditions)) => {
                session.breakpoints.insert(address, conditions);
                "OK".into()
            }
            None => "E.the condition is not understood".into(),
        });
    }
    if let Some(thread) = text.strip_prefix("Hg") {
        session.selected[0] = vcpu(thread);
    }
    if let Some(thread) = text.strip_prefix("Hc") {
        session.selected[1] = vcpu(thread);
    }
    if let Some(actions) = text.strip_prefix("vCont;") {
        return locked(actions).then(|| {
            "E.scheduler-locking cannot hold: what the other vCPUs do is history; `set scheduler-locking off`".into()
        });
    }
    match text {
        "qqemu.PhyMemMode" => return Some(if session.physical { "1" } else { "0" }.into()),
        "qqemu.Supported" => return Some("PhyMemMode".into()),
        _ => {}
    }
    if let Some(mode) = text.strip_prefix("Qqemu.PhyMemMode:") {
        session.physical = mode != "0";
        return Some("OK".into());
    }
    if let Some(answer) = passed_trap(session, text) {
        return Some(answer);
    }
    if writes(body) && !session.timeline.is_live() {
        return Some(READ_ONLY.into());
    }
    None
}

/// Answers a change of the program counter by which gdb passes over a trap instruction.
fn passed_trap(session: &mut Session, text: &str) -> Option<String> {
    let (number, digits) = text.strip_prefix('P')?.split_once('=')?;
    let number = usize::from_str_radix(number, 16).ok()?;
    if session.table.register(number) != Some(Register::Nia) || digits.len() != 16 {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    let address = if session.little_endian { value.swap_bytes() } else { value };
    let cpu = session.selected[0].unwrap_or_else(|| session.current());
    match session.passes_trap(cpu, address) {
        Ok(passed) => passed.then(|| "OK".into()),
        Err(error) => Some(format!("E.{error}")),
    }
}

/// It writes memory or registers. A write of no bytes only asks whether one can.
fn writes(body: &[u8]) -> bool {
    match body.first() {
        Some(b'M' | b'X') => {
            let length =
                body.split(|&byte| byte == b',').nth(1).and_then(|rest| rest.split(|&b| b == b':').next());
            length != Some(b"0")
        }
        Some(b'G' | b'P') => true,
        _ => false,
    }
}

/// The vCPU of a thread (`p1.2`, in hexadecimal); None for any or all.
fn vcpu(thread: &str) -> Option<u32> {
    let number = thread.rsplit('.').next()?;
    u32::from_str_radix(number, 16).ok()?.checked_sub(1)
}

/// Continues one thread and says nothing of the others.
fn locked(actions: &str) -> bool {
    let for_all = |action: &str| match action.split_once(':') {
        None => true,
        Some((_, thread)) => thread.ends_with("-1"),
    };
    let mut actions = actions.split(';');
    let steps = actions.clone().any(|action| action.starts_with(['s', 'S', 'r']));
    !steps && !actions.any(for_all)
}

/// `ADDR,KIND;X LEN,BYTECODE...`: the address and the conditions.
fn conditional(text: &str) -> Option<(u64, Vec<Vec<u8>>)> {
    let (place, lists) = text.split_once(';')?;
    let address = u64::from_str_radix(place.split_once(',')?.0, 16).ok()?;
    // Commands may follow the conditions; they are not for us to run.
    let conditions = lists.split(';').find(|list| list.starts_with('X'))?;
    let mut rest = conditions;
    let mut found = Vec::new();
    while let Some(after) = rest.strip_prefix('X') {
        let (length, after) = after.split_once(',')?;
        let digits = usize::from_str_radix(length, 16).ok()?.checked_mul(2)?;
        let code = after.get(..digits)?;
        let byte = |n: usize| u8::from_str_radix(code.get(2 * n..2 * n + 2)?, 16).ok();
        found.push((0..digits / 2).map(byte).collect::<Option<Vec<u8>>>()?);
        rest = &after[digits..];
    }
    rest.is_empty().then_some((address, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(bytes: &[u8]) -> Vec<Item> {
        let mut framer = Framer::default();
        bytes.iter().filter_map(|&byte| framer.push(byte)).collect()
    }

    #[test]
    fn packets_are_found() {
        assert_eq!(items(b"+$g#67"), [Item::Packet(b"g".into())]);
        assert_eq!(items(b"$g#66"), [Item::Broken]);
        assert_eq!(items(b"\x03$?#3f"), [Item::Interrupt, Item::Packet(b"?".into())]);
        assert_eq!(items(&packet(&vec![b'a'; LARGEST + 1])), [Item::Broken]);
        assert_eq!(items(&packet(b"qSupported:x+")), [Item::Packet(b"qSupported:x+".into())]);
    }

    #[test]
    fn conditions_are_found() {
        assert_eq!(conditional("c00,4;X3,221327"), Some((0xc00, vec![vec![0x22, 0x13, 0x27]])));
        assert_eq!(conditional("10,4;X1,27X2,2227"), Some((0x10, vec![vec![0x27], vec![0x22, 0x27]])));
        for wrong in ["", "c00,4;", "c00;X1,27", "c00,4;X2,27", "c00,4;Xffffffffffffffff,27", "zz,4;X1,27"] {
            assert_eq!(conditional(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_lone_thread_that_continues_is_locked() {
        assert!(locked("c:p1.2"));
        assert!(!locked("c"));
        assert!(!locked("s:p1.1"));
        assert!(!locked("s:1;c"));
        assert!(!locked("c:p1.-1"));
    }

    proptest! {
        #[test]
        fn no_stream_panics(bytes: Vec<u8>) {
            items(&bytes);
        }
        #[test]
        fn no_condition_panics(text in ".{0,40}") {
            let _ = conditional(&text);
        }
    }
}
