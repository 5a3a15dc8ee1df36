//! What is no function where one is needed.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(retries = 3, classify = "verdict")]
async fn classify_text() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, classify = 5)]
async fn classify_number() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = "crate::cached")]
async fn fallback_text() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = true)]
async fn fallback_switch() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, fallback = cached(id))]
async fn fallback_called(id: u32) -> Answer {
    Ok(id)
}

#[guarded(retries = 3, fallback(cached))]
async fn fallback_in_parentheses(id: u32) -> Answer {
    Ok(id)
}

struct Client;

impl Client {
    #[guarded(retries = 3, fallback = self.cached)]
    async fn fallback_of_self(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
