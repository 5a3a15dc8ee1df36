//! The layer around services that are made here, where a server adds nothing: permits, readiness, keys, verdicts, errors.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

mod support;

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use apiguard::tower::GuardLayer;
use apiguard::{
    Breaker, BreakerState, Concurrency, Error, Policy, Rate, Rejected, Settings, Verdict, attempt, observe,
};
use http::Response;
use support::ms_since;
use support::policies::{forever, policy, retries};
use tokio::time::Instant;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

// ---- permits

/// A service that never answers, and counts.
fn hangs(called: Arc<AtomicUsize>) -> impl Service<u32, Response = u32, Error = Infallible, Future: Send> + Clone {
    service_fn(move |_| {
        called.fetch_add(1, Relaxed);
        pending()
    })
}

fn echo() -> impl Service<u32, Response = u32, Error = io::Error, Future = Ready<io::Result<u32>>> + Clone {
    service_fn(|n| ready(Ok(n)))
}

fn one_at_a_time() -> Settings {
    Settings::new().concurrency(Concurrency::new(1)).rate(Rate::per_second(1).burst(2).max_wait(Duration::ZERO))
}

#[tokio::test(start_paused = true)]
async fn services_that_are_ready_and_never_called_keep_nobody_waiting() {
    let policy = forever(&one_at_a_time());
    let service = GuardLayer::new(policy).errors_only().layer(echo());
    let mut parked: Vec<_> = (0..1_000).map(|_| service.clone()).collect();
    for service in &mut parked {
        service.ready().await.unwrap();
    }
    // Nor do calls whose futures nobody polls.
    let _unpolled: Vec<_> = parked.iter_mut().map(|service| service.call(1)).collect();
    assert_eq!((policy.snapshot().tokens, policy.snapshot().in_flight), (Some(2), Some(0)));
    let start = Instant::now();
    service.clone().oneshot(1).await.unwrap();
    service.oneshot(2).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_gives_back_what_it_has_whatever_it_waits_for() {
    async fn check<S>(policy: &Policy, service: S, called: &AtomicUsize)
    where
        S: Service<u32, Response = u32, Error: std::fmt::Debug> + Clone,
    {
        let runs = tokio::time::timeout(Duration::from_secs(1), service.clone().oneshot(1));
        let waits = tokio::time::timeout(Duration::from_millis(500), service.clone().oneshot(2));
        let (runs, waits) = tokio::join!(runs, waits);
        assert!(runs.is_err() && waits.is_err());
        assert_eq!(called.load(Relaxed), 1, "the one that waited has sent nothing");
        let snapshot = policy.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.waiting, snapshot.tokens), (Some(0), 0, Some(1)));
        assert_eq!((snapshot.outcomes.abandoned, snapshot.waits), (1, 1));
    }
    let settings = Settings::new().concurrency(Concurrency::new(1)).rate(Rate::per_hour(1).burst(2));
    let called = Arc::<AtomicUsize>::default();
    let fixed = forever(&settings);
    check(fixed, GuardLayer::new(fixed).errors_only().layer(hangs(called.clone())), &called).await;
    let called = Arc::<AtomicUsize>::default();
    let shared = policy(&settings);
    check(&shared, GuardLayer::new(shared.clone()).errors_only().layer(hangs(called.clone())), &called).await;
}

