//! A call that is admitted and succeeds, through a rate, a breaker and retries: what all of it costs together.
//!
//! The floor is what no correct code can go below: one reading of the CPU's counter, one compare-exchange, two loads. Each
//! library is composed as its own documentation does it, with the settings that come nearest: a rate that is never
//! reached, five failures in a row (recloser counts: five of the last five), four attempts with exponential delays.
//! tower has no breaker; its rate cannot be shared, so it stands behind a buffer.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use apiguard::{Breaker, Policy, Rate, Rejected, Retry, Settings, guarded};
use backon::{ExponentialBuilder, Retryable};
use failsafe::futures::CircuitBreaker as _;
use failsafe::{StateMachine, backoff, failure_policy};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use recloser::{AsyncRecloser, Recloser};
use tokio::runtime::Runtime;
use tower::buffer::Buffer;
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};
use tower_resilience_ratelimiter::{RateLimiterLayer, RateLimiterServiceError};
use tower_resilience_retry::RetryLayer;

use crate::measure::{self, Repeat, Twice, by_two_threads};
use crate::table::{APIGUARD, FAILSAFE, RECLOSER, TOWER, TOWER_RESILIENCE, Table};

/// A rate that no run reaches.
pub const PLENTY: u32 = 1_000_000_000;

/// An error as applications have them.
#[derive(Debug)]
#[allow(dead_code)]
pub enum AppError {
    Rejected,
    Guard(Rejected),
    Io(std::io::Error),
}

impl From<Rejected> for AppError {
    fn from(rejected: Rejected) -> AppError {
        AppError::Guard(rejected)
    }
}

impl From<recloser::Error<AppError>> for AppError {
    fn from(error: recloser::Error<AppError>) -> AppError {
        match error {
            recloser::Error::Inner(error) => error,
            recloser::Error::Rejected => AppError::Rejected,
        }
    }
}

