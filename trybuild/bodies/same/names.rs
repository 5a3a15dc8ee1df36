//! Names that are not there.

#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

#[apiguard::guarded(rate = "10/s", breaker = 5)]
async fn variable(order: u32) -> Result<u32, ShopError> {
    Ok(ordr)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn function() -> Result<u32, ShopError> {
    Ok(missing(5))
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn path() -> Result<u32, ShopError> {
    Ok(shop::missing(5))
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn ty() -> Result<u32, ShopError> {
    let order: Missing = 5;
    Ok(order)
}

fn main() {}
