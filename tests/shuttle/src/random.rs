//! Randomness that belongs to the schedule: it comes again with the seed.

use std::hash::{BuildHasher, Hash, RandomState};

use shuttle::rand::{Rng, thread_rng};

/// For the runtime's files.
pub(crate) fn uniform() -> u64 {
    thread_rng().r#gen()
}

/// Below `end`.
pub(crate) fn below(end: u64) -> u64 {
    thread_rng().gen_range(0..end)
}

pub(crate) fn hash_of<Q: Hash + ?Sized>(key: &Q, hasher: &RandomState) -> u64 {
    hasher.hash_one(key)
}
