//! gdb's agent expressions: the bytecode in which it sends the conditions of breakpoints (gdb manual, appendix F
//! "The GDB Agent Expression Mechanism").
//!
//! Left out: floating point, tracing and `printf`, which conditions do not need; an expression that uses them is
//! refused.

/// What an expression can look at.
pub trait Guest {
    /// The register of this number in the target description, None if there is none.
    fn register(&mut self, number: u16) -> Option<u64>;
    /// Reads memory; false if it cannot be read.
    fn read(&mut self, address: u64, out: &mut [u8]) -> bool;
    /// Numbers in memory are little-endian.
    fn little_endian(&self) -> bool;
}

/// An expression that cannot be evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bad(pub &'static str);

/// Instructions of one evaluation at most: a loop must end.
const LONGEST: u32 = 10_000;
/// Entries of the stack at most.
const DEEPEST: usize = 256;

struct Stack(Vec<u64>);

impl Stack {
    fn push(&mut self, value: u64) -> Result<(), Bad> {
        if self.0.len() == DEEPEST {
            return Err(Bad("the stack is full"));
        }
        self.0.push(value);
        Ok(())
    }
    fn pop(&mut self) -> Result<u64, Bad> {
        self.0.pop().ok_or(Bad("the stack is empty"))
    }
    fn unary(&mut self, f: impl FnOnce(u64) -> u64) -> Result<(), Bad> {
        let value = self.pop()?;
        self.push(f(value))
    }
    fn binary(&mut self, f: impl FnOnce(u64, u64) -> Result<u64, Bad>) -> Result<(), Bad> {
        let (right, left) = (self.pop()?, self.pop()?);
        self.push(f(left, right)?)
    }
}

fn operand(code: &[u8], at: &mut usize, bytes: usize) -> Result<u64, Bad> {
    let end = at.checked_add(bytes).ok_or(Bad("it is cut"))?;
    let value = code.get(*at..end).ok_or(Bad("it is cut"))?;
    *at = end;
    Ok(value.iter().fold(0, |number, &byte| number << 8 | byte as u64))
}

fn divided(divisor: u64, f: impl FnOnce() -> u64) -> Result<u64, Bad> {
    if divisor == 0 { Err(Bad("division by zero")) } else { Ok(f()) }
}

fn sign_extend(value: u64, bits: u64) -> u64 {
    match bits {
        1..64 => ((value << (64 - bits)) as i64 >> (64 - bits)) as u64,
        _ => value,
    }
}

fn zero_extend(value: u64, bits: u64) -> u64 {
    if bits < 64 { value & ((1 << bits) - 1) } else { value }
}

fn shift(by: u64, f: impl FnOnce(u32) -> u64, out: u64) -> u64 {
    if by < 64 { f(by as u32) } else { out }
}

