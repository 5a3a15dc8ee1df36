//! Settings that are set twice.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s", rate = "20/s")]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3, retries(2, base = "1s"))]
async fn forms() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = 2, burst = 3))]
async fn inside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, failures = 3))]
async fn failures() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "1s", timeout = "2s", timeout = "3s")]
async fn three_times() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    rate().await?;
    forms().await?;
    inside().await?;
    failures().await?;
    three_times().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
