//! Constants of the wrong type.

use std::io;
use std::time::Duration;

use apiguard::{Error, Rate, guarded};

const TEXT: &str = "10/s";
const SECONDS: u64 = 10;
const COUNT: i32 = 3;
const LIMIT: Rate = Rate::per_second(10);
const WAIT: Duration = Duration::from_secs(1);

#[guarded(rate = TEXT)]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate(TEXT, burst = COUNT, max_wait = SECONDS))]
async fn inside_rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = COUNT, max_wait = SECONDS))]
async fn beside_a_literal() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = COUNT)]
async fn retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(COUNT, base = SECONDS, factor = COUNT, cap = TEXT, jitter = 0.5 + 0.1, statuses = SECONDS))]
async fn inside_retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = COUNT)]
async fn breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = WAIT, recovery = SECONDS, successes = COUNT, probes = LIMIT))]
async fn inside_breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = SECONDS, attempt_timeout = LIMIT)]
async fn timeouts() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = 2 * 5)]
async fn expression() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(name = SECONDS, rate = LIMIT)]
async fn name() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    rate().await?;
    inside_rate().await?;
    beside_a_literal().await?;
    retries().await?;
    inside_retries().await?;
    breaker().await?;
    inside_breaker().await?;
    timeouts().await?;
    expression().await?;
    name().await
}

fn main() {
    let _ = all();
}
