//! Mistakes in the values of methods, all in one go.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s", retries = 3)]
impl Client {
    #[guarded(retries = "3")]
    async fn text(&self) -> Answer {
        Ok(1)
    }

    #[guarded(retries(3, base = "5m"), timeout = "0s")]
    async fn two(&self) -> Answer {
        Ok(1)
    }

    #[guarded(retrys = 3)]
    async fn name(&self) -> Answer {
        Ok(1)
    }

    #[guarded(timeout =)]
    async fn unfinished(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
