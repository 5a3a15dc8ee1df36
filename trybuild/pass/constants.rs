//! Constants and constant expressions as values.

#![deny(warnings)]

use std::io;
use std::time::Duration;

use apiguard::{Breaker, Budget, Concurrency, Error, Jitter, Rate, Ratio, Retry, Statuses, guarded};

const LIMIT: Rate = Rate::per_second(100).burst(20);
const RETRIES: u32 = 3;
const SHARE: f64 = 0.5;
const TIMEOUT: Duration = Duration::from_secs(30);
const NAME: &str = "constants.every_value";

mod limits {
    pub(crate) const BURST: u32 = 5;
}

#[guarded(
    name = NAME,
    rate(LIMIT, burst = limits::BURST * 2, max_wait = Duration::from_millis(500)),
    retries(
        RETRIES + 1,
        base = Duration::from_millis(100),
        factor = 1.0 + 0.5,
        cap = TIMEOUT,
        jitter = Jitter::Full,
        budget = Budget::percent(30),
        statuses = Statuses::RETRIED.with(408)
    ),
    breaker(RETRIES, recovery = TIMEOUT, successes = 1 + 1, probes = limits::BURST),
    timeout = TIMEOUT,
    attempt_timeout = Duration::from_secs(3),
    max_pause = TIMEOUT,
    abandoned = TIMEOUT,
)]
async fn every_value(order: String) -> Result<String, Error<io::Error>> {
    Ok(order)
}

#[guarded(rate = LIMIT)]
async fn rate() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(retries = RETRIES, timeout = TIMEOUT)]
async fn retries() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(failures = if RETRIES > 2 { 5 } else { 2 }))]
async fn block() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(
    failure_rate = SHARE,
    window = TIMEOUT,
    min_calls = RETRIES,
    slow_call = TIMEOUT,
    slow_rate = Ratio::percent(80),
    recovery_jitter = SHARE / 2.0,
    recovery_cap = Duration::from_secs(600)
))]
async fn windowed() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(breaker(slow_call = Duration::from_secs(1), window = limits::BURST * 2, slow_rate = SHARE))]
async fn slow() -> Result<(), Error<io::Error>> {
    Ok(())
}

apiguard::policy! {
    static SHARED = (rate = LIMIT, name = concat!("constants", ".shared"));
}

#[guarded(policy = SHARED, retries = RETRIES, timeout = TIMEOUT)]
async fn shared() -> Result<(), Error<io::Error>> {
    Ok(())
}

// A path and a field that have an argument's name are none.
#[guarded(retries = limits::BURST, rate = TABLE.limits)]
async fn named_like_an_argument(limits: &[u32]) -> Result<usize, Error<io::Error>> {
    Ok(limits.len())
}

struct Table {
    limits: Rate,
}

const TABLE: Table = Table { limits: LIMIT };

const RETRY: Retry = Retry::new(3).base(Duration::from_millis(200)).cap(Duration::from_millis(800));
const BREAKER: Breaker = Breaker::failure_rate(0.5).min_calls(10);

/// Each the whole of a setting.
#[guarded(
    name = "constants.whole",
    rate = apiguard::presets::stripe::LIVE,
    retries = RETRY,
    breaker = BREAKER,
    concurrency = Concurrency::new(8).max_wait(Duration::ZERO),
    timeout = "1s"
)]
async fn whole() -> Result<u32, Error<io::Error>> {
    Ok(1)
}

#[guarded(
    name = "constants.changed",
    retries(RETRY, cap = "2s"),
    breaker(BREAKER, recovery = "5s"),
    concurrency(Concurrency::new(8), max_wait = "1s")
)]
async fn changed() -> Result<u32, Error<io::Error>> {
    Ok(1)
}

apiguard::policy! {
    static WHOLE = (retries = apiguard::presets::aws::STANDARD, breaker = apiguard::presets::polly::BREAKER);
}

fn main() {
    drop(named_like_an_argument(&[]));
    drop(every_value(String::new()));
    drop(rate());
    drop(retries());
    drop(block());
    drop(windowed());
    drop(slow());
    drop(shared());
    drop((whole(), changed()));
    assert_eq!(WHOLE.settings().retry(), Some(&apiguard::presets::aws::STANDARD));
    assert!(apiguard::registry().get("constants.every_value").is_some());
    assert!(apiguard::registry().get("constants.shared").is_some());
}
