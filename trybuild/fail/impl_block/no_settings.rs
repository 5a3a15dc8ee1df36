//! A block without settings.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded]
impl Client {
    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

async fn all(client: &Client) -> Answer {
    client.lookup().await
}

fn main() {
    let _ = all(&Client);
}
