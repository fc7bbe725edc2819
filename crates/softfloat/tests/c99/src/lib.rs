//! The types of C that the bindings of Berkeley SoftFloat name, as they are on x86-64 Linux.
//!
//! It stands in for a crate that finds them out by building with CMake, which nobody should need to have for one test.
#![no_std]
#![expect(non_camel_case_types, reason = "C names them so")]

/// `uint_fast8_t`
pub type uint_fast8_t = u8;
/// `int_fast32_t`
pub type int_fast32_t = i64;
/// `uint_fast32_t`
pub type uint_fast32_t = u64;
/// `int_fast64_t`
pub type int_fast64_t = i64;
/// `uint_fast64_t`
pub type uint_fast64_t = u64;
