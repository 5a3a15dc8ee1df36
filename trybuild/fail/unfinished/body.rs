//! A body that is not finished is known to the rest of the file.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate = "10/s", retries = 2)]
async fn statement() -> Answer {
    let id = ;
    Ok(1)
}

#[guarded(rate = "10/s", retries = 2)]
async fn method(name: String) -> Answer {
    name.
}

async fn all() -> Answer {
    statement().await?;
    method(String::new()).await
}

fn main() {
    let _ = all();
}
