//! Arguments that body and fallback both need.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Order;

fn cached(_: Order, _: Error<io::Error>) -> Answer {
    Ok(1)
}

#[guarded(breaker = 3, fallback = cached)]
async fn once(order: Order) -> Answer {
    drop(order);
    Ok(1)
}

#[guarded(retries = 3, fallback = cached)]
async fn repeated(order: Order) -> Answer {
    drop(order);
    Ok(1)
}

impl Order {
    #[guarded(breaker = 3, fallback = Self::cached)]
    async fn send(self) -> Answer {
        drop(self);
        Ok(1)
    }

    fn cached(self, _: Error<io::Error>) -> Answer {
        Ok(1)
    }
}

fn main() {}
