//! Arguments that cannot be passed on.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn cached(_: u32, _: (u32, u32), _: Error<io::Error>) -> Answer {
    Ok(1)
}

#[guarded(breaker = 3, fallback = cached)]
async fn lookup(_: u32, (a, _): (u32, u32)) -> Answer {
    Ok(a)
}

fn few(_: u32, _: Error<io::Error>) -> Answer {
    Ok(1)
}

#[guarded(breaker = 3, fallback = few)]
async fn under_cfg(id: u32, #[cfg(all())] more: u32) -> Answer {
    Ok(id + more)
}

fn main() {}
