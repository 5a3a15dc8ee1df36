//! Protocols between tasks, in schedules that shuttle draws: half of them at random, half by priorities that change at few points (PCT,
//! Burckhardt and others, 2010). What may not happen in any of them is asserted; a task that nobody wakes is a deadlock.
//!
//! They are larger than the models in `tests/loom`, which are run through every interleaving: more tasks, which are aborted
//! at any point, and time that passes. `APIGUARD_SHUTTLE_ITERATIONS` sets the number of schedules of each, `APIGUARD_SEED`
//! repeats a run, and a word selects the models that have it in their name.

#![allow(dead_code, unused_imports, unreachable_pub)] // the files are parts of a larger crate

#[path = "../../../guard-runtime/src/breaker/mod.rs"]
mod breaker;
mod clock;
#[path = "../../../guard-runtime/src/keyed.rs"]
mod keyed;
#[path = "../../../guard-runtime/src/keys/mod.rs"]
mod keys;
#[path = "../../../guard-runtime/src/limiter/mod.rs"]
mod limiter;
mod models;
mod policy;
mod random;
mod sync;

fn main() {
    models::run();
}
