//! A body that is not `Send` says so where it is spawned.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate = "10/s", retries = 2)]
async fn held() -> Answer {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    Ok(*shared)
}

fn is_send<T: Send>(_: T) {}

fn main() {
    is_send(held());
}
