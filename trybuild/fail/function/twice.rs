//! Two attributes on one function, and a `crate` that is not apiguard.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s")]
#[guarded(retries = 3)]
async fn twice() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[apiguard::guarded(retries = 3)]
#[must_use]
#[apiguard::guarded(rate = "10/s")]
async fn by_path() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/s", retries = 3, timeout = "10s", crate = std::io)]
async fn other_crate(text: String) -> Result<String, Error<io::Error>> {
    Ok(text)
}

async fn all() -> Result<(), Error<io::Error>> {
    twice().await?;
    by_path().await?;
    other_crate(String::new()).await?;
    Ok(())
}

fn main() {
    let _ = all();
}
