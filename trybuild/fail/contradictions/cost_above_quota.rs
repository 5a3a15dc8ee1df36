//! A cost above a quota.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(quota = ["5/s", "100/h"], cost = 6)]
async fn above() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", burst = 5), quota = "4/s", cost = 6)]
async fn above_both() -> Answer {
    Ok(1)
}

fn main() {}
