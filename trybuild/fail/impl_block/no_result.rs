//! Methods that cannot say that they were rejected.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;
struct Config;

#[guarded(rate = "10/s")]
impl Client {
    async fn config(&self) -> Config {
        Config
    }

    #[guarded(retries = 2)]
    async fn nothing(&self) {}

    async fn other_error(&self) -> Result<u32, io::Error> {
        Ok(1)
    }

    async fn good(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
