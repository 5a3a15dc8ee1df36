//! Settings inside the wrong parentheses, or outside of theirs.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s", burst = 20)]
async fn burst_outside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3, base = "1s")]
async fn base_outside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = 5, recovery = "1s")]
async fn recovery_outside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, timeout = "10s"))]
async fn timeout_inside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, base = "1s"))]
async fn base_in_breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, burst = 5))]
async fn burst_in_retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", rate = "1/s"))]
async fn rate_in_rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout("10s"))]
async fn one_value() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", 20))]
async fn second_value() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    burst_outside().await?;
    base_outside().await?;
    recovery_outside().await?;
    timeout_inside().await?;
    base_in_breaker().await?;
    burst_in_retries().await?;
    rate_in_rate().await?;
    one_value().await?;
    second_value().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
