//! What is no function of what was used.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("10/s", burst = 5), settle = 5)]
async fn number() -> Answer {
    Ok(1)
}

#[guarded(retries = 1, settle = used)]
async fn no_limit() -> Answer {
    Ok(1)
}

fn of_the_value(value: &u32) -> u32 {
    *value
}

#[guarded(rate("10/s", burst = 5), settle = of_the_value)]
async fn other_argument() -> Answer {
    Ok(1)
}

fn used(outcome: &Result<u32, io::Error>) -> u32 {
    *outcome.as_ref().unwrap_or(&0)
}

#[guarded(rate("10/s", burst = 5), settle = used)]
async fn hidden(used: u32) -> Answer {
    Ok(used)
}

#[guarded(rate("10/s", burst = 5), settle = self::used)]
async fn not_hidden(used: u32) -> Answer {
    Ok(used)
}

fn main() {}
