//! No randomness: each run of a model is the same.

use std::hash::{BuildHasher, Hash, RandomState};

pub(crate) fn uniform() -> u64 {
    0
}

pub(crate) fn hash_of<Q: Hash + ?Sized>(key: &Q, hasher: &RandomState) -> u64 {
    hasher.hash_one(key)
}
