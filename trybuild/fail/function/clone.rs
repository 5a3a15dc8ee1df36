//! `clone` of what is no argument.

use std::io;

use apiguard::{Error, guarded};

#[guarded(retries = 3, clone(ordr))]
async fn near(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone(customer, order))]
async fn far(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone(order))]
async fn no_arguments() -> Result<usize, Error<io::Error>> {
    Ok(0)
}

#[guarded(retries = 3, clone = order)]
async fn equals(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone(order.id))]
async fn field(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone("order"))]
async fn text(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone())]
async fn none(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

#[guarded(retries = 3, clone)]
async fn word(order: String) -> Result<usize, Error<io::Error>> {
    Ok(order.len())
}

async fn all() -> Result<usize, Error<io::Error>> {
    let order = || String::from("tea");
    near(order()).await?;
    far(order()).await?;
    no_arguments().await?;
    equals(order()).await?;
    field(order()).await?;
    text(order()).await?;
    none(order()).await?;
    word(order()).await
}

fn main() {
    let _ = all();
}
