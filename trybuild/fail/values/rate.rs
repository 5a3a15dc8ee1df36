//! A rate that is no rate.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "0/s")]
async fn zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "-1/s")]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10")]
async fn no_period() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/")]
async fn no_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/sec")]
async fn long_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/fortnight")]
async fn unknown_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "0.5/s")]
async fn fraction() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "")]
async fn nothing() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "fast")]
async fn words() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10 / s")]
async fn spaces() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "5000000000/s")]
async fn too_many() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "2000000000/s")]
async fn too_dense() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/0s")]
async fn no_time() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/366d")]
async fn too_slow() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    zero().await?;
    negative().await?;
    no_period().await?;
    no_unit().await?;
    long_unit().await?;
    unknown_unit().await?;
    fraction().await?;
    nothing().await?;
    words().await?;
    spaces().await?;
    too_many().await?;
    too_dense().await?;
    no_time().await?;
    too_slow().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
