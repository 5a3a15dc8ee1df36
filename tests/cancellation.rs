//! A call that is dropped at any point, or whose body panics, leaves nothing behind.

#![allow(clippy::panic, clippy::unwrap_used)] // in helpers, which are not tests themselves

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apiguard::{Breaker, BreakerState, Error, Policy, Rate, Retry, Settings, guarded};
use tokio::time::{Instant, advance};

type Outcome = Result<u32, Error<std::io::Error>>;

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn reset() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

/// Each attempt fails after three waits of its own.
async fn attempt() -> Result<u32, std::io::Error> {
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(reset())
}

fn policy(settings: &Settings) -> Policy {
    Policy::builder("test").settings(*settings).build().unwrap()
}

#[guarded(policy = policy)]
async fn by_attribute(policy: &Policy) -> Outcome {
    attempt().await
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Closure,
    Attribute,
}

/// Polls a call, letting time pass between the polls, and drops it after `polls` of them. Whether it ended before.
async fn dropped_after(policy: &Policy, way: Way, polls: usize) -> bool {
    let mut call: Pin<Box<dyn Future<Output = Outcome>>> = match way {
        Way::Closure => Box::pin(policy.call(attempt)),
        Way::Attribute => Box::pin(by_attribute(policy)),
    };
    for _ in 0..polls {
        if poll(call.as_mut()).is_ready() {
            return true;
        }
        advance(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_point_keeps_no_place_and_no_token_that_it_did_not_use() {
    for way in [Way::Closure, Way::Attribute] {
        for polls in 0.. {
            let retries = Retry::new(2).base(Duration::from_millis(10));
            let policy = policy(&Settings::new().rate(Rate::per_second(10)).retries(retries));
            let start = Instant::now();
            // Somebody else has the token: the call begins with a wait.
            policy.call(async || Ok::<_, std::io::Error>(1)).await.unwrap();
            let ended = dropped_after(&policy, way, polls).await;
            let snapshot = policy.snapshot();
            assert_eq!(snapshot.waiting, 0, "{way:?} after {polls} polls");
            // Every attempt that ran has used its token, and no other token is gone: the next one comes when it should.
            // Each turn that this test looks at 5 ms late moves the next ones by the 3 ms that are not made up.
            let used = u32::try_from(snapshot.attempts()).unwrap();
            let ideal = (Duration::from_millis(100) * used).max(start.elapsed());
            policy.call(async || Ok::<_, std::io::Error>(1)).await.unwrap();
            let latest = ideal + Duration::from_millis(2) + Duration::from_millis(3) * used;
            let took = start.elapsed();
            assert!(took >= ideal && took <= latest, "{way:?} after {polls} polls: {took:?} for {ideal:?}");
            if ended {
                assert!(polls > 20, "the call has waited, run, paused and retried: {polls} polls");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_point_frees_its_place() {
    for (way, polls) in [Way::Closure, Way::Attribute].into_iter().flat_map(|way| (0..6).map(move |polls| (way, polls)))
    {
        let breaker = Breaker::consecutive(1).recovery(Duration::from_secs(10)).recovery_jitter(0.0);
        let policy = policy(&Settings::new().breaker(breaker));
        policy.call(async || Err::<u32, _>(reset())).await.unwrap_err();
        assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
        advance(Duration::from_secs(11)).await;
        assert!(!dropped_after(&policy, way, polls).await, "the probe takes 30 ms");
        // The place is free: two good probes close the breaker.
        for _ in 0..2 {
            policy.call(async || Ok::<_, std::io::Error>(1)).await.unwrap();
        }
        assert_eq!(policy.snapshot().breaker, Some(BreakerState::Closed), "{way:?} after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_their_callers_give_up_early_say_nothing_and_late_ones_are_failures() {
    let policy = policy(&Settings::new().breaker(Breaker::consecutive(3)));
    let hang = async |patience| {
        let call = policy.call(async || std::future::pending::<Result<u32, std::io::Error>>().await);
        tokio::time::timeout(patience, call).await.unwrap_err();
    };
    for _ in 0..10 {
        hang(Duration::from_millis(1)).await;
    }
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Closed));
    for _ in 0..3 {
        hang(Duration::from_secs(6)).await;
    }
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
    assert_eq!(policy.snapshot().outcomes.abandoned, 13);
}

#[guarded(
    name = "cancellation.panics",
    breaker(2, recovery = "10s", recovery_jitter = 0),
    retries = 3,
    rate("1000/s", burst = 10)
)]
async fn panics(really: bool) -> Outcome {
    tokio::task::yield_now().await;
    assert!(!really, "the body panics");
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_body_unwinds_on_and_counts_as_a_failure() {
    let snapshot = || apiguard::registry().get("cancellation.panics").unwrap().snapshot();
    for round in 1..=2 {
        let task = tokio::spawn(panics(true));
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(snapshot().outcomes.abandoned, round);
    }
    assert_eq!(snapshot().breaker, Some(BreakerState::Open));
    assert!(matches!(panics(false).await, Err(Error::Rejected(_))));
    // A probe that panics opens it again, and the place is free for the next one.
    advance(Duration::from_secs(11)).await;
    assert!(tokio::spawn(panics(true)).await.is_err());
    assert_eq!(snapshot().breaker, Some(BreakerState::Open));
    advance(Duration::from_secs(11)).await;
    panics(false).await.unwrap();
    panics(false).await.unwrap();
    assert_eq!(snapshot().breaker, Some(BreakerState::Closed));
}

#[test]
fn a_panic_outside_a_runtime_is_no_different() {
    let mut call = Box::pin(panics_at_once());
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| poll(call.as_mut())));
    assert!(result.is_err());
    drop(call);
    let snapshot = apiguard::registry().get("cancellation.at_once").unwrap().snapshot();
    assert_eq!((snapshot.outcomes.abandoned, snapshot.failures_in_a_row), (1, 1));
}

#[guarded(name = "cancellation.at_once", breaker = 5)]
#[allow(clippy::unused_async)]
async fn panics_at_once() -> Outcome {
    panic!("the body panics")
}
