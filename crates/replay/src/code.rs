//! How numbers and strings stand in a payload: LEB128 for numbers, a length before bytes.
//!
//! Reading never trusts what it reads: every answer is checked against what is left.

/// A payload that does not say what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

/// Appends to a payload.
pub trait Encode {
    /// An unsigned number, 7 bits to a byte, lowest first.
    fn number(&mut self, value: u64);
    /// A length and that many bytes.
    fn blob(&mut self, bytes: &[u8]);
}

impl Encode for Vec<u8> {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Takes a payload apart.
pub struct Decode<'a>(pub &'a [u8]);

impl<'a> Decode<'a> {
    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// A number of up to 64 bits.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed("a number is too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is too long"))
    }

    /// A number of up to 32 bits.
    pub fn number32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number is too large"))
    }

    /// Bytes after their length.
    pub fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed("a length is too large"))?;
        self.take(length)
    }

    /// A string after its length.
    pub fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.blob()?.to_vec()).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(numbers: Vec<u64>, bytes: Vec<u8>) {
            let mut out = Vec::new();
            numbers.iter().for_each(|&n| out.number(n));
            out.blob(&bytes);
            let mut input = Decode(&out);
            for n in numbers {
                prop_assert_eq!(input.number(), Ok(n));
            }
            prop_assert_eq!(input.blob(), Ok(&bytes[..]));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let mut input = Decode(&bytes);
            while input.number().is_ok() {}
            let _ = Decode(&bytes).text();
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        assert!(Decode(&[0xff; 9]).number().is_err());
        let mut most = vec![0xff; 9];
        most.push(1);
        assert_eq!(Decode(&most).number(), Ok(u64::MAX));
        most[9] = 2;
        assert!(Decode(&most).number().is_err());
    }
}
