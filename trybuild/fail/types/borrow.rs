//! Mistakes of ownership and of threads are reported in the body, at the user's line.

use std::io;
use std::rc::Rc;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s")]
async fn moved_twice(order: String) -> Result<(String, String), Error<io::Error>> {
    let first = order;
    Ok((first, order))
}

struct Order(String);

fn take(order: Order) -> usize {
    order.0.len()
}

#[guarded(retries = 3)]
async fn moved_out_of_sight(order: Order) -> Result<usize, Error<io::Error>> {
    macro_rules! pass {
        ($function:ident) => {
            $function(order)
        };
    }
    Ok(pass!(take))
}

#[guarded(rate = "10/s", retries = 3)]
async fn not_send() -> Result<usize, Error<io::Error>> {
    let shared = Rc::new(5);
    tokio::task::yield_now().await;
    Ok(*shared)
}

fn spawn<T: Send>(_: T) {}

async fn all() -> Result<(), Error<io::Error>> {
    moved_twice("tea".into()).await?;
    moved_out_of_sight(Order("tea".into())).await?;
    spawn(not_send());
    Ok(())
}

fn main() {
    let _ = all();
}
