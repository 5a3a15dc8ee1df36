//! Settings of a limit that is not there.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3, cost = 2)]
async fn cost() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, key = tenant)]
async fn key(tenant: u32) -> Answer {
    Ok(tenant)
}

fn main() {}
