//! Limits beside a policy that has its own.

use std::io;

use apiguard::{Error, guarded};

apiguard::policy! {
    static STRIPE = (rate = "10/s");
}


#[guarded(policy = STRIPE, rate = "10/s")]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker = 5, policy = STRIPE, retries = 3)]
async fn breaker() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = STRIPE, name = "mine")]
async fn name() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = STRIPE, name = "mine", rate("10/s", burst = 2), breaker = 5)]
async fn all_three() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    rate().await?;
    breaker().await?;
    name().await?;
    all_three().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