/// Calls of every kind that are dropped at every moment, in a random order: nothing is left in the policy.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_thousand_calls_that_end_at_random() {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |n: u64| {
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        dice.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    };
    let settings = Settings::new()
        .concurrency(Concurrency::new(3))
        .rate(Rate::per_second(50).burst(5))
        .breaker(Breaker::consecutive(6).recovery(Duration::from_millis(10)))
        .attempt_timeout(Duration::from_millis(60))
        .retries(retries(2));
    let policy = forever(&settings);
    let running = Arc::<AtomicUsize>::default();
    let counted = running.clone();
    let service = service_fn(move |(takes, fails): (u64, bool)| {
        let running = counted.clone();
        async move {
            let _one = Running::begin(running);
            tokio::time::sleep(Duration::from_millis(takes)).await;
            if fails { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(takes) }
        }
    });
    let service = GuardLayer::new(policy).errors_only().retrying_if(|_: &(u64, bool)| true).layer(service);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let call = service.clone().oneshot((below(80), below(3) == 0));
        let patience = Duration::from_millis(below(300));
        calls.spawn(tokio::time::timeout(patience, call));
        tokio::time::sleep(Duration::from_millis(below(30))).await;
    }
    let (mut left, mut good, mut bad) = (0, 0, 0);
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            Err(_) => left += 1,
            Ok(Ok(_)) => good += 1,
            Ok(Err(_)) => bad += 1,
        }
    }
    assert!(left > 100 && good > 100 && bad > 50, "{left} left, {good} good, {bad} bad");
    let snapshot = policy.snapshot();
    assert_eq!((running.load(Relaxed), snapshot.in_flight, snapshot.waiting), (0, Some(0), 0));
    assert!(snapshot.retries > 50 && snapshot.timed_out > 20 && snapshot.rejections.circuit_open > 20, "{snapshot}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(policy.snapshot().tokens, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_even_where_somebody_catches_it() {
    let policy = forever(&Settings::new().breaker(Breaker::consecutive(2)).concurrency(Concurrency::new(1)));
    let service = service_fn(|n: u32| async move { if n == 0 { panic!("by the service") } else { io::Result::Ok(n) } });
    let service = GuardLayer::new(policy).errors_only().layer(service);
    for failures in 1..=2 {
        let mut call = Box::pin(service.clone().oneshot(0));
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        let poll = std::panic::AssertUnwindSafe(|| call.as_mut().poll(cx).is_ready());
        assert!(std::panic::catch_unwind(poll).is_err());
        // While the future is still there.
        assert_eq!((policy.snapshot().in_flight, policy.snapshot().outcomes.abandoned), (Some(0), failures));
    }
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
}

