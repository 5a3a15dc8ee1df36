//! Two attributes on one method.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s")]
impl Client {
    #[guarded(retries = 2)]
    #[guarded(timeout = "1s")]
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
