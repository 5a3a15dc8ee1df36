//! Functions that are not there.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3, classify = verdict)]
async fn classify() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = shop::cached)]
async fn fallback() -> Answer {
    Ok(1)
}

mod shop {}

fn main() {}
