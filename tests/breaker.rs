//! The breaker as a user sees it: what opens it, what does not, how long it stays open.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{Breaker, BreakerState, Error, Policy, Rejected, Retry, Settings, Verdict, guarded, registry};
use tokio::time::{advance, sleep, timeout};

fn policy(breaker: Breaker) -> Policy {
    Policy::builder("breaker").breaker(breaker).build().unwrap()
}

/// Opens at half of the calls in 30 s, of at least four; open for 10 s.
fn windowed() -> Breaker {
    Breaker::failure_rate(0.5).min_calls(4).recovery(secs(10)).recovery_jitter(0.0)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn state(policy: &Policy) -> Option<BreakerState> {
    policy.snapshot().breaker
}

async fn good(policy: &Policy) {
    policy.call(async || Ok::<_, io::Error>(())).await.unwrap();
}

async fn bad(policy: &Policy) {
    policy.call(async || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset))).await.unwrap_err();
}

async fn judged(policy: &Policy, verdict: Verdict) {
    let _ = policy.call_with(|_: &Result<(), io::Error>| verdict, async || Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn b05_an_outage_after_hours_of_health_opens_it_within_the_window() {
    let policy = policy(windowed());
    for _ in 0..20_000 {
        good(&policy).await;
        advance(Duration::from_millis(500)).await;
    }
    let mut failures = 0;
    while state(&policy) == Some(BreakerState::Closed) {
        bad(&policy).await;
        advance(Duration::from_millis(500)).await;
        failures += 1;
    }
    assert!((28..=31).contains(&failures), "half of the 60 calls in a window: {failures}");
}

#[tokio::test(start_paused = true)]
async fn b05b_four_failures_of_five_open_it_though_never_many_in_a_row() {
    let policy = policy(Breaker::failure_rate(0.5).window_calls(100));
    let mut calls = 0;
    while state(&policy) == Some(BreakerState::Closed) {
        if calls % 5 == 4 {
            good(&policy).await;
        } else {
            bad(&policy).await;
        }
        calls += 1;
    }
    assert_eq!(calls, 20);
}

#[tokio::test(start_paused = true)]
async fn b07_calls_that_their_callers_give_up_at_once_are_no_failures() {
    let policy = policy(windowed().min_calls(1).slow_call(secs(2)));
    for _ in 0..10 {
        let hang = policy.call(async || std::future::pending::<Result<(), io::Error>>().await);
        timeout(Duration::from_millis(1), hang).await.unwrap_err();
    }
    assert_eq!(state(&policy), Some(BreakerState::Closed));
    // B08: given up on later than a slow call takes, it was slow.
    let hang = policy.call(async || std::future::pending::<Result<(), io::Error>>().await);
    timeout(secs(2), hang).await.unwrap_err();
    assert_eq!(state(&policy), Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn b08_a_black_hole_that_ends_by_timeouts_opens_it() {
    let settings = Settings::new().breaker(windowed().window_calls(20).min_calls(10)).timeout(secs(1));
    let policy = Policy::builder("black hole").settings(settings).build().unwrap();
    for calls in 1..=10 {
        let hang = policy.call(async || std::future::pending::<Result<(), io::Error>>().await);
        assert!(matches!(hang.await.unwrap_err(), Error::Rejected(Rejected::TimedOut { .. })), "{calls}");
    }
    assert_eq!(state(&policy), Some(BreakerState::Open));
}

static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[guarded(
    name = "breaker.unit",
    retries(3, base = "10ms"),
    breaker(failure_rate = "100%", window = 5, min_calls = 5, recovery = "1h")
)]
async fn unit() -> Result<(), Error<io::Error>> {
    REQUESTS.fetch_add(1, Relaxed);
    Err(io::Error::from(io::ErrorKind::ConnectionReset))
}

#[tokio::test(start_paused = true)]
async fn b12_the_unit_is_the_attempt_and_a_call_ends_when_it_opens() {
    unit().await.unwrap_err();
    let last = unit().await.unwrap_err();
    assert!(matches!(last, Error::Call { attempts: 1, .. }), "the fifth attempt was the last: {last:?}");
    assert_eq!(REQUESTS.load(Relaxed), 5);
    assert_eq!(state(registry().get("breaker.unit").unwrap()), Some(BreakerState::Open));
    assert!(matches!(unit().await.unwrap_err(), Error::Rejected(Rejected::CircuitOpen { .. })));
}

#[tokio::test(start_paused = true)]
async fn b13_outcomes_that_say_nothing_free_the_probes_place() {
    let policy = policy(windowed());
    for _ in 0..4 {
        bad(&policy).await;
    }
    advance(secs(11)).await;
    for n in 0..100 {
        let verdict = if n % 2 == 0 { Verdict::Permanent } else { Verdict::Throttled { retry_after: None } };
        judged(&policy, verdict).await;
        assert_eq!(state(&policy), Some(BreakerState::HalfOpen));
    }
    good(&policy).await;
    good(&policy).await;
    assert_eq!(state(&policy), Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn b15_calls_that_fly_through_a_reset_or_other_settings_do_not_count() {
    let policy = policy(windowed());
    let fly = async |change: &dyn Fn()| {
        let calls = (0..1_000).map(|_| {
            policy.call(async || {
                sleep(secs(1)).await;
                Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset))
            })
        });
        let mut calls: Vec<_> = calls.map(Box::pin).collect();
        for call in &mut calls {
            assert!(timeout(Duration::ZERO, call).await.is_err());
        }
        change();
        for call in calls {
            call.await.unwrap_err();
        }
    };
    let configure = |breaker| policy.configure(policy.settings().breaker(breaker)).unwrap();
    fly(&|| policy.reset()).await;
    assert_eq!(state(&policy), Some(BreakerState::Closed));
    fly(&|| configure(Breaker::consecutive(3))).await;
    assert_eq!(state(&policy), Some(BreakerState::Closed), "from a window to failures in a row");
    fly(&|| configure(windowed().window_calls(10))).await;
    assert_eq!(state(&policy), Some(BreakerState::Closed), "and back");
    fly(&|| policy.force_closed()).await;
    policy.reset();
    assert_eq!(state(&policy), Some(BreakerState::Closed));
    fly(&|| ()).await;
    assert_eq!(state(&policy), Some(BreakerState::Open), "without a change they count");
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_though_they_succeed() {
    let policy = policy(Breaker::slow_calls(secs(2)).slow_rate(0.8).min_calls(5));
    for call in 1..=5 {
        let time = if call == 1 { secs(1) } else { secs(2) };
        policy
            .call(async || {
                sleep(time).await;
                Ok::<_, io::Error>(())
            })
            .await
            .unwrap();
    }
    assert_eq!(state(&policy), Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_to_come_back_holds_it_open_until_then() {
    let retry_after = async |policy: &Policy| match policy.call(async || Ok::<_, io::Error>(())).await {
        Err(Error::Rejected(Rejected::CircuitOpen { retry_after, .. })) => retry_after.as_secs(),
        other => panic!("{other:?}"),
    };
    let wait = |time| Verdict::Transient { retry_after: Some(time) };
    for breaker in [Breaker::consecutive(1).recovery(secs(10)).recovery_jitter(0.0), windowed().min_calls(1)] {
        let policy = policy(breaker);
        judged(&policy, wait(secs(120))).await;
        assert_eq!(retry_after(&policy).await, 120);
        advance(secs(121)).await;
        judged(&policy, wait(Duration::MAX)).await;
        assert_eq!(retry_after(&policy).await, 3_600, "an hour at most");
        advance(secs(3_601)).await;
        judged(&policy, wait(secs(5))).await;
        assert_eq!(retry_after(&policy).await, 10, "the recovery is longer");
    }
}

#[tokio::test(start_paused = true)]
async fn the_recovery_grows_while_the_service_stays_down() {
    let growing = Breaker::consecutive(1).recovery(secs(10)).recovery_jitter(0.0).recovery_cap(secs(30));
    let policy = policy(growing.successes(1));
    for recovery in [10, 20, 30, 30] {
        bad(&policy).await;
        advance(secs(recovery - 1)).await;
        assert_eq!(state(&policy), Some(BreakerState::Open), "{recovery}");
        advance(secs(1) + Duration::from_millis(1)).await;
        assert_eq!(state(&policy), Some(BreakerState::HalfOpen), "{recovery}");
    }
    good(&policy).await;
    advance(secs(30)).await;
    bad(&policy).await;
    advance(secs(10) + Duration::from_millis(1)).await;
    assert_eq!(state(&policy), Some(BreakerState::HalfOpen), "it was well for as long as it was open");
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_window_of_its_own_as_long_as_it_says_anything() {
    let policy = policy(windowed());
    let call = async |key: u32, fails: bool| {
        let result = policy
            .call_keyed(
                &key,
                async || {
                    if fails { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(()) }
                },
            )
            .await;
        matches!(result, Err(Error::Rejected(_)))
    };
    for _ in 0..4 {
        call(1, true).await;
        call(2, false).await;
    }
    assert!(call(1, false).await && !call(2, false).await);
    // A thousand keys that are not called any more make room for others.
    for key in 0..1_000 {
        call(key, false).await;
    }
    advance(secs(60)).await;
    for key in 1_000..3_000 {
        call(key, false).await;
        advance(secs(1)).await;
    }
    assert!(policy.snapshot().keys < 500, "{} keys", policy.snapshot().keys);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_a_window_would_refuse_is_not_made() {
    let settings = Settings::new().breaker(windowed().min_calls(2)).retries(Retry::new(5).base(secs(1)));
    let policy = Policy::builder("retries").settings(settings).build().unwrap();
    let mut attempts = 0;
    let failing = async || {
        attempts += 1;
        Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    policy.call(failing).await.unwrap_err();
    assert_eq!(attempts, 2);
}
