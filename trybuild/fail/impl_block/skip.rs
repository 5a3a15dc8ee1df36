//! `skip` beside other settings, and with a value.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s")]
impl Client {
    #[guarded(skip, retries = 0)]
    async fn both(&self) -> Answer {
        Ok(1)
    }

    #[guarded(skip = true)]
    async fn value(&self) -> Result<u32, io::Error> {
        Ok(1)
    }

    #[guarded(skipp)]
    async fn misspelled(&self) -> Result<u32, io::Error> {
        Ok(1)
    }
}

fn main() {}
