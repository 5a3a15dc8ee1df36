//! A closure that returns no verdict.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3, classify = |outcome| outcome.is_ok())]
async fn lookup() -> Answer {
    Ok(1)
}

fn main() {}
