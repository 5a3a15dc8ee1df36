//! Settings without their values.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate)]
async fn rate() -> Answer {
    Ok(1)
}

#[guarded(breaker)]
async fn breaker() -> Answer {
    Ok(1)
}

#[guarded(retries, timeout)]
async fn two() -> Answer {
    Ok(1)
}

#[guarded(rate(burst = 5), breaker(recovery = "1s"), retries(base = "1s"))]
async fn first_values() -> Answer {
    Ok(1)
}

#[guarded(key, cost, classify, fallback)]
async fn of_the_call() -> Answer {
    Ok(1)
}

fn main() {}
