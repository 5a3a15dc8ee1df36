//! Attributes as they are while they are being typed.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate)]
async fn word() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = )]
async fn equals() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = , retries = 3)]
async fn equals_and_more() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate())]
async fn parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(ra)]
async fn first_letters() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(base = "1s"))]
async fn only_inner() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate(burst = 5))]
async fn rate_without_rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(recovery = "1s"))]
async fn breaker_without_threshold() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = ))]
async fn inner_equals() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst))]
async fn inner_word() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/s",, retries = 3)]
async fn two_commas() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(,)]
async fn only_comma() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3, timeout)]
async fn word_after() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/s" +)]
async fn operator() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    word().await?;
    equals().await?;
    equals_and_more().await?;
    parentheses().await?;
    first_letters().await?;
    only_inner().await?;
    rate_without_rate().await?;
    breaker_without_threshold().await?;
    inner_equals().await?;
    inner_word().await?;
    two_commas().await?;
    only_comma().await?;
    word_after().await?;
    operator().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
