//! Names that are no text.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

const NUMBER: u32 = 5;

#[guarded(name = NUMBER, rate = "10/s")]
async fn number() -> Answer {
    Ok(1)
}

#[guarded(name = format!("a"), rate = "10/s")]
async fn allocated() -> Answer {
    Ok(1)
}

fn main() {}
