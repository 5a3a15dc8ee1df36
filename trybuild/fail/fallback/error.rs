//! A fallback of another error.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

async fn cached(_: u32, _: io::Error) -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = cached)]
async fn lookup(id: u32) -> Answer {
    Ok(id)
}

fn main() {}