/// Evaluates `code`: the top of the stack at its end.
pub fn evaluate(code: &[u8], guest: &mut dyn Guest) -> Result<u64, Bad> {
    let mut stack = Stack(Vec::new());
    let mut at = 0;
    for _ in 0..LONGEST {
        let op = operand(code, &mut at, 1)?;
        match op {
            0x02 => stack.binary(|a, b| Ok(a.wrapping_add(b)))?,
            0x03 => stack.binary(|a, b| Ok(a.wrapping_sub(b)))?,
            0x04 => stack.binary(|a, b| Ok(a.wrapping_mul(b)))?,
            0x05 => stack.binary(|a, b| divided(b, || (a as i64).wrapping_div(b as i64) as u64))?,
            0x06 => stack.binary(|a, b| divided(b, || a / b))?,
            0x07 => stack.binary(|a, b| divided(b, || (a as i64).wrapping_rem(b as i64) as u64))?,
            0x08 => stack.binary(|a, b| divided(b, || a % b))?,
            0x09 => stack.binary(|a, b| Ok(shift(b, |b| a << b, 0)))?,
            0x0a => stack.binary(|a, b| {
                let sign = ((a as i64) >> 63) as u64;
                Ok(shift(b, |b| ((a as i64) >> b) as u64, sign))
            })?,
            0x0b => stack.binary(|a, b| Ok(shift(b, |b| a >> b, 0)))?,
            0x0e => stack.unary(|a| (a == 0) as u64)?,
            0x0f => stack.binary(|a, b| Ok(a & b))?,
            0x10 => stack.binary(|a, b| Ok(a | b))?,
            0x11 => stack.binary(|a, b| Ok(a ^ b))?,
            0x12 => stack.unary(|a| !a)?,
            0x13 => stack.binary(|a, b| Ok((a == b) as u64))?,
            0x14 => stack.binary(|a, b| Ok(((a as i64) < b as i64) as u64))?,
            0x15 => stack.binary(|a, b| Ok((a < b) as u64))?,
            0x16 => {
                let bits = operand(code, &mut at, 1)?;
                stack.unary(|a| sign_extend(a, bits))?;
            }
            0x17..=0x1a => {
                let address = stack.pop()?;
                stack.push(load(guest, address, 1 << (op - 0x17))?)?;
            }
            0x20 => {
                let target = operand(code, &mut at, 2)?;
                if stack.pop()? != 0 {
                    at = target as usize;
                }
            }
            0x21 => at = operand(code, &mut at, 2)? as usize,
            0x22..=0x25 => {
                let value = operand(code, &mut at, 1 << (op - 0x22))?;
                stack.push(value)?;
            }
            0x26 => {
                let number = operand(code, &mut at, 2)? as u16;
                stack.push(guest.register(number).ok_or(Bad("there is no such register"))?)?;
            }
            0x27 => return stack.pop(),
            0x28 => {
                let top = stack.pop()?;
                stack.push(top)?;
                stack.push(top)?;
            }
            0x29 => drop(stack.pop()?),
            0x2a => {
                let bits = operand(code, &mut at, 1)?;
                stack.unary(|a| zero_extend(a, bits))?;
            }
            0x2b => {
                let (top, below) = (stack.pop()?, stack.pop()?);
                stack.push(top)?;
                stack.push(below)?;
            }
            0x32 => {
                let depth = operand(code, &mut at, 1)? as usize;
                let index = stack.0.len().checked_sub(depth + 1).ok_or(Bad("the stack is empty"))?;
                stack.push(stack.0[index])?;
            }
            0x33 => {
                let (c, b, a) = (stack.pop()?, stack.pop()?, stack.pop()?);
                for value in [c, a, b] {
                    stack.push(value)?;
                }
            }
            _ => return Err(Bad("it does something that conditions have no need of")),
        }
    }
    Err(Bad("it does not end"))
}

/// Loads a number of 1, 2, 4 or 8 bytes.
pub(crate) fn load(guest: &mut dyn Guest, address: u64, bytes: usize) -> Result<u64, Bad> {
    let mut buffer = [0; 8];
    let buffer = &mut buffer[..bytes];
    if !guest.read(address, buffer) {
        return Err(Bad("memory there cannot be read"));
    }
    let fold = |number: u64, byte: &u8| number << 8 | *byte as u64;
    Ok(if guest.little_endian() { buffer.iter().rev().fold(0, fold) } else { buffer.iter().fold(0, fold) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) struct Fake;

    impl Guest for Fake {
        fn register(&mut self, number: u16) -> Option<u64> {
            (number < 32).then_some(100 + number as u64)
        }
        fn read(&mut self, address: u64, out: &mut [u8]) -> bool {
            for (n, byte) in out.iter_mut().enumerate() {
                *byte = (address as u8).wrapping_add(n as u8);
            }
            address < 0x1000
        }
        fn little_endian(&self) -> bool {
            false
        }
    }

    #[test]
    fn expressions_are_evaluated() {
        let evaluate = |code: &[u8]| evaluate(code, &mut Fake);
        // reg 3; const8 103; equal; end
        assert_eq!(evaluate(&[0x26, 0, 3, 0x22, 103, 0x13, 0x27]), Ok(1));
        // const8 0x10; ref32; end
        assert_eq!(evaluate(&[0x22, 0x10, 0x19, 0x27]), Ok(0x1011_1213));
        // const8 0xff; ext 8; const8 0; less_signed
        assert_eq!(evaluate(&[0x22, 0xff, 0x16, 8, 0x22, 0, 0x14, 0x27]), Ok(1));
        // 7 - 3 = 4; rot over (1, 2, 4): 4 1 2, top 2
        assert_eq!(evaluate(&[0x22, 1, 0x22, 2, 0x22, 7, 0x22, 3, 3, 0x33, 0x27]), Ok(2));
        // if 1 goto 8, which ends with 9
        assert_eq!(evaluate(&[0x22, 9, 0x22, 1, 0x20, 0, 8, 0x29, 0x27]), Ok(9));
        assert!(evaluate(&[0x21, 0, 0]).is_err(), "an endless loop");
        assert!(evaluate(&[0x22, 0, 0x22, 0, 0x06, 0x27]).is_err(), "division by zero");
        assert!(evaluate(&[0x26, 0, 99, 0x27]).is_err(), "no such register");
    }

    proptest! {
        #[test]
        fn no_bytecode_panics(code in proptest::collection::vec(0u8..0x38, 0..64)) {
            let _ = evaluate(&code, &mut Fake);
        }
    }
}
