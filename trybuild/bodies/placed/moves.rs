//! Arguments that are moved twice: the async block has captured them, so notes about their declaration are missing.

#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

async fn send(_: String) {}

#[apiguard::guarded(rate = "10/s", breaker = 5)]
async fn moved_argument(name: String) -> Result<u32, ShopError> {
    send(name).await;
    send(name).await;
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn given_away_twice(name: String) -> Result<u32, ShopError> {
    send(name).await;
    send(name).await;
    Ok(1)
}

fn main() {}
