//! Timeouts that are no durations.

use std::io;

use apiguard::{Error, guarded};

#[guarded(timeout = "0s")]
async fn zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = 10)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "10")]
async fn no_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "-1s")]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = -1)]
async fn negative_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "1.5s")]
async fn fraction() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "10 s")]
async fn space() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "30s1m")]
async fn order() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "10 seconds")]
async fn long_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "10min")]
async fn minutes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "400d")]
async fn too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "99999999999999999999s")]
async fn overflow() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = true)]
async fn truth() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "")]
async fn nothing() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = "forever")]
async fn words() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = 10s)]
async fn no_quotes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(timeout = 10seconds)]
async fn no_quotes_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    zero().await?;
    number().await?;
    no_unit().await?;
    negative().await?;
    negative_number().await?;
    fraction().await?;
    space().await?;
    order().await?;
    long_unit().await?;
    minutes().await?;
    too_long().await?;
    overflow().await?;
    truth().await?;
    nothing().await?;
    words().await?;
    no_quotes().await?;
    no_quotes_long().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
