//! Arguments that a retried body gives away and that cannot be cloned.

use std::io;

use apiguard::{Error, guarded};

struct Order(u32);

fn send(order: Order) -> Result<u32, io::Error> {
    Ok(order.0)
}

#[guarded(retries = 3)]
async fn by_name(order: Order) -> Result<u32, Error<io::Error>> {
    send(order)
}

#[guarded(retries = 3)]
async fn mutable(mut order: Order) -> Result<u32, Error<io::Error>> {
    order.0 += 1;
    Ok(order.0)
}

#[guarded(retries = 3, clone(order))]
async fn asked_for(order: Order) -> Result<u32, Error<io::Error>> {
    Ok(order.0)
}

#[guarded(retries = 3, timeout = "10s")]
async fn generic<T: Send>(first: T, (second, third): (T, Order)) -> Result<(T, T), Error<io::Error>> {
    let _ = &third;
    Ok((first, second))
}

#[guarded(retries = 3)]
async fn inside_of_a_list(orders: Vec<Order>) -> Result<usize, Error<io::Error>> {
    Ok(orders.into_iter().count())
}

struct Shop;

impl Shop {
    #[guarded(retries = 3)]
    async fn method(self, id: u32) -> Result<(Shop, u32), Error<io::Error>> {
        Ok((self, id))
    }
}

async fn all() -> Result<(), Error<io::Error>> {
    by_name(Order(1)).await?;
    mutable(Order(2)).await?;
    asked_for(Order(3)).await?;
    generic("a", ("b", Order(4))).await?;
    inside_of_a_list(vec![Order(5)]).await?;
    Shop.method(6).await?;
    Ok(())
}

fn main() {
    let _ = all();
}
