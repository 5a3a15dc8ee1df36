//! A breaker with a window that cannot work.

use std::io;

use apiguard::{Error, guarded};

#[guarded(breaker(failure_rate = "0%"))]
async fn rate_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "150%"))]
async fn rate_above_all() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = 50))]
async fn rate_percent_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = 1000))]
async fn rate_large_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = -0.5))]
async fn rate_negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "half"))]
async fn rate_words() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = true))]
async fn rate_switch() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = "50%")]
async fn rate_first() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = "500ms"))]
async fn window_short() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = "2d"))]
async fn window_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 0))]
async fn window_of_none() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 10001))]
async fn window_of_many() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 5000000000))]
async fn window_of_too_many() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = "100"))]
async fn window_text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 30s))]
async fn window_without_quotes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 30.0))]
async fn window_float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", min_calls = 0))]
async fn no_min_calls() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = "0s"))]
async fn slow_call_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = 2))]
async fn slow_call_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = "2s", slow_rate = 0))]
async fn slow_rate_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = "2s", slow_rate = 80))]
async fn slow_rate_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_jitter = "200%"))]
async fn jitter() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_jitter = 10))]
async fn jitter_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_cap = 600))]
async fn cap_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_cap = "400d"))]
async fn cap_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "0%", window = "1ms", min_calls = 0))]
async fn two_at_once() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    rate_zero().await?;
    rate_above_all().await?;
    rate_percent_number().await?;
    rate_large_number().await?;
    rate_negative().await?;
    rate_words().await?;
    rate_switch().await?;
    rate_first().await?;
    window_short().await?;
    window_long().await?;
    window_of_none().await?;
    window_of_many().await?;
    window_of_too_many().await?;
    window_text().await?;
    window_without_quotes().await?;
    window_float().await?;
    no_min_calls().await?;
    slow_call_zero().await?;
    slow_call_number().await?;
    slow_rate_zero().await?;
    slow_rate_number().await?;
    jitter().await?;
    jitter_number().await?;
    cap_number().await?;
    cap_long().await?;
    two_at_once().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
