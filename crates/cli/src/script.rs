//! What the console shows, and what is done about it: `--until` and `--send`.
//!
//! Expressions are matched against one line at a time, the unfinished last one included, whenever the guest has put
//! out something; so what happens, happens at the position of that output, and is the same on every host. A line is
//! matched by its last [`WINDOW`] bytes.

use regex::bytes::Regex;
use std::collections::VecDeque;

/// Bytes of a line that an expression can see.
const WINDOW: usize = 4096;

/// One `--send`.
#[derive(Clone, Debug)]
pub struct Send {
    when: Regex,
    text: Vec<u8>,
}

impl Send {
    /// Understands `REGEX=TEXT`.
    pub fn parse(argument: &str) -> Result<Send, String> {
        let (when, text) = split(argument).ok_or("give REGEX=TEXT")?;
        let when = expression(&when)?;
        Ok(Send { when, text: unescape(text)? })
    }
}

/// A regular expression. The `regex` crate draws a picture of what is wrong; its last line says it.
pub fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let error = error.to_string();
        format!("REGEX: {}", error.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}

/// Takes apart at the first `=` that is not written `\=`.
fn split(argument: &str) -> Option<(String, &str)> {
    let mut regex = String::new();
    let mut rest = argument.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '=' => return Some((regex, &argument[at + 1..])),
            '\\' => match rest.next() {
                Some((_, '=')) => regex.push('='),
                Some((_, other)) => regex.extend(['\\', other]),
                None => regex.push('\\'),
            },
            c => regex.push(c),
        }
    }
    None
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        out.push(match rest.next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('e') => 0x1b,
            Some('\\') => b'\\',
            Some('x') => {
                let mut digit = || rest.next().and_then(|c| c.to_digit(16));
                let (high, low) = (digit(), digit());
                match (high, low) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err("TEXT: \\x takes two hexadecimal digits".into()),
                }
            }
            _ => return Err("TEXT: after \\ comes n, r, t, e, x or another \\".into()),
        });
    }
    Ok(out)
}

/// Watches the console.
pub struct Script {
    line: Vec<u8>,
    until: Option<Regex>,
    reached: bool,
    sends: VecDeque<Send>,
    /// Where in the line the next send may begin to match.
    from: usize,
    due: VecDeque<Vec<u8>>,
    /// What is in a line with which the firmware dies, if anybody wants to know.
    death: Option<&'static [u8]>,
    died: bool,
}

impl Script {
    /// Waits for `until`, and for the first of `sends`.
    pub fn new(until: Option<Regex>, sends: Vec<Send>) -> Script {
        Script {
            line: Vec::new(),
            until,
            reached: false,
            sends: sends.into(),
            from: 0,
            due: VecDeque::new(),
            death: None,
            died: false,
        }
    }

    /// Also looks for a line with this in it: with that the firmware dies.
    pub fn watch_for_death(&mut self, words: &'static [u8]) {
        self.death = Some(words);
    }

    /// The firmware said that it dies.
    pub fn died(&self) -> bool {
        self.died
    }

    /// The console shows more. True if there is something to do here.
    pub fn show(&mut self, bytes: &[u8]) -> bool {
        if self.until.is_none() && self.sends.is_empty() && self.death.is_none() {
            return false;
        }
        let mut act = false;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            self.line.extend_from_slice(text);
            act |= self.look();
            if ends {
                self.line.clear();
                self.from = 0;
            }
        }
        act
    }

    fn look(&mut self) -> bool {
        if self.line.len() > 2 * WINDOW {
            let gone = self.line.len() - WINDOW;
            self.line.drain(..gone);
            self.from = self.from.saturating_sub(gone);
        }
        let mut act = false;
        if !self.reached && self.until.as_ref().is_some_and(|until| until.is_match(&self.line)) {
            self.reached = true;
            act = true;
        }
        self.died |=
            self.death.is_some_and(|death| self.line.windows(death.len()).any(|words| words == death));
        while let Some(found) = self.sends.front().and_then(|send| send.when.find_at(&self.line, self.from)) {
            self.from = found.end();
            self.due.extend(self.sends.pop_front().map(|send| send.text));
            act = true;
        }
        act
    }

    /// `--until` was given.
    pub fn waits(&self) -> bool {
        self.until.is_some()
    }

    /// The console showed what `--until` waits for.
    pub fn reached(&self) -> bool {
        self.reached
    }

    /// The next text to type.
    pub fn typed(&mut self) -> Option<Vec<u8>> {
        self.due.pop_front()
    }

    /// The first expression of `--send` that was never seen.
    pub fn unsent(&self) -> Option<&str> {
        self.sends.front().map(|send| send.when.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_are_taken_apart_and_unescaped() {
        let send = Send::parse(r"a\=b\d=c=\n\r\t\e\\\x41").unwrap();
        assert_eq!(send.when.as_str(), r"a=b\d");
        assert_eq!(send.text, b"c=\n\r\t\x1b\\A");
        assert!(Send::parse("no text").unwrap_err().contains("REGEX=TEXT"));
        assert!(Send::parse(r"a=\q").unwrap_err().contains("after \\"));
        assert!(Send::parse(r"a=\x4").unwrap_err().contains("two"));
        let error = Send::parse("(=x").unwrap_err();
        assert!(error.contains("unclosed") && !error.contains('\n'), "{error}");
    }

    fn sends(all: &[&str]) -> Vec<Send> {
        all.iter().map(|send| Send::parse(send).unwrap()).collect()
    }

    #[test]
    fn sends_are_due_in_order_each_after_the_one_before() {
        let mut script = Script::new(None, sends(&["a=1", "a=2", "b=3"]));
        assert!(!script.show(b"b"));
        assert!(script.show(b"xaxa"));
        assert_eq!(
            (script.typed(), script.typed(), script.typed()),
            (Some(b"1".into()), Some(b"2".into()), None)
        );
        assert_eq!(script.unsent(), Some("b"));
        assert!(script.show(b"\nb\n"));
        assert_eq!(script.typed(), Some(b"3".into()));
        assert_eq!(script.unsent(), None);
    }

    #[test]
    fn a_line_is_matched_however_it_comes() {
        let text = b"one\r\nVFS: Unable to mount\r\nthree";
        let (mut at, until) = (Vec::new(), Regex::new("^VFS: .*mount").unwrap());
        for size in 1..text.len() {
            let mut script = Script::new(Some(until.clone()), vec![]);
            let hit = text.chunks(size).position(|chunk| script.show(chunk)).unwrap();
            assert!(script.reached());
            at.push(((hit + 1) * size).min(text.len()));
        }
        assert!(at.iter().all(|&at| at >= 25), "never before it is there: {at:?}");
    }

    #[test]
    fn endless_lines_are_matched_at_their_end_in_linear_time() {
        let mut script = Script::new(Some(Regex::new("needle").unwrap()), sends(&["needle=x"]));
        for _ in 0..20_000 {
            assert!(!script.show(b"0123456789abcdef"));
        }
        assert!(script.line.len() <= 2 * WINDOW + 16);
        assert!(script.show(b"a nee") || script.show(b"dle"));
    }
}
