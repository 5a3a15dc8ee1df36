//! A breaker that cannot work.

use std::io;

use apiguard::{Error, guarded};

#[guarded(breaker = 0)]
async fn zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = -1)]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = "5")]
async fn text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = "often")]
async fn words() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = 5.0)]
async fn float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = 5000000000)]
async fn too_large() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = 0))]
async fn named_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery = "0s"))]
async fn no_recovery() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery = 60))]
async fn recovery_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, recovery = "60"))]
async fn recovery_without_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, successes = 0))]
async fn no_successes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, successes = 1001))]
async fn too_many_successes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, probes = 0))]
async fn no_probes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, probes = "1"))]
async fn text_probes() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    zero().await?;
    negative().await?;
    text().await?;
    words().await?;
    float().await?;
    too_large().await?;
    named_zero().await?;
    no_recovery().await?;
    recovery_number().await?;
    recovery_without_unit().await?;
    no_successes().await?;
    too_many_successes().await?;
    no_probes().await?;
    text_probes().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
