//! A burst that takes over a year to come back.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("1/d", burst = 366))]
async fn burst() -> Answer {
    Ok(1)
}

#[guarded(rate("1/365d", burst = 2))]
async fn slow() -> Answer {
    Ok(1)
}

fn main() {}
