//! What a method cannot have for itself.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Client;

#[guarded(rate = "10/s")]
impl Client {
    #[guarded(rate = "5/s")]
    async fn rate(&self) -> Answer {
        Ok(1)
    }

    #[guarded(breaker = 5, retries = 2)]
    async fn breaker(&self) -> Answer {
        Ok(1)
    }

    #[guarded(name = "mine")]
    async fn name(&self) -> Answer {
        Ok(1)
    }

    #[guarded(policy = OTHER)]
    async fn policy(&self) -> Answer {
        Ok(1)
    }
}

async fn all(client: &Client) -> Answer {
    client.rate().await?;
    client.breaker().await?;
    client.name().await?;
    client.policy().await
}

fn main() {
    let _ = all(&Client);
}
