//! Fallbacks that return something else.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn plain(id: u32, _: Error<io::Error>) -> u32 {
    id
}

async fn later(id: u32, _: Error<io::Error>) -> Option<u32> {
    Some(id)
}

fn other_error(id: u32, _: Error<io::Error>) -> Result<u32, io::Error> {
    Ok(id)
}

#[guarded(retries = 3, fallback = plain)]
async fn value(id: u32) -> Answer {
    Ok(id)
}

#[guarded(retries = 3, fallback = later)]
async fn option(id: u32) -> Answer {
    Ok(id)
}

#[guarded(retries = 3, fallback = other_error)]
async fn error(id: u32) -> Answer {
    Ok(id)
}

fn main() {}
