//! Settings inside the parentheses of another.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries(3, burst = 5))]
async fn burst() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", timeout = "1s"))]
async fn timeout() -> Answer {
    Ok(1)
}

#[guarded(burst = 5)]
async fn alone() -> Answer {
    Ok(1)
}

#[guarded(breaker(5, jitter = 0.5))]
async fn jitter() -> Answer {
    Ok(1)
}

fn main() {}
