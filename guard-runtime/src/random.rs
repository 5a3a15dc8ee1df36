//! Random numbers for jitter: fast, per thread, seeded by the system once. Within a test's scope they are as the test says.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, RandomState};

use guard_spec::Retry;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A uniform number: the 53 bits that a float holds exactly are the upper ones.
pub(crate) fn uniform() -> u64 {
    thread_local! {
        // `RandomState` is seeded by the system and differs at each use; it needs no further dependency.
        static RNG: RefCell<SmallRng> = RefCell::new(SmallRng::seed_from_u64(RandomState::new().hash_one(0)));
    }
    #[cfg(feature = "testing")]
    if let Some(number) = crate::testing::simulation::number().or_else(crate::testing::random) {
        return number;
    }
    // While the thread's locals are torn down there is no generator: then the middle of the range will do.
    RNG.try_with(|rng| rng.borrow_mut().next_u64()).unwrap_or(1 << 63)
}

/// A key's hash, of which chance is a part.
#[inline]
pub(crate) fn hash_of<Q: Hash + ?Sized>(key: &Q, hasher: &RandomState) -> u64 {
    #[cfg(feature = "testing")]
    if let Some(hash) = crate::testing::simulation::hash_of(key) {
        return hash;
    }
    hasher.hash_one(key)
}

/// How the delays of these retries are, unless a test wants them without jitter.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn jittered(retry: Retry) -> Retry {
    retry
}

/// How the delays of these retries are, unless a test wants them without jitter.
#[cfg(feature = "testing")]
pub(crate) fn jittered(retry: Retry) -> Retry {
    if crate::testing::is_without_jitter() { retry.jitter(guard_spec::Jitter::None) } else { retry }
}
