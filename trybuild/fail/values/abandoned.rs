//! When an attempt counts as abandoned: no duration, too short or too long.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "1/s", abandoned = 10)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", abandoned = "366d")]
async fn too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", abandoned = "0s")]
async fn too_short() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", abandoned = std::time::Duration::MAX)]
async fn constant() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", abandond = "1h")]
async fn misspelled() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", hung_after = "1h")]
async fn another_word() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    number().await?;
    too_long().await?;
    too_short().await?;
    constant().await?;
    misspelled().await?;
    another_word().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
