//! Constants out of range.

use std::io;
use std::time::Duration;

use apiguard::{Error, Rate, guarded};

const NEVER: Rate = Rate::per_second(0);
const NONE: u32 = 0;
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(2);

#[guarded(rate = NEVER)]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = NONE))]
async fn burst() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = NONE)]
async fn breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = apiguard::Jitter::proportional(1.5)))]
async fn jitter() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = SHORT, attempt_timeout = LONG)]
async fn timeouts() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = LONG), timeout = SHORT)]
async fn no_time_to_retry() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = STRIPE, timeout = Duration::ZERO)]
async fn beside_a_policy() -> Result<(), Error<io::Error>> {
    Ok(())
}

apiguard::policy! {
    static STRIPE = (rate = "10/s");
    static WRONG = (breaker(5, probes = NONE));
}

#[guarded(policy = WRONG)]
async fn with_a_wrong_policy() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    rate().await?;
    burst().await?;
    breaker().await?;
    jitter().await?;
    timeouts().await?;
    no_time_to_retry().await?;
    beside_a_policy().await?;
    with_a_wrong_policy().await
}

fn main() {
    let _ = all();
}
