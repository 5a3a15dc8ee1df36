//! `clone` where nothing is repeated.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(breaker = 5, clone(name))]
async fn no_retries(name: String) -> Answer {
    drop(name);
    Ok(1)
}

#[guarded(retries = 0, clone(name))]
async fn retries_off(name: String) -> Answer {
    drop(name);
    Ok(1)
}

fn main() {}
