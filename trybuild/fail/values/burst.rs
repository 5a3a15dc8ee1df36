//! A burst that no bucket has.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate("10/s", burst = 0))]
async fn zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = -1))]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = "20"))]
async fn text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = 1.5))]
async fn float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", burst = 5000000000))]
async fn too_large() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("1/d", burst = 1000))]
async fn a_thousand_days() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    zero().await?;
    negative().await?;
    text().await?;
    float().await?;
    too_large().await?;
    a_thousand_days().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