/// Never more than three at a time.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: Arc<AtomicUsize>) -> Running {
        assert!(running.fetch_add(1, Relaxed) < 3, "the limit of attempts in flight");
        Running(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

// ---- readiness

/// A service of which each clone has to get ready for each call, and that fails the first calls.
struct Strict {
    is_ready: bool,
    failures: Arc<AtomicUsize>,
    /// The readiness of clones: `None` never comes.
    clones: Option<Result<(), io::ErrorKind>>,
    own: Option<Result<(), io::ErrorKind>>,
}

impl Strict {
    fn failing(failures: usize, clones: Option<Result<(), io::ErrorKind>>) -> Strict {
        Strict { is_ready: false, failures: Arc::new(failures.into()), clones, own: Some(Ok(())) }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Strict {
        Strict { is_ready: false, failures: self.failures.clone(), clones: self.clones, own: self.clones }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = io::Error;
    type Future = Ready<io::Result<u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.own {
            None => Poll::Pending,
            Some(Err(kind)) => Poll::Ready(Err(kind.into())),
            Some(Ok(())) => {
                self.is_ready = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, n: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        let fails = self.failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        ready(if fails { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(n) })
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_service_that_was_ready_is_called() {
    let policy = forever(&Settings::new().retries(retries(3)));
    let layer = GuardLayer::new(policy).errors_only().retrying_if(|_: &u32| true);
    let mut service = layer.layer(Strict::failing(2, Some(Ok(()))));
    for n in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    assert_eq!(policy.snapshot().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_passes_through() {
    let mut broken = Strict::failing(0, None);
    broken.own = Some(Err(io::ErrorKind::BrokenPipe));
    let policy = forever(&Settings::new());
    let mut service = GuardLayer::new(policy).errors_only().layer(broken);
    let error = service.ready().await.map(drop).unwrap_err();
    let kind = error.into_call().map(|error| error.kind());
    assert_eq!((kind, policy.snapshot().calls), (Some(io::ErrorKind::BrokenPipe), 0));
}

#[tokio::test(start_paused = true)]
async fn a_spare_service_that_cannot_get_ready_is_the_attempts_failure() {
    let policy = forever(&Settings::new().retries(retries(2)));
    let broken = Strict::failing(1, Some(Err(io::ErrorKind::BrokenPipe)));
    let mut service = GuardLayer::new(policy).errors_only().retrying_if(|_: &u32| true).layer(broken);
    let error = service.ready().await.unwrap().call(1).await.unwrap_err();
    let is_as_said =
        matches!(&error, Error::Call { source, attempts: 3 } if source.kind() == io::ErrorKind::BrokenPipe);
    assert!(is_as_said, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spare_service_that_never_gets_ready_is_left_at_the_timeout() {
    let policy = forever(&Settings::new().retries(retries(1)).timeout(Duration::from_secs(5)));
    let mut service = GuardLayer::new(policy).errors_only().retrying_if(|_: &u32| true).layer(Strict::failing(1, None));
    let start = Instant::now();
    let rejected = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(Rejected::TimedOut { .. })), "{rejected:?}");
    assert!((5_000..=5_002).contains(&ms_since(start)), "{} ms", ms_since(start));
}

// ---- keys, verdicts, errors

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_and_a_breaker_of_its_own() {
    async fn check<S: Service<u32, Response = u32, Error = Error<io::Error>> + Clone>(service: S) {
        let call = |n| service.clone().oneshot(n);
        for key in [10, 20] {
            assert_eq!(call(key).await.unwrap(), key);
            assert_eq!(call(key + 1).await.unwrap(), key + 1);
            let rejected = call(key).await.unwrap_err();
            assert!(matches!(rejected, Error::Rejected(Rejected::RateLimited { .. })), "{rejected:?}");
        }
        for _ in 0..2 {
            call(9).await.unwrap_err();
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let rejected = call(9).await.unwrap_err();
        assert!(matches!(rejected, Error::Rejected(Rejected::CircuitOpen { .. })), "{rejected:?}");
        assert_eq!(call(11).await.unwrap(), 11);
    }
    let settings = Settings::new()
        .rate(Rate::per_second(1).burst(2).max_wait(Duration::ZERO))
        .breaker(Breaker::consecutive(2).recovery(Duration::from_secs(3_600)));
    let tens = |n: &u32| n / 10;
    let fails_below_ten =
        service_fn(|n: u32| ready(if n < 10 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(n) }));
    check(GuardLayer::new(forever(&settings)).errors_only().keyed_by(tens).layer(fails_below_ten)).await;
    check(GuardLayer::new(policy(&settings)).errors_only().keyed_by(tens).layer(fails_below_ten)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_waits_is_served_in_its_turn() {
    let policy = forever(&Settings::new().rate(Rate::per_second(10)).retries(retries(1)));
    let layer = GuardLayer::new(policy).errors_only().keyed_by(|n: &u32| n % 2).retrying_if(|_: &u32| true);
    let service = layer.layer(echo());
    let start = Instant::now();
    let calls: Vec<_> = (0..10).map(|n| tokio::spawn(service.clone().oneshot(n))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!((400..=402).contains(&ms_since(start)), "{} ms for 4 intervals of 100 ms", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_what_it_costs_of_its_keys_limit() {
    let policy = forever(&Settings::new().rate(Rate::per_hour(1).burst(10).max_wait(Duration::ZERO)));
    let layer = GuardLayer::new(policy).errors_only().keyed_by(|n: &u32| n / 100).cost(|n: &u32| n % 100);
    let service = layer.layer(echo());
    let call = |n| service.clone().oneshot(n);
    for (request, is_admitted) in [(6, true), (5, false), (4, true), (1, false), (110, true), (101, false), (0, true)] {
        assert_eq!(call(request).await.is_ok(), is_admitted, "{request}");
    }
    let never = call(211).await.unwrap_err();
    assert!(matches!(never, Error::Rejected(Rejected::CostTooHigh { cost: 11, burst: 10, .. })), "{never:?}");
}

#[tokio::test(start_paused = true)]
async fn a_function_says_what_an_outcome_means() {
    let policy = forever(&Settings::new().breaker(Breaker::consecutive(2)).retries(retries(5)));
    let verdict = |outcome: &io::Result<u32>| match outcome {
        Ok(0) => Verdict::Failure,
        Ok(_) => Verdict::Success,
        Err(_) => Verdict::Permanent,
    };
    let service = GuardLayer::new(policy).classify(verdict).retrying_if(|_: &u32| true).layer(echo());
    for _ in 0..2 {
        assert_eq!(service.clone().oneshot(0).await.unwrap(), 0);
    }
    assert_eq!((policy.snapshot().retries, policy.snapshot().breaker), (0, Some(BreakerState::Open)));
}

#[tokio::test(start_paused = true)]
async fn boxed_errors_are_judged_by_what_they_hold() {
    let policy = forever(&Settings::new().retries(retries(2)));
    let called = Arc::<AtomicUsize>::default();
    let counted = called.clone();
    // Transient in a box, permanent in a box: tower's own layers box their errors.
    let fails = service_fn(move |kind: io::ErrorKind| {
        counted.fetch_add(1, Relaxed);
        ready(Err::<Response<()>, _>(io::Error::from(kind)))
    });
    let service = ServiceBuilder::new()
        .layer(GuardLayer::new(policy).retrying_if(|_: &io::ErrorKind| true).box_errors())
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(fails);
    for (kind, attempts) in [(io::ErrorKind::ConnectionReset, 3), (io::ErrorKind::PermissionDenied, 1)] {
        let before = called.load(Relaxed);
        let error: BoxError = service.clone().oneshot(kind).await.unwrap_err();
        assert_eq!(error.downcast_ref().map(io::Error::kind), Some(kind));
        assert_eq!(called.load(Relaxed) - before, attempts, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn boxed_errors_go_on_as_they_are_where_a_stack_boxes_all_errors() {
    let settings = Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO));
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_secs(9)))
        .layer(GuardLayer::new(forever(&settings)).errors_only().box_errors())
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(hangs(Arc::default()));
    let error: BoxError = service.clone().oneshot(1).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error:?}");
    let error: BoxError = service.oneshot(1).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(Rejected::RateLimited { .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_the_attempt_is_known_in_the_service_and_what_it_observes_is_heard() {
    let policy = forever(&Settings::new().rate(Rate::per_second(100).burst(10)).retries(retries(2)));
    let service = service_fn(|()| {
        let in_the_call = attempt();
        async move {
            tokio::task::yield_now().await;
            assert_eq!((in_the_call, attempt()), (attempt(), in_the_call));
            let remaining = Response::builder().header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "5");
            observe(&remaining.body(()).unwrap());
            if attempt() < 3 { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(attempt()) }
        }
    });
    let service = GuardLayer::new(policy).errors_only().retrying_if(|()| true).layer(service);
    let start = Instant::now();
    assert_eq!(service.oneshot(()).await.unwrap(), 3);
    assert!(ms_since(start) >= 10_000, "{} ms: it was told twice to wait 5 s", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_settings_holds_for_layers_that_are_there() {
    let policy = forever(&Settings::new());
    let service = GuardLayer::new(policy).errors_only().layer(echo());
    service.clone().oneshot(1).await.unwrap();
    policy.force_open();
    assert!(service.clone().oneshot(1).await.unwrap_err().rejected().is_some());
    policy.reset();
    policy.configure(Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO))).unwrap();
    service.clone().oneshot(1).await.unwrap();
    let rejected = service.oneshot(1).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(Rejected::RateLimited { .. })), "{rejected:?}");
}

// ---- in tasks

apiguard::policy! {
    static IN_A_TASK = (retries(1, base = "1ms"), name = "tower_services.in_a_task");
}

/// As calls are written in practice: in an async function whose future is spawned, or boxed.
async fn called_in_a_task(request: u32) -> Result<u32, Error<io::Error>> {
    let service = service_fn(async |request: u32| Ok::<_, io::Error>(request + 1));
    GuardLayer::new(&IN_A_TASK).errors_only().layer(service).oneshot(request).await
}

#[tokio::test]
async fn a_call_under_a_static_policy_can_be_awaited_in_a_task() {
    assert_eq!(tokio::spawn(called_in_a_task(6)).await.unwrap().unwrap(), 7);
}
