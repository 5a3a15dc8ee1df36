//! Delays between attempts that no timer keeps.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries(3, base = "0s"))]
async fn base_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = 1))]
async fn base_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = "1"))]
async fn base_without_unit() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = "10us"))]
async fn base_too_short() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, cap = "0s"))]
async fn cap_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, cap = "400d"))]
async fn cap_too_long() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, cap = 1.5))]
async fn cap_float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, factor = 0))]
async fn factor_zero() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, factor = 0.5))]
async fn factor_half() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, factor = -2))]
async fn factor_negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, factor = "2"))]
async fn factor_text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, factor = 1e300))]
async fn factor_huge() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    base_zero().await?;
    base_number().await?;
    base_without_unit().await?;
    base_too_short().await?;
    cap_zero().await?;
    cap_too_long().await?;
    cap_float().await?;
    factor_zero().await?;
    factor_half().await?;
    factor_negative().await?;
    factor_text().await?;
    factor_huge().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
