//! One definition per instruction, and how families list theirs.

use crate::{Done, Encoding, Ops, Semantics};

/// An instruction: a type without values, so that readers can be generic over it and every reader gets its own
/// optimised function.
pub trait Instruction {
    /// Base mnemonic, as a Rust identifier: `add`, `andi_` (`andi.`).
    const NAME: &'static str;
    /// Assembler syntax: `add[o][.] RT,RA,RB`.
    const SYNTAX: &'static str;
    /// Section of the Power ISA 3.1, as `I 3.3.9`.
    const SECTION: &'static str;
    /// Encoding and operands.
    const ENCODING: Encoding;
    /// What it does. Writes no state before its last point of failure.
    fn body<S: Semantics>(s: &mut S, i: &Ops) -> Done<S>;
}

/// Something that wants to see every instruction.
pub trait Visitor {
    /// Shows one instruction.
    fn visit<I: Instruction>(&mut self);
}

/// Defines a family of instructions and a function `each` that shows them to a visitor.
///
/// ```text
/// instructions! { "I 3.3.9";
///     add = xo(31, 266), "add[o][.] RT,RA,RB", |s, i| { ... }
/// }
/// ```
macro_rules! instructions {
    ($($section:literal; $($name:ident = $encoding:expr, $syntax:literal, |$s:ident, $i:ident| $body:block)*)+) => {
        $($(
            #[doc = concat!("`", $syntax, "` (Power ISA ", $section, ")")]
            pub enum $name {}
            impl $crate::Instruction for $name {
                const NAME: &'static str = stringify!($name);
                const SYNTAX: &'static str = $syntax;
                const SECTION: &'static str = $section;
                const ENCODING: $crate::Encoding = $encoding;
                #[inline(always)]
                fn body<S: $crate::Semantics>($s: &mut S, $i: &$crate::Ops) -> $crate::Done<S> {
                    $body
                    Ok(())
                }
            }
        )*)+
        /// Shows the instructions of this family to `visitor`.
        pub fn each(visitor: &mut impl $crate::Visitor) {
            $($(visitor.visit::<$name>();)*)+
        }
    };
}
pub(crate) use instructions;
