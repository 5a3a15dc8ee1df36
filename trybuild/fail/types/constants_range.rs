//! Several constants of one attribute out of range.

use std::io;
use std::time::Duration;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

const NONE: u32 = 0;

#[guarded(rate("10/s", burst = NONE), breaker(NONE, probes = NONE), timeout = Duration::ZERO)]
async fn four() -> Answer {
    Ok(1)
}

apiguard::policy! {
    static TWO = (rate("10/s", burst = NONE), breaker = NONE);
}

fn main() {}
