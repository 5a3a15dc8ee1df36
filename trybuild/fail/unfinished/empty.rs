//! An attribute that says nothing.

use std::io;

use apiguard::{Error, guarded};

#[guarded]
async fn bare() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded()]
async fn parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[apiguard::guarded]
async fn by_path() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    bare().await?;
    parentheses().await?;
    by_path().await
}

fn main() {
    let _ = all();
}
