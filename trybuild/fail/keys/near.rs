//! Settings that do not exist, each near one that does.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retry = 3)]
async fn retry() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rates = "10/s")]
async fn rates() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(time_out = "1s")]
async fn time_out() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(braker = 5)]
async fn braker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(Rate = "10/s")]
async fn upper() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(attempts_timeout = "1s")]
async fn attempts_timeout() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", bursts = 3))]
async fn bursts() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s", maxwait = "3s"))]
async fn maxwait() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, status = [503]))]
async fn status() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failure = 5))]
async fn failure() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    retry().await?;
    rates().await?;
    time_out().await?;
    braker().await?;
    upper().await?;
    attempts_timeout().await?;
    bursts().await?;
    maxwait().await?;
    status().await?;
    failure().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
