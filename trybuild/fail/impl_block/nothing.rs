//! Blocks without anything to guard.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s")]
impl Client {
    const LIMIT: u32 = 5;

    fn plain(&self) -> Answer {
        Ok(Self::LIMIT)
    }

    async fn number(&self) -> u32 {
        Self::LIMIT
    }
}

#[guarded(rate = "10/s")]
impl Drop for Client {
    fn drop(&mut self) {}
}

async fn all(client: &Client) -> Answer {
    client.plain()?;
    Ok(client.number().await)
}

fn main() {
    let _ = all(&Client);
}
