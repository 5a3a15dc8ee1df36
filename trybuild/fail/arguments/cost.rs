//! Costs of other types.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate("10/s", burst = 5), cost = items.len())]
async fn length(items: &[u8]) -> Answer {
    Ok(u32::from(items[0]))
}

#[guarded(rate("10/s", burst = 5), cost = text)]
async fn text(text: &str) -> Answer {
    Ok(text.len() as u32)
}

#[guarded(rate("10/s", burst = 5), cost = |id| id)]
async fn closure(id: u32) -> Answer {
    Ok(id)
}

fn main() {}
