//! What an async block cannot return, and leave: the compiler tells it in other notes than of an async function.

use std::collections::HashMap;

#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn tail_without_ok() -> Result<u32, ShopError> {
    5
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn early(id: u32) -> Result<u32, ShopError> {
    if id == 0 {
        return "zero";
    }
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn early_without_a_value(id: u32) -> Result<u32, ShopError> {
    if id == 0 {
        return;
    }
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn option(map: &HashMap<u32, u32>) -> Result<u32, ShopError> {
    let id = map.get(&5)?;
    Ok(*id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn no_loop() -> Result<u32, ShopError> {
    continue;
}

fn main() {}
