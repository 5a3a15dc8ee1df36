//! `?` and `return` where a value is needed.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("10/s", burst = 5), cost = text.parse::<u32>()?)]
async fn cost(text: &str) -> Answer {
    Ok(text.len() as u32)
}

#[guarded(rate = "10/s", key = if text.is_empty() { return Ok(1) } else { text })]
async fn key(text: &str) -> Answer {
    Ok(text.len() as u32)
}

fn main() {}
