//! Fallbacks of too few and of too many arguments.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn few(_: Error<io::Error>) -> Answer {
    Ok(1)
}

fn many(_: u32, _: u32, _: Error<io::Error>) -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = few)]
async fn too_few(id: u32) -> Answer {
    Ok(id)
}

#[guarded(retries = 3, fallback = many)]
async fn too_many(id: u32) -> Answer {
    Ok(id)
}

fn main() {}
