//! Names that other libraries use.

use std::io;

use apiguard::{Error, guarded};

#[guarded(max_retries = 3)]
async fn max_retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate_limit = "10/s")]
async fn rate_limit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(circuit_breaker = 5)]
async fn circuit_breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, max_attempts = 4))]
async fn max_attempts() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, backoff = "1s"))]
async fn backoff() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, max_delay = "1s"))]
async fn max_delay() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(threshold = 5))]
async fn threshold() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(deadline = "5s")]
async fn deadline() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    max_retries().await?;
    rate_limit().await?;
    circuit_breaker().await?;
    max_attempts().await?;
    backoff().await?;
    max_delay().await?;
    threshold().await?;
    deadline().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
