//! A judge that has to be awaited.

use std::io;

use apiguard::{Error, Verdict, guarded};

type Answer = Result<u32, Error<io::Error>>;

async fn slowly(_: &Result<u32, io::Error>) -> Verdict {
    Verdict::Success
}

#[guarded(retries = 3, classify = slowly)]
async fn lookup() -> Answer {
    Ok(1)
}

fn main() {}
