//! Work side by side.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Cores of this computer.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` for each of `items` on up to `jobs` threads, and gives what came of them in the order of the items. What
/// a thread begins with comes from `begin`. The results must not depend on which thread did what.
pub fn each<T: Sync, W, R: Send>(
    jobs: usize,
    items: &[T],
    begin: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        let mut tools = begin();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { return done };
            done.push((n, work(&mut tools, item)));
        }
    };
    let mut all: Vec<(usize, R)> = thread::scope(|scope| {
        let threads: Vec<_> = (1..jobs.clamp(1, items.len().max(1))).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|done| done.0);
    all.into_iter().map(|done| done.1).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_item_is_done_once_and_in_order() {
        let items: Vec<u64> = (0..1000).collect();
        for jobs in [1, 2, 7] {
            let squares = super::each(jobs, &items, || (), |(), n| n * n);
            assert!(squares.iter().copied().eq(items.iter().map(|n| n * n)), "{jobs} jobs");
        }
        assert!(super::each(3, &[] as &[u64], || (), |(), n| *n).is_empty());
    }
}
