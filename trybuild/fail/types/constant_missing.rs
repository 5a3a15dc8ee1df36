//! Constants that do not exist, and values that are none.

use std::io;
use std::time::Duration;

use apiguard::{Error, guarded};

fn at_run_time() -> Duration {
    Duration::from_secs(1)
}

#[guarded(rate = LIMIT)]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(TIMES, base = FIRST))]
async fn retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = STRIPE)]
async fn policy() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = at_run_time())]
async fn function() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = times)]
async fn argument(times: u32) -> Result<u32, Error<io::Error>> {
    Ok(times)
}

async fn all() -> Result<(), Error<io::Error>> {
    rate().await?;
    retries().await?;
    policy().await?;
    function().await?;
    argument(3).await?;
    Ok(())
}

fn main() {
    let _ = all();
}
