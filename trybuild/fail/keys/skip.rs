//! `skip` outside a guarded `impl`.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(skip)]
async fn alone() -> Answer {
    Ok(1)
}

#[guarded(skip = true)]
async fn value() -> Answer {
    Ok(1)
}

fn main() {}
