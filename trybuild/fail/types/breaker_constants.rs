//! Constants of a breaker with a window: of the wrong type, or out of range.

use std::io;
use std::time::Duration;

use apiguard::{Error, Ratio, guarded};

const TEXT: &str = "50%";
const SECONDS: u64 = 30;
const NONE: u32 = 0;
const COUNT: u32 = 100;
const RATE: f64 = 0.5;
const SLOW: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(7200);

#[guarded(breaker(failure_rate = TEXT, slow_call = SLOW, slow_rate = COUNT))]
async fn share_type() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, window = SECONDS))]
async fn window_type() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, window = TEXT, recovery_jitter = String::new()))]
async fn window_text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, min_calls = SECONDS, recovery_cap = COUNT))]
async fn calls_type() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE + 1.0))]
async fn rate_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = SLOW, slow_rate = Ratio::ZERO))]
async fn ratio_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, window = Duration::ZERO))]
async fn window_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, window = 10, min_calls = COUNT))]
async fn calls_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = RATE, window = COUNT, min_calls = 200))]
async fn calls_of_a_window() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = Duration::ZERO))]
async fn slow_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_jitter = 1.5 + 0.0))]
async fn jitter_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_cap = SLOW))]
async fn cap_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery = LONG, recovery_cap = "1h"))]
async fn cap_of_a_recovery() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = 0.0 + 0.0, window = NONE, recovery_jitter = 2.0 * 2.0))]
async fn several() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    share_type().await?;
    window_type().await?;
    window_text().await?;
    calls_type().await?;
    rate_range().await?;
    ratio_range().await?;
    window_range().await?;
    calls_range().await?;
    calls_of_a_window().await?;
    slow_range().await?;
    jitter_range().await?;
    cap_range().await?;
    cap_of_a_recovery().await?;
    several().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
