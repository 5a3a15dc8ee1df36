//! Wrong types.



#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

impl From<std::io::Error> for ShopError {
    fn from(_: std::io::Error) -> ShopError {
        ShopError
    }
}

struct Order {
    id: u32,
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn tail() -> Result<u32, ShopError> {
    Ok("text")
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn tail_with_a_semicolon() -> Result<u32, ShopError> {
    Ok(5);
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn conversion(text: &str) -> Result<u32, ShopError> {
    let id: u32 = text.parse()?;
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn argument(order: &Order) -> Result<u32, ShopError> {
    Ok(twice(order.id, 2))
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn field(order: &Order) -> Result<u32, ShopError> {
    Ok(order.name)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn method(order: &Order) -> Result<u32, ShopError> {
    order.send().await;
    Ok(order.id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn no_future(order: &Order) -> Result<u32, ShopError> {
    Ok(twice(order.id).await)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn closure() -> Result<u32, ShopError> {
    let add = |a: u32| -> u32 { a + "one" };
    Ok(add(1))
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn branches(id: u32) -> Result<u32, ShopError> {
    if id == 0 { Ok(1) } else { Err("none") }
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn arms(id: u32) -> Result<u32, ShopError> {
    match id {
        0 => Ok(1),
        _ => 5,
    }
}

fn twice(id: u32) -> u32 {
    2 * id
}

fn main() {}
