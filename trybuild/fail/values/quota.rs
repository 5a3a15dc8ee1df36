//! Quotas that cannot be.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(quota = "0/h")]
async fn zero() -> Answer {
    Ok(1)
}

#[guarded(quota = 5000)]
async fn no_window() -> Answer {
    Ok(1)
}

#[guarded(quota = "many")]
async fn no_number() -> Answer {
    Ok(1)
}

#[guarded(quota = "5/400d")]
async fn too_long() -> Answer {
    Ok(1)
}

#[guarded(quota = "5/10us")]
async fn too_short() -> Answer {
    Ok(1)
}

#[guarded(quota("5000/h", burst = 5))]
async fn burst() -> Answer {
    Ok(1)
}

#[guarded(quota("5000/h", max_wait = 5))]
async fn max_wait() -> Answer {
    Ok(1)
}

fn main() {}
