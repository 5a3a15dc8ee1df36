//! A constant of the block against which a method's settings cannot stand.

use std::io;
use std::time::Duration;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

const PATIENCE: Duration = Duration::from_secs(10);

struct Client;

#[guarded(retries = 2, timeout = PATIENCE)]
impl Client {
    #[guarded(retries(2, base = "20s"))]
    async fn lookup(&self) -> Answer {
        Ok(1)
    }

    #[guarded(attempt_timeout = "20s")]
    async fn attempt(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
