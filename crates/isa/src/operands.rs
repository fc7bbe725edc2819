//! Decoded operands: constants to every reader of a body, so that a body may branch on them with plain `if`.

/// Operands of one decoded instruction. Which field holds which operand is said by the encoding's form
/// ([`crate::encoding`]); the names follow the ISA's most common use.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ops {
    /// Number of the instruction: its position in [`crate::each`].
    pub op: u16,
    /// RT, RS, FRT, VRT, XT, BO, BF: the first operand of most forms. VSX numbers are 0 to 63, VMX registers are
    /// given as VSR 32 to 63.
    pub t: u8,
    /// RA (32 where the form reads `RA|0` and RA is 0), FRA, VRA, XA, BI.
    pub a: u8,
    /// RB, FRB, VRB, XB, or a shift count.
    pub b: u8,
    /// RC, FRC, VRC, XC, or a further small field.
    pub c: u8,
    /// Rc, or LK of a branch: record, link.
    pub rc: bool,
    /// OE, or AA of a branch: overflow, absolute.
    pub oe: bool,
    /// Immediate operand, sign-extended or shifted as the form says; a mask for rotates.
    pub imm: u64,
}
