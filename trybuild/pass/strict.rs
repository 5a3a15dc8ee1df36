//! The expansion under the lints of a strict crate.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::{Error, Policy, Rejected, guarded};

apiguard::policy! {
    /// What the service allows.
    pub static STRIPE = (rate("100/s", burst = 20), breaker = 5, name = "stripe");
    static QUIET = (rate = "1/s");
}

/// An error of one's own.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// From the guard.
    #[error("guard")]
    Guard(#[from] Rejected),
    /// From the system.
    #[error("io")]
    Io(#[from] io::Error),
}

/// Every setting at once.
#[guarded(
    name = "charge",
    rate("100/s", burst = 20, max_wait = "2s"),
    retries(3, base = "1s", factor = 1.5, cap = "10s", jitter = "full", statuses = [429, 500, 502..=504]),
    breaker(failures = 5, recovery = "10s", successes = 2, probes = 1),
    timeout = "1m",
    attempt_timeout = "5s"
)]
pub async fn charge(mut list: Vec<u32>, text: &str, order: String) -> Result<usize, ShopError> {
    list.push(1);
    if text.is_empty() {
        return Err(io::Error::other("empty"))?;
    }
    drop(order);
    Ok(list.len())
}

/// A shop.
#[derive(Debug)]
pub struct Shop {
    policy: Arc<Policy>,
    orders: Vec<String>,
}

impl Shop {
    /// A method that changes its `self`.
    #[guarded(policy = self.policy, retries(2, base = "10ms"))]
    pub async fn order(&mut self, item: String) -> Result<usize, Error<io::Error>> {
        self.orders.push(item);
        self.orders.len().checked_sub(1).ok_or_else(|| io::Error::other("none"))
    }

    #[guarded(policy = STRIPE, timeout = "5s")]
    async fn lines(&self, (first, _): (usize, u8)) -> Result<impl Iterator<Item = &String>, Error<io::Error>> {
        Ok(self.orders.iter().skip(first))
    }
}

#[guarded(policy = QUIET)]
async fn never_returns(text: &'static str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        println!("{text}");
    }
}

#[guarded(rate = "1/s")]
async fn generic<E: From<Rejected>, T: Send>(value: T) -> Result<T, E> {
    Ok(value)
}

#[rustfmt::skip]
#[guarded(rate = "1/s", retries = 3)]
async fn on_one_line() -> Result<u32, ShopError> { Ok(5) }

fn main() {
    drop(on_one_line());
    let mut shop = Shop { policy: Arc::new(Policy::builder("shop").build().expect("no settings")), orders: vec![] };
    drop(shop.order(String::new()));
    drop(shop.lines((0, 0)));
    drop(charge(vec![], "", String::new()));
    drop(never_returns(""));
    drop(generic::<ShopError, _>(5));
}
