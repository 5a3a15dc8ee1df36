//! Mistakes in the body are reported as if there were no attribute.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s", retries = 3, breaker = 5, timeout = "10s")]
async fn wrong_tail(id: u32) -> Result<String, Error<io::Error>> {
    Ok(id)
}

#[guarded(retries = 3)]
async fn wrong_return(id: u32) -> Result<String, Error<io::Error>> {
    if id == 0 {
        return "zero";
    }
    Ok(id.to_string())
}

#[derive(Debug)]
struct OwnError;

#[guarded(retries = 3)]
async fn question_mark(id: &str) -> Result<u32, Error<OwnError>> {
    Ok(id.parse::<u32>()?)
}

#[guarded(rate = "10/s")]
async fn no_tail(id: u32) -> Result<String, Error<io::Error>> {
    id.to_string();
}

#[guarded(retries = 3)]
async fn unknown_name() -> Result<String, Error<io::Error>> {
    Ok(ordr.to_string())
}

#[guarded(retries = 3)]
async fn unknown_method(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.length())
}

async fn all() -> Result<(), Error<io::Error>> {
    wrong_tail(1).await?;
    wrong_return(2).await?;
    let _ = question_mark("3").await;
    no_tail(4).await?;
    unknown_name().await?;
    unknown_method("six".into()).await?;
    Ok(())
}

fn main() {
    let _ = all();
}
