//! Guarded functions of every shape under every lint: the macros add nothing that a lint could complain of.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_lifetimes,
    unused_import_braces,
    unused_results,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    variant_size_differences,
    let_underscore_drop,
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::dbg_macro,
    clippy::shadow_same,
    clippy::as_underscore
)]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::{Error, Policy, Rate, Rejected, Verdict, guarded};

apiguard::policy! {
    /// What the service allows.
    pub static SHARED = (rate("100/s", burst = 20), breaker = 5, retries = 1, name = "strict.shared");
    static QUIET = (rate = LIMIT, doc = false);
}

/// The limit of the service.
pub const LIMIT: Rate = Rate::per_second(100);
const PATIENCE: Duration = Duration::from_secs(20);

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

/// The outcome of a call.
pub type Answer<T> = Result<T, Error<io::Error>>;

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Every setting at once.
///
/// # Errors
/// When the shop is closed.
#[guarded(
    name = "strict.charge",
    rate("100/s", burst = 20, max_wait = "2s"),
    retries(3, base = "1s", factor = 1.5, cap = "10s", jitter = "full", statuses = [429, 500, 502..=504]),
    breaker(failures = 5, recovery = "10s", successes = 2, probes = 1),
    timeout = "1m",
    attempt_timeout = "5s",
    key = text.len() % 7,
    cost = 2,
    classify = verdict,
    fallback = later,
    clone(order)
)]
pub async fn charge(mut list: Vec<u32>, text: &str, order: String, _unused: u8) -> Result<usize, ShopError> {
    list.push(1);
    if text.is_empty() {
        return Err(broken().into());
    }
    drop(order);
    Ok(list.len())
}

const fn verdict<T, E>(outcome: &Result<T, E>) -> Verdict {
    if outcome.is_ok() { Verdict::Success } else { Verdict::Failure }
}

async fn later(list: Vec<u32>, _: &str, _: String, _: u8, error: ShopError) -> Result<usize, ShopError> {
    tokio::task::yield_now().await;
    if list.is_empty() { Err(error) } else { Ok(0) }
}

/// Constants as values.
///
/// # Errors
/// When the shop is closed.
#[guarded(rate = LIMIT, retries(2, base = Duration::from_millis(5)), timeout = PATIENCE)]
pub async fn constants() -> Answer<u32> {
    Ok(1)
}

/// A returned borrow, lifetimes and generics.
///
/// # Errors
/// When the shop is closed.
#[guarded(retries = 2)]
pub async fn borrowed<'a, T, const N: usize>(items: &'a [T; N], other: &str) -> Result<&'a T, ShopError>
where
    T: Sync,
{
    items.get(other.len()).ok_or_else(|| broken().into())
}

/// Patterns, an argument that is given away and a closure.
///
/// # Errors
/// When the shop is closed.
#[guarded(retries = 2, breaker = 5)]
pub async fn patterns<F>((first, mut second): (u32, u32), given: String, f: F) -> anyhow::Result<String>
where
    F: Fn(String) -> String + Send + Sync,
{
    second += first;
    let text = f(given);
    anyhow::ensure!(second > 0, "nothing");
    Ok(text)
}

/// An opaque part of the return type, and a boxed error.
///
/// # Errors
/// When the shop is closed.
#[guarded(policy = SHARED)]
pub async fn opaque(
    name: &str,
) -> Result<impl Iterator<Item = u32> + use<'_>, Box<dyn std::error::Error + Send + Sync>> {
    let length = u32::try_from(name.len())?;
    Ok(std::iter::once(length))
}

/// Without retries everything may be moved.
///
/// # Errors
/// When the shop is closed.
#[guarded(policy = QUIET, retries = 0)]
pub async fn moved(list: Vec<u32>) -> Answer<Vec<u32>> {
    if list.is_empty() {
        return Err(broken());
    }
    Ok(list)
}

/// One span for the call.
///
/// # Errors
/// When the shop is closed.
#[guarded(retries = 1)]
#[tracing::instrument(skip_all)]
pub async fn instrumented(list: Vec<u32>) -> Answer<u32> {
    list.into_iter().max().ok_or_else(broken)
}

/// One span for each attempt.
///
/// # Errors
/// When the shop is closed.
#[tracing::instrument(skip_all)]
#[guarded(retries = 1)]
pub async fn instrumented_attempts(list: Vec<u32>) -> Answer<u32> {
    list.into_iter().max().ok_or_else(broken)
}

/// A shop.
#[derive(Debug)]
pub struct Shop {
    policy: Arc<Policy>,
    orders: Vec<String>,
}

impl Shop {
    /// A method that changes its `self`.
    ///
    /// # Errors
    /// When the shop is closed.
    #[guarded(policy = self.policy, retries(2, base = "10ms"))]
    pub async fn order(&mut self, item: String) -> Answer<usize> {
        self.orders.push(item);
        self.orders.len().checked_sub(1).ok_or_else(broken)
    }

    /// Takes its `self` by a pointer.
    ///
    /// # Errors
    /// When the shop is closed.
    #[guarded(retries = 2, fallback = Self::none)]
    pub async fn count(self: Arc<Self>) -> Answer<usize> {
        Ok(self.orders.len())
    }

    fn none(self: Arc<Self>, error: Error<io::Error>) -> Answer<usize> {
        if self.orders.is_empty() { Ok(0) } else { Err(error) }
    }
}

/// A client.
#[derive(Debug)]
pub struct Client(u32);

#[guarded(rate("100/s", burst = 5), retries = 2, breaker = 5)]
impl Client {
    /// Makes one.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Guarded as the block says.
    ///
    /// # Errors
    /// When the service is down.
    pub async fn get(&self, name: &str) -> Answer<u32> {
        u32::try_from(name.len()).map_err(|_| broken())
    }

    /// Guarded as it says itself.
    ///
    /// # Errors
    /// When the service is down.
    #[guarded(retries = 0, cost = 2)]
    pub async fn put(&mut self, value: u32) -> Answer<()> {
        self.0 = value;
        Ok(())
    }

    /// Not guarded.
    #[guarded(skip)]
    pub fn value(&self) -> impl Future<Output = u32> + Send + use<'_> {
        std::future::ready(self.0)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// An API.
#[async_trait::async_trait]
pub trait Api {
    /// Gets something.
    async fn get(&self, name: String) -> Answer<String>;
    /// Puts something.
    async fn put(&mut self, name: String) -> Answer<()>;
}

#[guarded(policy = SHARED)]
#[async_trait::async_trait]
impl Api for Client {
    async fn get(&self, name: String) -> Answer<String> {
        Ok(name)
    }

    #[guarded(timeout = "5s")]
    async fn put(&mut self, name: String) -> Answer<()> {
        self.0 = u32::try_from(name.len()).map_err(|_| broken())?;
        Ok(())
    }
}

#[async_trait::async_trait]
#[guarded(retries = 2)]
impl Api for Shop {
    async fn get(&self, name: String) -> Answer<String> {
        Ok(name)
    }

    async fn put(&mut self, name: String) -> Answer<()> {
        self.orders.push(name);
        Ok(())
    }
}

/// Another API.
pub trait Native {
    /// Gets something.
    ///
    /// # Errors
    /// When the service is down.
    fn get(&self, name: &str) -> impl Future<Output = Answer<usize>> + Send;
}

impl Native for Client {
    #[guarded(retries = 2)]
    async fn get(&self, name: &str) -> Answer<usize> {
        Ok(name.len())
    }
}
