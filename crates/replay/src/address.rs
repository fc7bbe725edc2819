//! How a user names a place in history: `123_456`, `123456.2`, `50%`, `start`, `end`, `end-1000`,
//! `console:REGEX`.

use crate::timeline::{Patience, Timeline, TravelError};
use regex::bytes::{Regex, RegexBuilder};
use std::fmt;
use std::str::FromStr;
use timebase_machine::api::Position;

/// A place in history as a user names it.
#[derive(Clone, Debug)]
pub enum Place {
    /// A position.
    At(Position),
    /// So many hundredths of history, counted in instructions.
    Percent(f64),
    /// So many instructions before the end.
    BeforeEnd(u64),
    /// So many instructions after (or before, if negative) where one is.
    Relative(i64),
    /// Where the console first showed this.
    Console(Regex),
}

/// No place is named so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownPlace(String);

impl fmt::Display for UnknownPlace {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownPlace {}

/// An instruction count: digits, in which `_` and `,` may stand.
fn count(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    digits.parse().ok()
}

impl FromStr for Place {
    type Err = UnknownPlace;

    fn from_str(text: &str) -> Result<Place, UnknownPlace> {
        let unknown = || {
            UnknownPlace(format!(
                "`{text}` is no place in history: give an instruction count (with `.SEQUENCE` if need be), +N, -N, \
                 N%, start, end, end-N, or console:REGEX"
            ))
        };
        if let Some(pattern) = text.strip_prefix("console:") {
            return RegexBuilder::new(pattern)
                .multi_line(true)
                .build()
                .map(Place::Console)
                .map_err(|error| UnknownPlace(format!("console:{pattern}: {error}")));
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.parse().map_err(|_| unknown())?;
            return if (0.0..=100.0).contains(&percent) {
                Ok(Place::Percent(percent))
            } else {
                Err(unknown())
            };
        }
        match text {
            "start" | "begin" | "beginning" => return Ok(Place::At(Position::default())),
            "end" => return Ok(Place::BeforeEnd(0)),
            _ => {}
        }
        if let Some(before) = text.strip_prefix("end-") {
            return count(before).map(Place::BeforeEnd).ok_or_else(unknown);
        }
        if let Some(after) = text.strip_prefix('+') {
            return count(after).and_then(|n| n.try_into().ok()).map(Place::Relative).ok_or_else(unknown);
        }
        if let Some(before) = text.strip_prefix('-') {
            let before: Option<i64> = count(before).and_then(|n| n.try_into().ok());
            return before.map(|n| Place::Relative(-n)).ok_or_else(unknown);
        }
        let (whole, sequence) = match text.split_once('.') {
            Some((whole, sequence)) => (whole, sequence.parse().map_err(|_| unknown())?),
            None => (text, 0),
        };
        let count = count(whole).ok_or_else(unknown)?;
        Ok(Place::At(Position { count, sequence }))
    }
}

impl Timeline {
    /// The position of a place; None if history does not have it. Looking for output that was not run through yet
    /// runs through it; the cursor comes back to where it was.
    pub fn find(&mut self, place: &Place, patience: &mut Patience) -> Result<Option<Position>, TravelError> {
        let end = self.end();
        let at = |count: u64| Position { count, sequence: 0 };
        let found = match place {
            Place::At(position) => *position,
            Place::Percent(percent) if *percent >= 100.0 => end,
            Place::Percent(percent) => at((end.count as f64 * percent / 100.0) as u64),
            Place::BeforeEnd(0) => end,
            Place::BeforeEnd(before) => at(end.count.saturating_sub(*before)),
            Place::Relative(distance) => at(self.position().count.saturating_add_signed(*distance)),
            Place::Console(pattern) => return self.find_in_console(pattern, patience),
        };
        Ok((found <= end).then_some(found))
    }

    fn find_in_console(
        &mut self,
        pattern: &Regex,
        patience: &mut Patience,
    ) -> Result<Option<Position>, TravelError> {
        const STAGE: u64 = 20_000_000;
        let before = self.position();
        let found = loop {
            // What follows may make a longer match of the same beginning: the first end is what was shown first.
            if let Some(end) = pattern.shortest_match(&self.console().text) {
                break self.console().position_of(end.saturating_sub(1));
            }
            let explored = self.explored();
            if explored >= self.end() {
                break None;
            }
            self.seek(explored, patience)?;
            self.seek(Position { count: explored.count + STAGE, sequence: 0 }, patience)?;
        };
        self.seek(before, patience)?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let at = |count, sequence| Position { count, sequence };
        let read = |text: &str| text.parse::<Place>();
        assert!(matches!(read("1_000"), Ok(Place::At(p)) if p == at(1000, 0)));
        assert!(matches!(read("976,794,706.2"), Ok(Place::At(p)) if p == at(976_794_706, 2)));
        assert!(matches!(read("start"), Ok(Place::At(p)) if p == at(0, 0)));
        assert!(matches!(read("end"), Ok(Place::BeforeEnd(0))));
        assert!(matches!(read("end-5"), Ok(Place::BeforeEnd(5))));
        assert!(matches!(read("50%"), Ok(Place::Percent(p)) if p == 50.0));
        assert!(matches!(read("-3"), Ok(Place::Relative(-3))));
        assert!(matches!(read("+3"), Ok(Place::Relative(3))));
        assert!(matches!(read("console:VFS.*root"), Ok(Place::Console(_))));
        for wrong in ["", "x", "1.x", "101%", "-1%", "end+1", "console:(", "1..2", "+", "-"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
