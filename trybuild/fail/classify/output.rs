//! A function that returns no verdict.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn is_good(outcome: &Result<u32, io::Error>) -> bool {
    outcome.is_ok()
}

#[guarded(retries = 3, classify = is_good)]
async fn lookup() -> Answer {
    Ok(1)
}

fn main() {}
