//! Values that are not one.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = (3, 4))]
async fn retries() -> Answer {
    Ok(1)
}

#[guarded(retries(3, 4))]
async fn two_values() -> Answer {
    Ok(1)
}

#[guarded(breaker("50%"))]
async fn share() -> Answer {
    Ok(1)
}

#[guarded(retries(3, statuses = 503))]
async fn statuses() -> Answer {
    Ok(1)
}

fn main() {}
