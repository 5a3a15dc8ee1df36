//! Every mistake of one attribute is reported in one go, each at its token.

use std::io;

use apiguard::{Error, guarded};

#[guarded(
    rate("0/s", burst = 0, max_wait = 5),
    rate = "10/s",
    retrys = 3,
    breaker(failures = 5, recovery = "60", probe = 1),
    retries(3, base = "1sec", factor = 0.5, jitter = 1.5, statuses = [42, 504..=502]),
    timeout = "1s",
    attempt_timeout = "2s",
    name = 5,
    colour,
)]
async fn charge(amount: u32) -> Result<u32, Error<io::Error>> {
    if amount == 0 {
        return Err(io::Error::other("nothing to charge"));
    }
    Ok(amount)
}

async fn twice() -> Result<u32, Error<io::Error>> {
    Ok(charge(1).await? + charge(2).await?)
}

fn main() {
    let _ = twice();
}
