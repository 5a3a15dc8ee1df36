//! What a policy has done, counted.
//!
//! The good path counts one thing, a success, and must stay cheap on many threads at once: each thread has a cell of its
//! own, which nobody else writes, so that counting is a load and a store without a locked instruction. There are as many
//! cells as [`CELLS`]; threads beyond that share one. Everything else happens on the bad path and is one counter each.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Threads with a cell of their own.
const CELLS: usize = 16;
/// A thread that has not asked yet; one that asked and got none has `CELLS`.
const UNASKED: usize = usize::MAX;

/// A cell alone in its cache line (two of them, since processors fetch pairs, would double the size for little).
#[repr(align(64))]
struct Padded(AtomicU64);

pub(crate) struct Counters {
    successes: [Padded; CELLS + 1],
    pub(crate) permanent: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) waits: AtomicU64,
    /// Attempts, and calls, that a timeout ended.
    pub(crate) timed_out: AtomicU64,
    pub(crate) calls_timed_out: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) circuit_open: AtomicU64,
    pub(crate) saturated: AtomicU64,
    pub(crate) rejected_otherwise: AtomicU64,
    /// Retries that the budget did not allow.
    pub(crate) over_budget: AtomicU64,
    /// What a policy in shadow would have rejected, delayed, retried.
    pub(crate) would_reject: AtomicU64,
    pub(crate) would_delay: AtomicU64,
    pub(crate) would_retry: AtomicU64,
    /// Of the rejections, those of a call that had made an attempt before.
    pub(crate) rejected_retries: AtomicU64,
}

impl Counters {
    pub(crate) const fn new() -> Counters {
        Counters {
            successes: [const { Padded(AtomicU64::new(0)) }; CELLS + 1],
            permanent: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            calls_timed_out: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
            circuit_open: AtomicU64::new(0),
            saturated: AtomicU64::new(0),
            rejected_otherwise: AtomicU64::new(0),
            over_budget: AtomicU64::new(0),
            would_reject: AtomicU64::new(0),
            would_delay: AtomicU64::new(0),
            would_retry: AtomicU64::new(0),
            rejected_retries: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn success(&self) {
        let cell = CELL.get();
        if let (Some(Padded(count)), true) = (self.successes.get(cell), cell < CELLS) {
            // Only this thread writes the cell: nothing is lost between the load and the store.
            count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
        } else {
            self.success_without_cell();
        }
    }

    #[cold]
    #[inline(never)]
    fn success_without_cell(&self) {
        if CELL.get() == UNASKED {
            CELL.set(ownership::claim().unwrap_or(CELLS));
            return self.success();
        }
        self.successes[CELLS].0.fetch_add(1, Relaxed);
    }

    pub(crate) fn successes(&self) -> u64 {
        self.successes.iter().fold(0, |sum, cell| sum.wrapping_add(cell.0.load(Relaxed)))
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

thread_local! {
    /// The index of this thread's cell. Without a destructor, so that reading it is one instruction.
    static CELL: Cell<usize> = const { Cell::new(UNASKED) };
}

/// Which cells are owned by a living thread.
mod ownership {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{CELL, CELLS};

    static OWNED: AtomicU32 = AtomicU32::new(0);

    struct Claim(usize);

    impl Drop for Claim {
        fn drop(&mut self) {
            // What this thread still counts, from destructors that run later, goes to the shared cell.
            CELL.set(CELLS);
            // Release: the next owner's load comes after this thread's last store.
            OWNED.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }

    thread_local! {
        static CLAIM: std::cell::OnceCell<Claim> = const { std::cell::OnceCell::new() };
    }

    /// A cell until this thread ends, if one is free.
    pub(super) fn claim() -> Option<usize> {
        let mut owned = OWNED.load(Ordering::Relaxed);
        loop {
            let free = (!owned).trailing_zeros() as usize;
            if free >= CELLS {
                return None;
            }
            // Acquire: see `Claim::drop`.
            match OWNED.compare_exchange_weak(owned, owned | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    // Fails while the thread's locals are torn down; then the claim is dropped here and given back.
                    return CLAIM.try_with(|claim| claim.set(Claim(free)).is_ok()).ok()?.then_some(free);
                }
                Err(changed) => owned = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_with_more_threads_than_cells_and_threads_that_end() {
        let counters = Counters::new();
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for _ in 0..CELLS * 2 {
                    scope.spawn(|| (0..1_000).for_each(|_| counters.success()));
                }
            });
        }
        assert_eq!(counters.successes(), 4 * CELLS as u64 * 2 * 1_000);
    }
}
