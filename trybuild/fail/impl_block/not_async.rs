//! A method of its own settings that is not async.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s")]
impl Client {
    #[guarded(retries = 2)]
    fn plain(&self) -> Answer {
        Ok(1)
    }

    async fn good(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
