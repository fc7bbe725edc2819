//! State of the types that everything is made of.

use crate::{Instant, LoadError, Paged, State, Ticks, Walk};
use alloc::{
    boxed::Box, collections::BTreeMap, collections::BTreeSet, collections::VecDeque, string::String, vec::Vec,
};

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl State for $type {
            fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
                let mut value = *self as u128 & (u128::MAX >> (128 - <$type>::BITS));
                walk.number(&mut value, <$type>::BITS);
                *self = value as $type;
                Ok(())
            }
        }
    )*};
}
numbers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

impl State for bool {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut value = *self as u128;
        walk.number(&mut value, 1);
        match value {
            0 => *self = false,
            1 => *self = true,
            _ => return Err(walk.error("neither true nor false")),
        }
        Ok(())
    }
}

impl State for () {
    fn walk(&mut self, _: &mut dyn Walk) -> Result<(), LoadError> {
        Ok(())
    }
}

impl State for Instant {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        walk.instant(self);
        Ok(())
    }
}

impl State for Ticks {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        self.0.walk(walk)
    }
}

impl State for Paged {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        walk.paged(self);
        Ok(())
    }
}

impl State for String {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut bytes = core::mem::take(self).into_bytes();
        bytes.walk(walk)?;
        *self = String::from_utf8(bytes).map_err(|_| walk.error("not UTF-8"))?;
        Ok(())
    }
}

impl<T: State + ?Sized> State for Box<T> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        (**self).walk(walk)
    }
}

fn elements<'a, T: State + 'a>(
    values: impl Iterator<Item = &'a mut T>,
    walk: &mut dyn Walk,
) -> Result<(), LoadError> {
    for (index, value) in values.enumerate() {
        walk.enter_index(index as u64);
        value.walk(walk)?;
        walk.leave();
    }
    Ok(())
}

impl<T: State, const N: usize> State for [T; N] {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        elements(self.iter_mut(), walk)
    }
}

/// A slice has a length that its owner fixes.
impl<T: State> State for [T] {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut length = self.len() as u64;
        walk.length(&mut length);
        if length != self.len() as u64 {
            return Err(walk.error("another number of elements"));
        }
        elements(self.iter_mut(), walk)
    }
}

/// Longest sequence that a load believes, in elements.
const LONGEST: u64 = 1 << 32;

fn length(now: usize, walk: &mut dyn Walk) -> Result<usize, LoadError> {
    let mut length = now as u64;
    walk.length(&mut length);
    if length > LONGEST { Err(walk.error("too many elements")) } else { Ok(length as usize) }
}

impl<T: State + Default> State for Vec<T> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let length = length(self.len(), walk)?;
        self.truncate(length);
        for index in 0..length {
            if index == self.len() {
                self.push(T::default());
            }
            walk.enter_index(index as u64);
            self[index].walk(walk)?;
            walk.leave();
        }
        Ok(())
    }
}

impl<T: State + Default> State for VecDeque<T> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut all: Vec<T> = core::mem::take(self).into();
        let result = all.walk(walk);
        *self = all.into();
        result
    }
}

impl<T: State + Default> State for Option<T> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut some = self.is_some();
        walk.enter("is_some");
        some.walk(walk)?;
        walk.leave();
        if !some {
            *self = None;
            return Ok(());
        }
        self.get_or_insert_with(T::default).walk(walk)
    }
}

impl<K: State + Default + Ord, V: State + Default> State for BTreeMap<K, V> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut all: Vec<(K, V)> = core::mem::take(self).into_iter().collect();
        let result = all.walk(walk);
        *self = all.into_iter().collect();
        result
    }
}

impl<K: State + Default + Ord> State for BTreeSet<K> {
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
        let mut all: Vec<K> = core::mem::take(self).into_iter().collect();
        let result = all.walk(walk);
        *self = all.into_iter().collect();
        result
    }
}

macro_rules! tuples {
    ($($type:ident $index:tt),*) => {
        impl<$($type: State),*> State for ($($type,)*) {
            fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError> {
                $(
                    walk.enter(stringify!($index));
                    self.$index.walk(walk)?;
                    walk.leave();
                )*
                Ok(())
            }
        }
    };
}
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
