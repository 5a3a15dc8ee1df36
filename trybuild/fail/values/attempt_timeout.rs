//! Timeouts of an attempt that are no durations.

use std::io;

use apiguard::{Error, guarded};

#[guarded(attempt_timeout = "0s")]
async fn zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempt_timeout = 2)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempt_timeout = "2")]
async fn no_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempt_timeout = "500us")]
async fn too_short() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempt_timeout = "366d")]
async fn too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    zero().await?;
    number().await?;
    no_unit().await?;
    too_short().await?;
    too_long().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
