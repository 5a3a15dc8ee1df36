//! What is no function at all.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Order {
    #[guarded(rate = "10/s")]
    id: u32,
}

#[guarded(rate = "10/s")]
mod shop {}

#[guarded(rate = "10/s")]
type Alias = u32;

fn main() {}
