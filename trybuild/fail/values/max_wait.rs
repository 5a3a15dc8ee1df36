//! A longest wait that is no duration.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate("10/s", max_wait = 5))]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", max_wait = "5"))]
async fn no_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", max_wait = "5sec"))]
async fn long_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", max_wait = "-5s"))]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", max_wait = ""))]
async fn nothing() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", max_wait = "400d"))]
async fn too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    number().await?;
    no_unit().await?;
    long_unit().await?;
    negative().await?;
    nothing().await?;
    too_long().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
