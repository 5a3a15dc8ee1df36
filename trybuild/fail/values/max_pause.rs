//! A longest pause that is no duration, or too long.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "1/s", max_pause = 10)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", max_pause = "366d")]
async fn too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", max_pause = "off")]
async fn word() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", max_pause = std::time::Duration::MAX)]
async fn constant() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", max_pase = "1h")]
async fn misspelled() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", max_retry_after = "1h")]
async fn another_word() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    number().await?;
    too_long().await?;
    word().await?;
    constant().await?;
    misspelled().await?;
    another_word().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
