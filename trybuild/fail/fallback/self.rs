//! A method's fallback that is none.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

impl Client {
    #[guarded(retries = 3, fallback = cached)]
    async fn lookup(&self, id: u32) -> Answer {
        Ok(id)
    }

    #[guarded(retries = 3, fallback = Self::without_self)]
    async fn other(&self, id: u32) -> Answer {
        Ok(id)
    }

    fn cached(&self, id: u32, _: Error<io::Error>) -> Answer {
        Ok(id)
    }

    fn without_self(id: u32, _: Error<io::Error>) -> Answer {
        Ok(id)
    }
}

fn main() {}
