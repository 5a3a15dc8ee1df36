//! Delays of retries that are never made.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries(0, base = "1s"))]
async fn base() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(0, base = "1s", factor = 2, cap = "5s", jitter = "full", statuses = [503]))]
async fn everything() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    base().await?;
    everything().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
