//! Constants of a block that are out of range, and `Self`.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

const NONE: u32 = 0;

#[guarded(rate("10/s", burst = NONE), breaker = NONE)]
impl Client {
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

#[guarded(retries = Self::TIMES)]
impl Client {
    const TIMES: u32 = 3;

    async fn other(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
