//! Constants of the wrong type and out of range in `policy!`.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

const TEXT: &str = "10/s";
const NONE: u32 = 0;

apiguard::policy! {
    static ONE = (rate = TEXT);
    static TWO = (breaker = NONE);
    static THREE = (rate("10/s", burst = missing));
}

#[guarded(policy = ONE)]
async fn lookup() -> Answer {
    Ok(1)
}

fn main() {}
