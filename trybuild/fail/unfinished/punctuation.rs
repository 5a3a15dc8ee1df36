//! Settings joined by the wrong punctuation.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s" retries = 3)]
async fn no_comma() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate("10/s" burst = 2))]
async fn no_comma_inside() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate: "10/s")]
async fn colon() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate == "10/s")]
async fn double_equals() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate => "10/s")]
async fn arrow() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/s"; retries = 3)]
async fn semicolon() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded("10/s")]
async fn bare() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = 3, 5)]
async fn bare_number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate["10/s"])]
async fn brackets() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate { "10/s" })]
async fn braces() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded("rate" = "10/s")]
async fn quoted() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(apiguard::rate = "10/s")]
async fn path() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    no_comma().await?;
    no_comma_inside().await?;
    colon().await?;
    double_equals().await?;
    arrow().await?;
    semicolon().await?;
    bare().await?;
    bare_number().await?;
    brackets().await?;
    braces().await?;
    quoted().await?;
    path().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
