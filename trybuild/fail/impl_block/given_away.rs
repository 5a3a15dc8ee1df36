//! What the methods of a block give away.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;
struct Order;

#[guarded(retries = 3)]
impl Client {
    async fn send(&self, order: Order) -> Answer {
        drop(order);
        Ok(1)
    }

    #[guarded(retries = 0)]
    async fn once(&self, order: Order) -> Answer {
        drop(order);
        Ok(1)
    }
}

fn main() {}