impl From<failsafe::Error<AppError>> for AppError {
    fn from(error: failsafe::Error<AppError>) -> AppError {
        match error {
            failsafe::Error::Inner(error) => error,
            failsafe::Error::Rejected => AppError::Rejected,
        }
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for AppError {}

pub type Outcome = Result<u64, AppError>;

/// The service: an await, ready at once.
async fn answer(n: u64) -> Outcome {
    std::future::ready(()).await;
    Ok(black_box(n))
}

pub async fn bare(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(rate("1000000000/s", burst = 1000000000), breaker = 5, retries = 3)]
async fn composed(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

static POLICY: Policy = Policy::new(
    "benches.policy",
    Settings::new()
        .rate(Rate::per_second(PLENTY).burst(PLENTY))
        .breaker(Breaker::consecutive(5))
        .retries(Retry::new(3)),
);

async fn by_policy(n: u64) -> Result<u64, apiguard::Error<AppError>> {
    POLICY.call(async || bare(n).await).await
}

pub fn governor_with_plenty() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(PLENTY.try_into().expect("not zero")))
}

pub fn recloser_of_five() -> Recloser {
    Recloser::custom().closed_len(5).error_rate_closed(1.0).open_wait(Duration::from_secs(3_600)).build()
}

pub type Failsafe = StateMachine<failure_policy::ConsecutiveFailures<backoff::Constant>, ()>;

pub fn failsafe_of_five() -> Failsafe {
    let open = backoff::constant(Duration::from_secs(3_600));
    failsafe::Config::new().failure_policy(failure_policy::consecutive_failures(5, open)).build()
}

static GOVERNOR: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(governor_with_plenty);
static SHARED_RECLOSER: LazyLock<AsyncRecloser> = LazyLock::new(|| AsyncRecloser::from(recloser_of_five()));
static SHARED_FAILSAFE: LazyLock<Failsafe> = LazyLock::new(failsafe_of_five);

async fn with_recloser(n: u64) -> Outcome {
    let attempt = || async {
        GOVERNOR.until_ready().await;
        SHARED_RECLOSER.call(bare(n)).await
    };
    let retried = attempt.retry(ExponentialBuilder::default().with_max_times(3));
    Ok(retried.when(|error| matches!(error, recloser::Error::Inner(_))).await?)
}

async fn with_failsafe(n: u64) -> Outcome {
    let attempt = || async {
        GOVERNOR.until_ready().await;
        SHARED_FAILSAFE.call(bare(n)).await
    };
    let retried = attempt.retry(ExponentialBuilder::default().with_max_times(3));
    Ok(retried.when(|error| matches!(error, failsafe::Error::Inner(_))).await?)
}

/// tower's policy of retries, as its documentation writes one.
#[derive(Clone)]
pub struct Attempts {
    left: u32,
    backoff: ExponentialBackoff,
}

impl Attempts {
    pub fn retries(left: u32) -> Attempts {
        Attempts { left, backoff: ExponentialBackoffMaker::default().make_backoff() }
    }
}

impl<E> tower::retry::Policy<u64, u64, E> for Attempts {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Self::Future> {
        if result.is_ok() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(self.backoff.next_backoff())
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// The output of a future that does not wait.
pub fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("what is admitted and has a body that is ready is ready"),
    }
}

/// Repeats a future that does not wait.
pub fn repeated<F: Future>(call: impl Fn(u64) -> F + Send + Sync + 'static) -> Repeat {
    Box::new(move |times| (0..u64::from(times)).for_each(|n| drop(black_box(finish(call(n))))))
}

/// Repeats calls of a service that does not wait, each time with a clone of its own for a thread.
pub fn served<S>(service: S) -> Repeat
where
    S: Service<u64> + Clone + Send + 'static,
    S::Error: std::fmt::Debug,
{
    let service = Mutex::new(service);
    Box::new(move |times| {
        let mut service = service.lock().expect("a service").clone();
        for n in 0..u64::from(times) {
            let called = async { service.ready().await.expect("a service that runs").call(n).await };
            drop(black_box(finish(called)));
        }
    })
}

/// Calls of a service, one after another.
async fn in_a_row<S: Service<u64, Error: std::fmt::Debug>>(mut service: S, times: u32) {
    for n in 0..u64::from(times) {
        let service = service.ready().await.expect("a service that runs");
        drop(black_box(service.call(n).await));
    }
}

/// Repeats calls of a service that one caller may have to wait for.
fn awaited<S>(runtime: Runtime, service: S) -> Repeat
where
    S: Service<u64, Error: std::fmt::Debug> + Clone + Send + 'static,
{
    let service = Mutex::new(service);
    Box::new(move |times| {
        let service = service.lock().expect("a service").clone();
        runtime.block_on(in_a_row(service, times));
    })
}

/// The same for two callers at once: tasks of a runtime of two threads, since one may have to wait for the other.
fn by_two_tasks<S>(runtime: Runtime, service: S) -> Twice
where
    S: Service<u64, Error: std::fmt::Debug, Future: Send> + Clone + Send + 'static,
{
    Box::new(move |times| {
        let start = Instant::now();
        let tasks = [0, 1].map(|_| runtime.spawn(in_a_row(service.clone(), times)));
        for task in tasks {
            runtime.block_on(task).expect("no row panics");
        }
        start.elapsed().as_nanos() as f64 / f64::from(2 * times)
    })
}

fn runtime(threads: usize) -> Runtime {
    let runtime = if threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    };
    runtime.expect("a runtime")
}

/// A rate behind a buffer, retried. The buffer runs in a runtime.
fn tower(
    runtime: &Runtime,
) -> impl Service<u64, Response = u64, Error = BoxError, Future: Send> + Clone + Send + use<> {
    let _entered = runtime.enter();
    let limited = ServiceBuilder::new().rate_limit(u64::from(PLENTY), Duration::from_secs(1)).service_fn(bare);
    ServiceBuilder::new().retry(Attempts::retries(3)).service(Buffer::new(limited, 1_024))
}

type Limited = RateLimiterServiceError<AppError>;

