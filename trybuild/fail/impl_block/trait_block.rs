//! A trait is no block of methods to guard.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate = "10/s")]
trait Api {
    async fn lookup(&self) -> Answer;
}

struct Client;

impl Api for Client {
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
