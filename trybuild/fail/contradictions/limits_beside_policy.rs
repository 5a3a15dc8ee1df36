//! Limits beside a shared policy.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(policy = SHARED, quota = "5/s", concurrency = 5)]
async fn both() -> Answer {
    Ok(1)
}

fn main() {}