fn tower_resilience()
-> impl Service<u64, Response = u64, Error = CircuitBreakerError<Limited>, Future: Send> + Clone + Send + 'static {
    let limiter = RateLimiterLayer::builder().limit_for_period(PLENTY as usize).build().expect("a limit");
    let breaker = CircuitBreakerLayer::builder().consecutive_failures(5).build().expect("a breaker");
    let retry = RetryLayer::<u64, u64, CircuitBreakerError<Limited>>::builder()
        .max_attempts(4)
        .exponential_backoff(Duration::from_secs(1))
        .build();
    ServiceBuilder::new().layer(retry).layer(breaker).layer(limiter).service(service_fn(bare))
}

/// The floor. Taken by one thread, the exchange does not fail.
pub fn floor() -> Repeat {
    let (clock, words) = (quanta::Clock::new(), [const { AtomicU64::new(0) }; 3]);
    Box::new(move |times| {
        for _ in 0..times {
            let now = clock.raw();
            let mut state = words[0].load(Relaxed);
            while let Err(changed) = words[0].compare_exchange_weak(state, state.max(now) + 1, Relaxed, Relaxed) {
                state = changed;
            }
            black_box(words[1].load(Relaxed) == 0 && words[2].load(Relaxed) == 0);
        }
    })
}

const LIBRARIES: [usize; 5] = [APIGUARD, RECLOSER, FAILSAFE, TOWER, TOWER_RESILIENCE];

pub fn rows(table: &mut Table) {
    alone(table);
    sizes(table);
    by_two(table);
}

/// A row of the libraries, from values with those of `Policy::call` and the floor after them.
fn row(table: &mut Table, name: impl Into<String>, values: &[f64], cell: impl Fn(f64) -> String) {
    table.row(name, LIBRARIES.into_iter().zip(values.iter().map(|value| cell(*value))));
}

fn alone(table: &mut Table) {
    let in_tower = runtime(1);
    let buffered = tower(&in_tower);
    let repeats = [
        repeated(composed),
        repeated(with_recloser),
        repeated(with_failsafe),
        awaited(in_tower, buffered),
        served(tower_resilience()),
        repeated(by_policy),
        floor(),
    ];
    let nanos = measure::nanos(&repeats);
    let floor = nanos[6];
    row(table, format!("a call: rate, breaker, retries: ns (floor {floor:.1})"), &nanos, |nanos| format!("{nanos:.1}"));
    row(table, "... over the floor", &nanos, |nanos| format!("{:.2}", nanos / floor));
    table.row("... by `Policy::call`", [(APIGUARD, format!("{:.2}", nanos[5] / floor))]);
    row(table, "... allocations", &repeats.map(|repeat| measure::allocations(&repeat)), |count| format!("{count:.0}"));
}

fn by_two(table: &mut Table) {
    let (in_tower, in_resilience) = (runtime(2), runtime(2));
    let buffered = tower(&in_tower);
    let millions = measure::millions_by_two(&[
        by_two_threads(repeated(composed)),
        by_two_threads(repeated(with_recloser)),
        by_two_threads(repeated(with_failsafe)),
        by_two_tasks(in_tower, buffered),
        by_two_tasks(in_resilience, tower_resilience()),
        by_two_threads(repeated(by_policy)),
        by_two_threads(floor()),
    ]);
    let cell = |millions| format!("{millions:.2}");
    row(table, format!("... by two threads: million/s (floor {:.1})", millions[6]), &millions, cell);
    table.row("... by `Policy::call`", [(APIGUARD, cell(millions[5]))]);
}

/// Bytes of a call's future beside those of the body's.
fn sizes(table: &mut Table) {
    let bare = size_of_val(&bare(1));
    let beside = |size: usize| format!("{:+}", size as i64 - bare as i64);
    let runtime = runtime(1);
    let mut buffered = tower(&runtime);
    let buffered = size_of_val(&async { buffered.ready().await?.call(1).await });
    table.row(
        format!("... bytes of its future (body: {bare})"),
        [
            (APIGUARD, beside(size_of_val(&composed(1)))),
            (RECLOSER, beside(size_of_val(&with_recloser(1)))),
            (FAILSAFE, beside(size_of_val(&with_failsafe(1)))),
            (TOWER, beside(buffered)),
            (TOWER_RESILIENCE, "boxed".to_owned()),
        ],
    );
    table.row("... by `Policy::call`", [(APIGUARD, beside(size_of_val(&by_policy(1))))]);
}
