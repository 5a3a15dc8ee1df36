//! A cost that the bucket never holds.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("10/s", burst = 5), cost = 6)]
async fn above() -> Answer {
    Ok(1)
}

#[guarded(rate = "10/s", cost = 2)]
async fn above_the_default() -> Answer {
    Ok(1)
}

fn main() {}
