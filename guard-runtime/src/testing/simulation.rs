//! A thread in which nothing is left to chance: for simulations that are to be repeated to the last nanosecond.
//!
//! [`seed`](super::seed) makes delays follow from a number. What remains is where keys are kept, and the phase of the clock: a breaker opens
//! until a whole millisecond of the process's clock, and a paused runtime begins at any nanosecond of that. Here the clock counts from the
//! beginning of the simulation, in a phase that follows from the seed, too, and keys have the same hash each time.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::marker::PhantomData;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::split_mix;
use crate::clock;

/// What has passed by the clock when a simulation begins, as in [`clock`](crate::clock): nothing is ever below zero.
const BEFORE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy)]
struct Chance {
    start: Instant,
    seed: u64,
}

thread_local! {
    static CHANCE: Cell<Option<Chance>> = const { Cell::new(None) };
}

/// While it lives, chance and clock of this thread follow from a seed.
#[must_use = "dropped, it ends"]
pub struct Simulation {
    before: Option<Chance>,
    // It belongs to its thread.
    _thread: PhantomData<*const ()>,
}

/// Begins a simulation: within a runtime whose clock is paused, in its only thread, and for policies that are made in it.
pub fn simulate(mut seed: u64) -> Simulation {
    let phase = Duration::from_nanos(split_mix(&mut seed) % clock::NANOS_PER_MS);
    let now = clock::instant();
    let start = now.checked_sub(BEFORE + phase).unwrap_or(now);
    Simulation { before: CHANCE.replace(Some(Chance { start, seed })), _thread: PhantomData }
}

/// The next number of the simulation, if there is one.
pub(crate) fn number() -> Option<u64> {
    let mut chance = CHANCE.get()?;
    let number = split_mix(&mut chance.seed);
    CHANCE.set(Some(chance));
    Some(number)
}

/// The hash of a key in a simulation, if there is one: that of a process is another one each time.
pub(crate) fn hash_of<Q: Hash + ?Sized>(key: &Q) -> Option<u64> {
    CHANCE.get().map(|_| BuildHasherDefault::<DefaultHasher>::default().hash_one(key))
}

/// When the clock of the simulation was 0.
pub(crate) fn start() -> Option<Instant> {
    CHANCE.get().map(|chance| chance.start)
}

impl Drop for Simulation {
    fn drop(&mut self) {
        CHANCE.set(self.before);
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use guard_spec::{Breaker, Retry};

    use super::*;
    use crate::{Backoff, CircuitBreaker};

    /// The delays of some retries, and when a breaker that opens lets a probe through.
    fn run(seed: u64) -> (Vec<Duration>, u64, Option<Duration>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let _simulation = simulate(seed);
            let delays = Backoff::new(Retry::new(5)).unwrap().collect();
            let breaker = CircuitBreaker::new(Breaker::consecutive(1)).unwrap();
            breaker.try_acquire().unwrap().failure();
            (delays, clock::now(), breaker.try_acquire().err().map(|open| open.retry_after))
        })
    }

    #[test]
    fn the_same_seed_has_the_same_chance_and_the_same_clock() {
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
        assert_ne!(run(7).1, run(8).1, "the phase of the clock, too");
    }
}
