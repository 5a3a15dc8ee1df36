//! Borrows and moves that are wrong with or without a guard.

#[derive(Debug)]
struct ShopError;

impl From<apiguard::Rejected> for ShopError {
    fn from(_: apiguard::Rejected) -> ShopError {
        ShopError
    }
}

async fn send(_: String) {}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn moved_twice() -> Result<u32, ShopError> {
    let name = String::from("name");
    send(name).await;
    send(name).await;
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn borrowed_while_changed(list: &mut Vec<u32>) -> Result<u32, ShopError> {
    let first = &list[0];
    list.push(1);
    Ok(*first)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn not_mutable() -> Result<u32, ShopError> {
    let list = vec![1];
    list.push(2);
    Ok(1)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn unassigned() -> Result<u32, ShopError> {
    let id: u32;
    Ok(id)
}

#[apiguard::guarded(rate = "10/s", retries = 3)]
async fn returned_borrow() -> Result<&'static str, ShopError> {
    let name = String::from("name");
    Ok(name.as_str())
}

fn main() {}
