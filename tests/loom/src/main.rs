//! Every protocol between threads, in every interleaving (of at most three preemptions, unless `LOOM_MAX_PREEMPTIONS` says
//! otherwise): what may not happen in any of them is asserted. Prints how many there were.

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
