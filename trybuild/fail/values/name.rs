//! Names that are no names.

use std::io;

use apiguard::{Error, guarded};

#[guarded(name = "", rate = "1/s")]
async fn nothing() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(name = 5, rate = "1/s")]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(name = 's', rate = "1/s")]
async fn letter() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(name("stripe"), rate = "1/s")]
async fn in_parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(name = b"stripe", rate = "1/s")]
async fn bytes() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    nothing().await?;
    number().await?;
    letter().await?;
    in_parentheses().await?;
    bytes().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
