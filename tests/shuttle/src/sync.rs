//! Shuttle's atomics and locks, where the runtime has the standard library's. (All of them are sequentially consistent: weaker
//! orderings are for the models in `tests/loom`.)

pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
