//! Mistakes in the bodies of a block are the user's own.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s", retries = 2)]
impl Client {
    async fn types(&self) -> Answer {
        let text: u32 = "text";
        Ok(text)
    }

    async fn names(&self) -> Answer {
        Ok(missing)
    }

    fn plain(&self) -> u32 {
        "text"
    }
}

fn main() {}
