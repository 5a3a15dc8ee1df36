//! A breaker that says two things at once, or half of one.

use std::io;

use apiguard::{Error, guarded};

#[guarded(breaker(failures = 5, failure_rate = "50%", window = "30s", min_calls = 20))]
async fn both() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, failure_rate = "50%"))]
async fn both_first() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, window = "30s"))]
async fn window_in_a_row() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = 5, min_calls = 20, window = 100))]
async fn several_in_a_row() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = 5, slow_call = "2s"))]
async fn slow_in_a_row() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = 5, slow_rate = "80%"))]
async fn slow_rate_in_a_row() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(window = "30s"))]
async fn window_alone() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(recovery = "30s"))]
async fn recovery_alone() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_rate = "80%"))]
async fn slow_rate_alone() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", slow_rate = "80%"))]
async fn slow_rate_without_slow_call() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", window = 10, min_calls = 20))]
async fn more_calls_than_the_window() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery = "10m", recovery_cap = "5m"))]
async fn cap_below_recovery() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery_cap = "30s"))]
async fn cap_below_the_default() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = "50%", failure_rate = "60%"))]
async fn set_twice() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate, window = "30s"))]
async fn quiet_without_a_value() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure_rate = 50%))]
async fn unquoted_percent() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    both().await?;
    both_first().await?;
    window_in_a_row().await?;
    several_in_a_row().await?;
    slow_in_a_row().await?;
    slow_rate_in_a_row().await?;
    window_alone().await?;
    recovery_alone().await?;
    slow_rate_alone().await?;
    slow_rate_without_slow_call().await?;
    more_calls_than_the_window().await?;
    cap_below_recovery().await?;
    cap_below_the_default().await?;
    set_twice().await?;
    quiet_without_a_value().await?;
    unquoted_percent().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
