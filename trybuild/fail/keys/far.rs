//! Settings that do not exist and are near none.

use std::io;

use apiguard::{Error, guarded};

#[guarded(colour = "red")]
async fn colour() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(everything)]
async fn word() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(limit(5))]
async fn parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", colour = 1))]
async fn inside_rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, colour = 1))]
async fn inside_retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(5, colour = 1))]
async fn inside_breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    colour().await?;
    word().await?;
    parentheses().await?;
    inside_rate().await?;
    inside_retries().await?;
    inside_breaker().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
