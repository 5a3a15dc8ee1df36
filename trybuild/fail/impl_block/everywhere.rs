//! Mistakes in the block and in its methods.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "0/s", retrys = 3)]
impl Client {
    #[guarded(timeout = 5)]
    async fn method(&self) -> Answer {
        Ok(1)
    }

    async fn other(&self) -> Answer {
        Ok(1)
    }
}

async fn all(client: &Client) -> Answer {
    client.method().await?;
    client.other().await
}

fn main() {
    let _ = all(&Client);
}
