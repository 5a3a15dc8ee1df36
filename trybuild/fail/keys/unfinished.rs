//! Names that were not typed to their end.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rat)]
async fn rate() -> Answer {
    Ok(1)
}

#[guarded(retr, bre)]
async fn two() -> Answer {
    Ok(1)
}

#[guarded(attempt = "1s")]
async fn attempt() -> Answer {
    Ok(1)
}

async fn all() -> Answer {
    rate().await?;
    two().await?;
    attempt().await
}

fn main() {
    let _ = all();
}
