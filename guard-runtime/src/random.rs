//! Random numbers for jitter: fast, per thread, seeded by the system once.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A uniform number: the 53 bits that a float holds exactly are the upper ones.
pub(crate) fn uniform() -> u64 {
    thread_local! {
        // `RandomState` is seeded by the system and differs at each use; it needs no further dependency.
        static RNG: RefCell<SmallRng> = RefCell::new(SmallRng::seed_from_u64(RandomState::new().hash_one(0)));
    }
    // While the thread's locals are torn down there is no generator: then the middle of the range will do.
    RNG.try_with(|rng| rng.borrow_mut().next_u64()).unwrap_or(1 << 63)
}
