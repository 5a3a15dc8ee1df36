//! What is no switch.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(breaker = 5, doc = "no")]
async fn text() -> Answer {
    Ok(1)
}

#[guarded(breaker = 5, doc = 0)]
async fn number() -> Answer {
    Ok(1)
}

#[guarded(breaker = 5, doc)]
async fn nothing() -> Answer {
    Ok(1)
}

fn main() {}
