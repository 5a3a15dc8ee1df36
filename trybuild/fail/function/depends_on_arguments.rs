//! Settings that are known only while the call runs.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = times)]
async fn argument(times: u32) -> Answer {
    Ok(times)
}

#[guarded(retries = N)]
async fn const_generic<const N: u32>() -> Answer {
    Ok(N)
}

struct Client {
    limit: u32,
}

impl Client {
    #[guarded(rate("10/s", burst = self.limit))]
    async fn field(&self) -> Answer {
        Ok(self.limit)
    }
}

fn main() {}
