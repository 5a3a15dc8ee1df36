//! A retry budget that is no share and not `"off"`.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries(3, budget = "0%"))]
async fn nothing() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = "120%"))]
async fn more_than_all() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = 0.2))]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = 20))]
async fn percents() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = "none"))]
async fn word() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = false))]
async fn truth() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = apiguard::Budget::percent(0)))]
async fn constant() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, budget = apiguard::Ratio::ONE))]
async fn constant_type() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(budget = "20%")]
async fn outside() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    nothing().await?;
    more_than_all().await?;
    number().await?;
    percents().await?;
    word().await?;
    truth().await?;
    constant().await?;
    constant_type().await?;
    outside().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
