//! Statuses that HTTP does not have.

use std::io;

use apiguard::{Error, guarded};

const TOO_MANY: u16 = 429;

#[guarded(retries(3, statuses = 503))]
async fn single() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = "5xx"))]
async fn text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [42]))]
async fn small() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [429, 600]))]
async fn large() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [-1]))]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [504..=502]))]
async fn reversed() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [500..500]))]
async fn empty_range() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [500..=999]))]
async fn outside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [500..]))]
async fn open() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = ["500", 503.0]))]
async fn texts() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = 500..=599))]
async fn range_alone() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, statuses = [TOO_MANY]))]
async fn constants() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    single().await?;
    text().await?;
    small().await?;
    large().await?;
    negative().await?;
    reversed().await?;
    empty_range().await?;
    outside().await?;
    open().await?;
    texts().await?;
    range_alone().await?;
    constants().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
