//! Mistakes in the values of several policies.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

apiguard::policy! {
    static ONE = (rate = "10/x");
    pub static TWO = (breaker(5, recovery = 60), retries = -1);
    /// Documented.
    static THREE = (rate = "10/s", burst = 5);
}

#[guarded(policy = ONE)]
async fn lookup() -> Answer {
    let _ = (&TWO, &THREE);
    Ok(1)
}

fn main() {}
