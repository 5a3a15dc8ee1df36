//! What a block cannot say for all its methods.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s", clone(order), fallback = cached)]
impl Client {
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

#[guarded(skip)]
impl Client {
    async fn skipped(&self) -> Answer {
        Ok(1)
    }
}

#[guarded(policy = SHARED, rate = "10/s")]
impl Client {
    async fn shared(&self) -> Answer {
        Ok(1)
    }
}

async fn all(client: &Client) -> Answer {
    client.lookup().await?;
    client.skipped().await?;
    client.shared().await
}

fn main() {
    let _ = all(&Client);
}
