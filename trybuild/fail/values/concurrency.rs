//! Numbers that no flight has.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(concurrency = 0)]
async fn zero() -> Answer {
    Ok(1)
}

#[guarded(concurrency = "64")]
async fn text() -> Answer {
    Ok(1)
}

#[guarded(concurrency = -1)]
async fn negative() -> Answer {
    Ok(1)
}

#[guarded(concurrency(max_wait = "1s"))]
async fn no_number() -> Answer {
    Ok(1)
}

#[guarded(concurrency(64, max_wait = "2 s"))]
async fn max_wait() -> Answer {
    Ok(1)
}

fn main() {}
