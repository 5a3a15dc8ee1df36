//! What the cases have in common.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apiguard::{BreakerState, Error, Policy, Rejected};

pub(crate) use crate::support::policies::{forever, policy};

/// One line of the table.
pub(crate) struct Case {
    /// Its number in the project's list of faults.
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    /// What must hold.
    pub(crate) bound: &'static str,
    pub(crate) run: fn() -> Measured,
}

/// What came out.
pub(crate) struct Measured {
    pub(crate) figure: String,
    pub(crate) holds: bool,
}

impl Measured {
    pub(crate) fn new(holds: bool, figure: impl Into<String>) -> Measured {
        Measured { figure: figure.into(), holds }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub(crate) fn scale() -> usize {
    variable("APIGUARD_FAULTS_SCALE").map_or(1, |scale| scale.max(1) as usize)
}

/// So many rounds, or more when a longer run is asked for.
pub(crate) fn scaled(rounds: usize) -> usize {
    rounds.saturating_mul(scale())
}

/// `APIGUARD_SEED`, else another one in each run.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| variable("APIGUARD_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 16))
}

/// xorshift64*: Vigna, 2016.
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of this run; another `stream` is other numbers.
    pub(crate) fn new(stream: u64) -> Dice {
        let mixed = (seed() ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Dice((mixed ^ (mixed >> 31)) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * n as u128) >> 64) as usize
    }
}

/// Runs a case on tokio's paused clock.
pub(crate) fn paused<T>(case: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(case)
}

pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

pub(crate) type Answer<T> = Result<T, Error<io::Error>>;

pub(crate) async fn good(policy: &Policy) -> Answer<()> {
    policy.call(async || Ok(())).await
}

pub(crate) async fn bad(policy: &Policy) -> Answer<()> {
    policy.call(async || Err(reset())).await
}

/// A call that never ends.
pub(crate) async fn hang(policy: &Policy) -> Answer<()> {
    policy.call(async || std::future::pending().await).await
}

pub(crate) fn state(policy: &Policy) -> BreakerState {
    policy.snapshot().breaker.unwrap()
}

pub(crate) fn is_open<T>(answer: &Answer<T>) -> bool {
    matches!(answer, Err(Error::Rejected(Rejected::CircuitOpen { .. })))
}

pub(crate) fn is_limited<T>(answer: &Answer<T>) -> bool {
    matches!(answer, Err(Error::Rejected(Rejected::RateLimited { .. })))
}
