//! Conditions as a user types them after `monitor watch ADDR if`: C's operators over registers (`$r3`, `$msr`),
//! numbers, and memory (`u8[ADDR]`, `u16[]`, `u32[]`, `u64[]`). All values are 64 bits wide and unsigned; `<s` and
//! `>s` compare as signed.

use crate::agent::{Bad, Guest, load};
use timebase_machine::Register;

/// A parsed condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A constant.
    Number(u64),
    /// A register.
    Register(Register),
    /// Memory of so many bytes.
    Memory(u8, Box<Expression>),
    /// `!` `~` `-`.
    Unary(char, Box<Expression>),
    /// An operator between two.
    Binary(&'static str, Box<Expression>, Box<Expression>),
}

/// What an [`Expression`] looks at.
pub trait Scope: Guest {
    /// The value of a register.
    fn named_register(&mut self, register: Register) -> Option<u64>;
}

/// Operators by precedence, weakest first; longer ones before their prefixes.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<s", ">s", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

/// Nesting at most.
const DEEPEST: u32 = 64;

impl Expression {
    /// Parses all of `text`.
    pub fn parse(text: &str) -> Result<Expression, String> {
        let mut parser = Parser { rest: text, depth: 0 };
        let expression = parser.level(0)?;
        parser.skip();
        if !parser.rest.is_empty() {
            return Err(format!("`{}` is not understood", parser.rest));
        }
        Ok(expression)
    }

    /// Its value.
    pub fn evaluate(&self, scope: &mut dyn Scope) -> Result<u64, Bad> {
        Ok(match self {
            Expression::Number(value) => *value,
            Expression::Register(register) => {
                scope.named_register(*register).ok_or(Bad("there is no such register"))?
            }
            Expression::Memory(bytes, address) => {
                let address = address.evaluate(scope)?;
                // A scope is a guest, too.
                load(&mut Upcast(scope), address, *bytes as usize)?
            }
            Expression::Unary(operator, value) => {
                let value = value.evaluate(scope)?;
                match operator {
                    '!' => (value == 0) as u64,
                    '~' => !value,
                    _ => value.wrapping_neg(),
                }
            }
            Expression::Binary("&&", left, right) => {
                (left.evaluate(scope)? != 0 && right.evaluate(scope)? != 0) as u64
            }
            Expression::Binary("||", left, right) => {
                (left.evaluate(scope)? != 0 || right.evaluate(scope)? != 0) as u64
            }
            Expression::Binary(operator, left, right) => {
                let (a, b) = (left.evaluate(scope)?, right.evaluate(scope)?);
                binary(operator, a, b)?
            }
        })
    }
}

struct Upcast<'a>(&'a mut dyn Scope);

impl Guest for Upcast<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        self.0.register(number)
    }
    fn read(&mut self, address: u64, out: &mut [u8]) -> bool {
        self.0.read(address, out)
    }
    fn little_endian(&self) -> bool {
        self.0.little_endian()
    }
}

fn binary(operator: &str, a: u64, b: u64) -> Result<u64, Bad> {
    Ok(match operator {
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "==" => (a == b) as u64,
        "!=" => (a != b) as u64,
        "<=" => (a <= b) as u64,
        ">=" => (a >= b) as u64,
        "<" => (a < b) as u64,
        ">" => (a > b) as u64,
        "<s" => ((a as i64) < b as i64) as u64,
        ">s" => ((a as i64) > b as i64) as u64,
        "<<" => a.checked_shl(b.try_into().unwrap_or(64)).unwrap_or(0),
        ">>" => a.checked_shr(b.try_into().unwrap_or(64)).unwrap_or(0),
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        "/" => a.checked_div(b).ok_or(Bad("division by zero"))?,
        _ => a.checked_rem(b).ok_or(Bad("division by zero"))?,
    })
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("`{token}` is missing before `{}`", self.rest)) }
    }

    fn level(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.level(level + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        self.skip();
        let found = operators.iter().find(|operator| {
            let Some(after) = self.rest.strip_prefix(**operator) else { return false };
            // `&` is not the beginning of `&&`, nor `<` that of `<<`.
            !(operator.len() == 1 && "|&<>=".contains(**operator) && after.starts_with(**operator))
        })?;
        self.rest = &self.rest[found.len()..];
        Some(found)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        if self.depth == DEEPEST {
            return Err("it is nested too deeply".into());
        }
        self.depth += 1;
        let value = self.value();
        self.depth -= 1;
        value
    }

    fn value(&mut self) -> Result<Expression, String> {
        self.skip();
        for operator in ['!', '~', '-'] {
            let mut token = [0; 4];
            if self.take(operator.encode_utf8(&mut token)) {
                return Ok(Expression::Unary(operator, Box::new(self.unary()?)));
            }
        }
        if self.take("(") {
            let inner = self.level(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        for (token, bytes) in [("u8[", 1), ("u16[", 2), ("u32[", 4), ("u64[", 8)] {
            if self.take(token) {
                let address = self.level(0)?;
                self.expect("]")?;
                return Ok(Expression::Memory(bytes, Box::new(address)));
            }
        }
        self.word()
    }

    fn word(&mut self) -> Result<Expression, String> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let expression = match word.strip_prefix('$') {
            Some(name) => Expression::Register(
                Register::named(name).ok_or_else(|| format!("no register is named `{name}`"))?,
            ),
            None => Expression::Number(number(word).ok_or_else(|| format!("`{word}` is not a number"))?),
        };
        self.rest = rest;
        Ok(expression)
    }
}

/// A number as C writes it: decimal, 0x, with `_` where one likes.
pub fn number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|&c| c != '_').collect();
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tests::Fake;
    use proptest::prelude::*;

    impl Scope for Fake {
        fn named_register(&mut self, register: Register) -> Option<u64> {
            match register {
                Register::Gpr(n) => Some(100 + n as u64),
                _ => None,
            }
        }
    }

    #[test]
    fn conditions_are_evaluated() {
        let evaluate = |text: &str| Expression::parse(text).map(|e| e.evaluate(&mut Fake));
        assert_eq!(evaluate("1 + 2 * 3 == 7 && $r3 == 103"), Ok(Ok(1)));
        assert_eq!(evaluate("(1 | 2) << 4"), Ok(Ok(0x30)));
        assert_eq!(evaluate("u16[0x10] & 0xff"), Ok(Ok(0x11)));
        assert_eq!(evaluate("-1 < 5"), Ok(Ok(0)));
        assert_eq!(evaluate("-1 <s 5"), Ok(Ok(1)));
        assert_eq!(evaluate("!0 || u64[0xffff0000]"), Ok(Ok(1)));
        assert!(matches!(evaluate("u64[0xffff0000]"), Ok(Err(_))));
        assert!(matches!(evaluate("1 / 0"), Ok(Err(_))));
        for wrong in [&"(".repeat(5000), "", "1 +", "$r32", "(1", "u8[1", "1 2", "x", "1 = 2"] {
            assert!(evaluate(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+*/%<>=!~()&|^u8\\[\\]$rx0-9 ]{0,40}") {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.evaluate(&mut Fake);
            }
        }
    }
}
