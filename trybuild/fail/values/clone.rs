//! What `clone` does not take.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3, clone = name)]
async fn value(name: String) -> Answer {
    drop(name);
    Ok(1)
}

#[guarded(retries = 3, clone)]
async fn nothing(name: &str) -> Answer {
    drop(name);
    Ok(1)
}

#[guarded(retries = 3, clone())]
async fn empty(name: &str) -> Answer {
    drop(name);
    Ok(1)
}

#[guarded(retries = 3, clone(self.name))]
async fn path(name: &str) -> Answer {
    drop(name);
    Ok(1)
}

fn main() {}
