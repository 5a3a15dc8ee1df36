//! A jitter that is no share and no kind.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries(3, jitter = 1.5))]
async fn above_one() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = 50))]
async fn percents() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = -0.5))]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = "ful"))]
async fn near() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = "random"))]
async fn far() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = "50%"))]
async fn share() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, jitter = true))]
async fn truth() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    above_one().await?;
    percents().await?;
    negative().await?;
    near().await?;
    far().await?;
    share().await?;
    truth().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
