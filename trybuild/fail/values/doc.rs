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

#[guarded(breaker = 5, shadow = "on")]
async fn shadow() -> Answer {
    Ok(1)
}

#[guarded(breaker = 5, shadw = true)]
async fn misspelled() -> Answer {
    Ok(1)
}

#[guarded(breaker = 5, dry_run = true)]
async fn another_word() -> Answer {
    Ok(1)
}

fn main() {}
