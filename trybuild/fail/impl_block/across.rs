//! What a method says against its block.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate("10/s", burst = 5), timeout = "1s")]
impl Client {
    #[guarded(retries(3, base = "2s"))]
    async fn no_time_to_retry(&self) -> Answer {
        Ok(1)
    }

    #[guarded(attempt_timeout = "5s")]
    async fn attempt_above_call(&self) -> Answer {
        Ok(1)
    }

    #[guarded(cost = 6)]
    async fn above_the_burst(&self) -> Answer {
        Ok(1)
    }

    #[guarded(clone(id))]
    async fn no_retries(&self, id: u32) -> Answer {
        Ok(id)
    }
}

#[guarded(retries = 1)]
impl Client {
    #[guarded(cost = 6)]
    async fn no_limit(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
