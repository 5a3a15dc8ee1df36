//! Each mechanism alone, admitted: the check of a limit, a breaker that is closed and one that is open, an attempt that needs
//! no second one.
//!
//! tower's rate and tower-resilience's mechanisms have no check of their own: what is measured is a service that answers
//! at once behind them. tower's belongs to one caller at a time, so it has nothing to share.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

use apiguard::{Breaker, CircuitBreaker, Quota, Rate, TokenBucket, Window, guarded};
use backon::{ExponentialBuilder, Retryable};
use failsafe::CircuitBreaker as _;
use leaky_bucket::RateLimiter as LeakyBucket;
use tokio_retry2::strategy::ExponentialFactorBackoff;
use tokio_retry2::{Retry, RetryError};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};
use tower_resilience_retry::RetryLayer;

use crate::call::{
    AppError, Attempts, Outcome, PLENTY, bare, failsafe_of_five, finish, floor, governor_with_plenty, recloser_of_five,
    repeated, served,
};
use crate::measure::{self, Repeat};
use crate::table::{
    APIGUARD, BACKON, FAILSAFE, GOVERNOR, LEAKY_BUCKET, RECLOSER, TOKIO_RETRY2, TOWER, TOWER_RESILIENCE, Table,
};

pub fn rows(table: &mut Table) {
    let groups = [
        ("the check of a rate: ns", rates()),
        ("the check of a quota (any window): ns", quotas()),
        ("a breaker, closed, and a success: ns", breakers(false)),
        ("a breaker, open: ns", breakers(true)),
        ("retries alone, no second attempt: ns", retries()),
    ];
    let mut repeats = vec![floor()];
    let groups = groups.map(|(name, group)| {
        let (libraries, group): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        repeats.extend(group);
        (name, libraries)
    });
    let nanos = measure::nanos(&repeats);
    let (floor, mut nanos) = (nanos[0], nanos.iter().skip(1));
    for (name, libraries) in groups {
        let cells = libraries.into_iter().zip(nanos.by_ref()).map(|(library, nanos)| (library, format!("{nanos:.1}")));
        table.row(format!("{name} (floor {floor:.1})"), cells);
    }
}

fn check<T>(check: impl Fn() -> T + Send + Sync + 'static) -> Repeat {
    Box::new(move |times| (0..times).for_each(|_| drop(black_box(check()))))
}

/// A service that answers at once.
fn echo(n: u64) -> Ready<Result<u64, Infallible>> {
    ready(Ok(n))
}

fn rates() -> Vec<(usize, Repeat)> {
    let bucket = TokenBucket::with_rate(Rate::per_second(PLENTY).burst(PLENTY)).expect("a rate");
    let governor = governor_with_plenty();
    let plenty = PLENTY as usize;
    let leaky = LeakyBucket::builder().initial(plenty).max(plenty).refill(plenty / 1_000).interval(MS).build();
    let tower = ServiceBuilder::new().rate_limit(u64::from(PLENTY), Duration::from_secs(1)).service_fn(echo);
    let tower = Mutex::new(tower);
    let resilience = RateLimiterLayer::burst(plenty / 2, plenty / 2).build().expect("a limit");
    vec![
        (APIGUARD, check(move || bucket.try_acquire(1))),
        (GOVERNOR, check(move || governor.check())),
        (LEAKY_BUCKET, check(move || leaky.try_acquire(1))),
        (
            TOWER,
            Box::new(move |times| {
                let mut tower = tower.lock().expect("a service");
                for n in 0..u64::from(times) {
                    let called = async { tower.ready().await.expect("never fails").call(n).await };
                    let _ = black_box(finish(called));
                }
            }),
        ),
        (TOWER_RESILIENCE, served(ServiceBuilder::new().layer(resilience).service_fn(echo))),
    ]
}

const MS: Duration = Duration::from_millis(1);

/// A million in a millisecond, since tower-resilience keeps the time of each.
fn quotas() -> Vec<(usize, Repeat)> {
    let window = Window::with_quota(Quota::new(1_000_000, MS)).expect("a quota");
    let log = RateLimiterLayer::builder().limit_for_period(1_000_000).refresh_period(MS);
    let log = log.window_type(WindowType::SlidingLog).build().expect("a limit");
    vec![
        (APIGUARD, check(move || window.try_acquire(1))),
        (TOWER_RESILIENCE, served(ServiceBuilder::new().layer(log).service_fn(echo))),
    ]
}

/// Breakers of five failures in a row. To open them there are six: recloser counts once its ring has been full.
fn breakers(open: bool) -> Vec<(usize, Repeat)> {
    let settings = Breaker::consecutive(5).recovery(Duration::from_secs(3_600));
    let ours = CircuitBreaker::new(settings).expect("a breaker");
    let (recloser, failsafe) = (recloser_of_five(), failsafe_of_five());
    let layer = CircuitBreakerLayer::builder().consecutive_failures(5);
    let layer = layer.wait_duration_in_open(Duration::from_secs(3_600)).build().expect("a breaker");
    // It fails for one number, which repetition does not come to.
    let resilience =
        layer.layer_fn(service_fn(move |n| ready(if n == u64::MAX { Err(AppError::Rejected) } else { Ok(n) })));
    if open {
        for _ in 0..6 {
            if let Ok(permit) = ours.try_acquire() {
                permit.failure();
            }
            let _ = recloser.call(|| Err::<(), _>(AppError::Rejected));
            let _ = failsafe.call(|| Err::<(), _>(AppError::Rejected));
            let mut service = resilience.clone();
            let _ = finish(async { service.ready().await?.call(u64::MAX).await });
        }
        assert!(ours.try_acquire().is_err() && resilience.is_open() && !failsafe.is_call_permitted());
        assert!(matches!(recloser.call(|| Ok::<_, AppError>(())), Err(recloser::Error::Rejected)));
    }
    vec![
        (APIGUARD, check(move || ours.try_acquire().map(apiguard::Permit::success))),
        (RECLOSER, check(move || recloser.call(|| Ok::<_, AppError>(black_box(1))))),
        (FAILSAFE, check(move || failsafe.call(|| Ok::<_, AppError>(black_box(1))))),
        (TOWER_RESILIENCE, served(resilience)),
    ]
}

#[guarded(retries = 3)]
async fn guarded_retries(n: u64) -> Outcome {
    bare(n).await
}

async fn backon_retries(n: u64) -> Outcome {
    (|| bare(n)).retry(ExponentialBuilder::default().with_max_times(3)).await
}

async fn tokio_retry2_retries(n: u64) -> Outcome {
    let delays = ExponentialFactorBackoff::from_millis(1_000, 2.0).take(3);
    Retry::spawn(delays, || async { bare(n).await.map_err(RetryError::transient) }).await
}

fn retries() -> Vec<(usize, Repeat)> {
    let tower = ServiceBuilder::new().retry(Attempts::retries(3)).service_fn(bare);
    let retry = RetryLayer::<u64, u64, AppError>::builder().max_attempts(4);
    let retry = retry.exponential_backoff(Duration::from_secs(1)).build();
    vec![
        (APIGUARD, repeated(guarded_retries)),
        (BACKON, repeated(backon_retries)),
        (TOKIO_RETRY2, repeated(tokio_retry2_retries)),
        (TOWER, served(tower)),
        (TOWER_RESILIENCE, served(ServiceBuilder::new().layer(retry).service_fn(bare))),
    ]
}
