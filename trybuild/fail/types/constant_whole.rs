//! Constants that are the whole of a setting: of the wrong type, or with something wrong in them.

use std::io;
use std::time::Duration;

use apiguard::{Breaker, Concurrency, Error, Rate, Retry, guarded};

const LIMIT: Rate = Rate::per_second(1);
const NO_BASE: Retry = Retry::new(3).base(Duration::ZERO);
const STEEP: Retry = Retry::new(3).factor(0.5);
const EAGER: Breaker = Breaker::failure_rate(0.5).recovery(Duration::ZERO);
const PATIENT: Concurrency = Concurrency::new(8).max_wait(Duration::MAX);

#[guarded(retries = LIMIT, breaker = LIMIT, concurrency = LIMIT)]
async fn types() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = NO_BASE, breaker = EAGER, concurrency = PATIENT)]
async fn ranges() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries(STEEP, cap = "10s"), breaker(EAGER, probes = 2))]
async fn beside_others() -> Result<(), Error<io::Error>> {
    Ok(())
}

fn main() {
    drop((types(), ranges(), beside_others()));
}
