//! A `ref mut` argument of a repeated call.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3)]
async fn tuple((ref mut a, _b): (u32, u32)) -> Answer {
    *a += 1;
    Ok(*a)
}

fn main() {}
