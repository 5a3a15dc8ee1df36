//! What lints say of a body.

#![warn(clippy::all, unused)]

#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_variable() -> Result<u32, ShopError> {
    let id = 5;
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_argument(id: u32) -> Result<u32, ShopError> {
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", breaker = 5)]
async fn unused_argument_once(id: u32) -> Result<u32, ShopError> {
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_mut() -> Result<u32, ShopError> {
    let mut id = 5;
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_mut_argument(mut id: u32) -> Result<u32, ShopError> {
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_result() -> Result<u32, ShopError> {
    "5".parse::<u32>();
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unreachable() -> Result<u32, ShopError> {
    return Ok(1);
    Ok(2)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_braces() -> Result<u32, ShopError> {
    let id = { 5 };
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_future() -> Result<u32, ShopError> {
    unused_variable();
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unused_assignment() -> Result<u32, ShopError> {
    let mut id = 5;
    id = 6;
    Ok(id)
}

fn main() {
    drop((unused_variable(), unused_argument(1), unused_argument_once(1), unused_mut(), unused_mut_argument(1)));
    drop((unused_result(), unreachable(), unused_braces(), unused_future(), unused_assignment()));
}
