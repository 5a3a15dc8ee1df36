//! Literals and paths where a policy, names or a path belong.

use std::io;

use apiguard::{Error, guarded};

apiguard::policy! {
    static STRIPE = (rate = "10/s");
}


#[guarded(policy = "stripe")]
async fn text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = 5)]
async fn number() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy(STRIPE))]
async fn in_parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", crate = "apiguard")]
async fn crate_text() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "1/s", crate(apiguard))]
async fn crate_in_parentheses() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    text().await?;
    number().await?;
    in_parentheses().await?;
    crate_text().await?;
    crate_in_parentheses().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
