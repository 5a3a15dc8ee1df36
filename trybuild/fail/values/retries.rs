//! A number of retries that is none.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries = -1)]
async fn negative() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = "3")]
async fn text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3.0)]
async fn float() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = true)]
async fn truth() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 5000000000)]
async fn too_large() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(-1, base = "1s"))]
async fn negative_in_parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    negative().await?;
    text().await?;
    float().await?;
    truth().await?;
    too_large().await?;
    negative_in_parentheses().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
