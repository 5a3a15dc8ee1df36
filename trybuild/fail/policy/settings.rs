//! Mistakes in the settings of shared policies: each at its token, and the statics stay.

use std::io;

use apiguard::{Error, guarded, policy};

policy! {
    /// Wrong in three places.
    pub static STRIPE = (rate("0/s", burst = -1), retrys = 3);
    static GITHUB = (breaker = "5", timeout = 10);
    static NESTED = (policy = STRIPE, rate = "10/s");
    static CLONE = (clone(order), retries = 3);
    static NAMELESS = (name = "", rate = "10/s");
    static SHORT = (retries(3, cap = "500ms"));
    static COLOUR = (colour = "red", rate = "10/s");
    static GOOD = (rate = "10/s");
}

#[guarded(policy = STRIPE)]
async fn charge() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = GITHUB, retries = 3)]
async fn list() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    for policy in [&STRIPE, &GITHUB, &NESTED, &CLONE, &NAMELESS, &SHORT, &COLOUR, &GOOD] {
        println!("{}", policy.name());
    }
    charge().await?;
    list().await
}

fn main() {
    let _ = all();
}
