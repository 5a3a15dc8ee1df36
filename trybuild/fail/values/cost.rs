//! Costs that are no number of tokens.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("10/s", burst = 5), cost = 0)]
async fn zero() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), cost = 1.5)]
async fn float() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), cost = "5")]
async fn text() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), cost = 5u64)]
async fn other_type() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), cost = 5000000000)]
async fn too_large() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), cost(5))]
async fn parentheses() -> Answer {
    Ok(1)
}

fn main() {}
