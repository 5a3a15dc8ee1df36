//! `Self` in a setting.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

impl Client {
    const RETRIES: u32 = 3;

    #[guarded(retries = Self::RETRIES)]
    async fn of_self(&self) -> Answer {
        Ok(1)
    }

    #[guarded(retries = Client::RETRIES)]
    async fn of_the_type(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
