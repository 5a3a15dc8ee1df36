//! Atomics and locks: the standard library's. The models in `tests/loom` take the files that use them with loom's instead.

pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
