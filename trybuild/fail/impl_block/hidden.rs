//! A second guard behind `cfg_attr`.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s", retries = 2)]
impl Client {
    #[cfg_attr(all(), guarded(retries = 3))]
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

#[guarded(rate = "10/s", retries = 2)]
#[cfg_attr(all(), guarded(retries = 3))]
async fn lookup() -> Answer {
    Ok(1)
}

fn main() {}
