//! A rate that is no text.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = 100)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = -5)]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = 1.5)]
async fn float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = true)]
async fn truth() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = 'c')]
async fn letter() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = 100u32)]
async fn suffix() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = 100/s)]
async fn no_quotes() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate(5/250ms, burst = 2))]
async fn no_quotes_inside() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    number().await?;
    negative().await?;
    float().await?;
    truth().await?;
    letter().await?;
    suffix().await?;
    no_quotes().await?;
    no_quotes_inside().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
