//! Timeouts that leave no time.

use std::io;

use apiguard::{Error, guarded};

#[guarded(timeout = "1s", attempt_timeout = "2s")]
async fn attempt_above_call() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempt_timeout = "1m", timeout = "10s")]
async fn other_order() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3, timeout = "1s")]
async fn no_time_to_retry() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = "5s"), timeout = "2s")]
async fn own_base() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = "4s", jitter = "equal"), timeout = "2s")]
async fn equal_jitter() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    attempt_above_call().await?;
    other_order().await?;
    no_time_to_retry().await?;
    own_base().await?;
    equal_jitter().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
