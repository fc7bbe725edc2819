//! Keys typed at the terminal: to the guest, but for those after Ctrl-A.
//!
//! Only a terminal is read: what comes down a pipe comes at no position that anybody could repeat, so scripts give
//! their input with `--send`.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::collections::VecDeque;
use std::io::{self, stdin};
use std::sync::Mutex;
use std::sync::Once;
use std::time::Duration;

/// What a key means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// This byte goes to the guest.
    Byte(u8),
    /// This is for us.
    Command(Command),
}

/// What can be asked for after Ctrl-A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Ctrl-A x: end.
    Quit,
    /// Ctrl-A b: hold the guest, and say where it is.
    BreakIn,
    /// Ctrl-A n: system reset interrupt.
    Nmi,
    /// Ctrl-A h, and what is not known.
    Help,
}

/// What Ctrl-A h shows.
pub const HELP: &str = "\
Ctrl-A x   quit
Ctrl-A b   break in: show where the guest is, and hold it until a key is pressed
Ctrl-A n   send the system reset interrupt
Ctrl-A h   this help
Ctrl-A Ctrl-A   send Ctrl-A to the guest
";

const CTRL_A: u8 = 1;

/// Tells keys for the guest from keys for us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escapes {
    after_ctrl_a: bool,
}

impl Escapes {
    /// The meaning of the next byte; None: it depends on the one after.
    pub fn next(&mut self, byte: u8) -> Option<Typed> {
        if !std::mem::replace(&mut self.after_ctrl_a, false) {
            self.after_ctrl_a = byte == CTRL_A;
            return (byte != CTRL_A).then_some(Typed::Byte(byte));
        }
        Some(match byte {
            CTRL_A => Typed::Byte(CTRL_A),
            b'x' | b'X' => Typed::Command(Command::Quit),
            b'b' | b'B' => Typed::Command(Command::BreakIn),
            b'n' | b'N' => Typed::Command(Command::Nmi),
            _ => Typed::Command(Command::Help),
        })
    }
}

/// How the terminal was before: whatever ends the program puts it back.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal is as it was before a keyboard was opened: for programs that end at once.
pub fn restore() {
    if let Ok(mut before) = BEFORE.lock()
        && let Some(before) = before.take()
    {
        // If it cannot be put back there is nobody left to tell.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// The keyboard, raw while this lives if it is a terminal.
pub struct Keyboard {
    open: bool,
    escapes: Escapes,
    typed: VecDeque<Typed>,
}

impl Keyboard {
    /// No keyboard at all.
    pub fn none() -> Keyboard {
        Keyboard { open: false, escapes: Escapes::default(), typed: VecDeque::new() }
    }

    /// Standard input if it is a terminal, in raw mode: Ctrl-C goes to the guest.
    pub fn open() -> io::Result<Keyboard> {
        if !isatty(stdin()) {
            return Ok(Keyboard::none());
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.input_modes -= InputModes::BRKINT
            | InputModes::ICRNL
            | InputModes::IGNCR
            | InputModes::INLCR
            | InputModes::INPCK
            | InputModes::ISTRIP
            | InputModes::IXON;
        raw.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                next(panic);
            }));
        });
        if let Ok(mut saved) = BEFORE.lock() {
            *saved = Some(before);
        }
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let mut keyboard = Keyboard::none();
        keyboard.open = true;
        Ok(keyboard)
    }

    /// Keys may still come.
    pub fn is_open(&self) -> bool {
        self.open || !self.typed.is_empty()
    }

    /// Waits until there is a key, at most for `timeout`. Signals end it early. True if there is one.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        if !self.typed.is_empty() {
            return true;
        }
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        if !self.open {
            // A sleep that signals end.
            let _ = poll(&mut [], Some(&timeout));
            return false;
        }
        let input = stdin();
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&timeout)), Ok(ready) if ready > 0) {
            return false;
        }
        self.read();
        !self.typed.is_empty()
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(0) => self.open = false,
            Ok(n) => self.typed.extend(buffer[..n].iter().filter_map(|&byte| self.escapes.next(byte))),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => self.open = false,
        }
    }

    /// Reads the keys that are there, without waiting.
    pub fn poll(&mut self) {
        if self.open {
            self.wait(Duration::ZERO);
        }
    }

    /// Takes whatever is typed next. True if there was something.
    pub fn take(&mut self) -> bool {
        self.typed.pop_front().is_some()
    }

    /// The next thing typed is a command.
    pub fn has_command(&self) -> bool {
        matches!(self.typed.front(), Some(Typed::Command(_)))
    }

    /// Takes the next command, if that is what comes next.
    pub fn command(&mut self) -> Option<Command> {
        match self.typed.front() {
            Some(&Typed::Command(command)) => {
                self.typed.pop_front();
                Some(command)
            }
            _ => None,
        }
    }

    /// Takes the bytes for the guest up to the next command.
    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(&Typed::Byte(byte)) = self.typed.front() {
            bytes.push(byte);
            self.typed.pop_front();
        }
        bytes
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_is_for_us_and_all_else_for_the_guest() {
        let mut escapes = Escapes::default();
        let all: Vec<Typed> =
            b"a\x03\x01\x01b\x01n\x01?\x01xz".iter().filter_map(|&b| escapes.next(b)).collect();
        let byte = Typed::Byte;
        let command = Typed::Command;
        assert_eq!(
            all,
            [
                byte(b'a'),
                byte(3),
                byte(1),
                byte(b'b'),
                command(Command::Nmi),
                command(Command::Help),
                command(Command::Quit),
                byte(b'z')
            ]
        );
    }

    #[test]
    fn bytes_and_commands_keep_their_order() {
        let mut keyboard = Keyboard::none();
        let mut escapes = Escapes::default();
        keyboard.typed.extend(b"ab\x01ncd".iter().filter_map(|&b| escapes.next(b)));
        assert_eq!(keyboard.command(), None);
        assert_eq!(keyboard.bytes(), b"ab");
        assert_eq!(keyboard.bytes(), b"");
        assert_eq!(keyboard.command(), Some(Command::Nmi));
        assert_eq!(keyboard.bytes(), b"cd");
        assert!(!keyboard.is_open());
    }
}
