//! What other libraries call it.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retry_if = is_transient)]
async fn classify() -> Answer {
    Ok(1)
}

#[guarded(on_error = cached)]
async fn fallback() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", capacity = 5))]
async fn burst() -> Answer {
    Ok(1)
}

#[guarded(breaker(threshold = 5, reset_timeout = "1s"))]
async fn breaker() -> Answer {
    Ok(1)
}

#[guarded(retries(3, initial_delay = "1s", multiplier = 2, max_delay = "5s"))]
async fn retries() -> Answer {
    Ok(1)
}

#[guarded(rate = "10/s", weight = 5)]
async fn cost() -> Answer {
    Ok(1)
}

fn main() {}
