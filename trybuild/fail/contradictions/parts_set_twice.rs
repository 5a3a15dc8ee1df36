//! One setting, said in two ways.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(breaker(5, failures = 3))]
async fn failures() -> Answer {
    Ok(1)
}

#[guarded(retries(3, base = "1s", base = "2s"))]
async fn base() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 2, burst = 2))]
async fn burst() -> Answer {
    Ok(1)
}

fn main() {}
