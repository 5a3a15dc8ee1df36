//! A first delay above the longest one.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries(3, base = "5s", cap = "2s"))]
async fn base_above_cap() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, cap = "500ms"))]
async fn default_base() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(3, base = "2m"))]
async fn default_cap() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    base_above_cap().await?;
    default_base().await?;
    default_cap().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
