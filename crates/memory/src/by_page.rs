//! Something for each page of storage, most of which is not there.

use alloc::{boxed::Box, vec::Vec};

/// Pages of a group, which takes memory when something of it is asked for to be changed.
const GROUP: usize = 64;

/// A `T` for each page, by its number: the default until it is changed.
pub struct ByPage<T> {
    groups: Vec<Option<Box<[T; GROUP]>>>,
}

impl<T> Default for ByPage<T> {
    fn default() -> ByPage<T> {
        ByPage { groups: Vec::new() }
    }
}

impl<T: Default> ByPage<T> {
    /// What there is for a page; None: the default.
    #[inline]
    pub fn get(&self, page: u64) -> Option<&T> {
        let group = self.groups.get(page as usize / GROUP)?.as_ref()?;
        Some(&group[page as usize % GROUP])
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, page: u64) -> Option<&mut T> {
        let group = self.groups.get_mut(page as usize / GROUP)?.as_mut()?;
        Some(&mut group[page as usize % GROUP])
    }

    /// What there is for a page from now on.
    pub fn make(&mut self, page: u64) -> &mut T {
        let number = page as usize / GROUP;
        if number >= self.groups.len() {
            self.groups.resize_with(number + 1, || None);
        }
        let new = || Box::new(core::array::from_fn(|_| T::default()));
        &mut self.groups[number].get_or_insert_with(new)[page as usize % GROUP]
    }

    /// All that is there, by page.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let groups = self.groups.iter().enumerate().filter_map(|(n, group)| Some((n, group.as_deref()?)));
        groups.flat_map(|(n, group)| {
            group.iter().enumerate().map(move |(at, it)| ((n * GROUP + at) as u64, it))
        })
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        let groups =
            self.groups.iter_mut().enumerate().filter_map(|(n, group)| Some((n, group.as_deref_mut()?)));
        groups.flat_map(|(n, group)| {
            group.iter_mut().enumerate().map(move |(at, it)| ((n * GROUP + at) as u64, it))
        })
    }
}
