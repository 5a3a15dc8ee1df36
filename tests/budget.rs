//! The retry budget: how much is sent when nothing works, when some things do, and through guards in guards.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{Budget, Error, Policy, Retry, Settings, guarded, registry};

type Answer = Result<u32, Error<io::Error>>;

fn down() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn policy(settings: &Settings) -> Policy {
    Policy::builder("budgeted").settings(*settings).build().unwrap()
}

/// Calls one after another, each `period` after the one before; how many requests were sent, by whether the service works.
async fn sent(policy: &Policy, calls: u32, period: Duration, works: impl Fn(u32) -> bool) -> u32 {
    let sent = AtomicU32::new(0);
    for _ in 0..calls {
        let one = policy.call(async || if works(sent.fetch_add(1, Relaxed)) { Ok(1) } else { Err(down()) });
        // Callers do not wait for each other: the pauses of a call are not time for the next ones.
        let ((), _) = tokio::join!(tokio::time::sleep(period), one);
    }
    sent.load(Relaxed)
}

fn retries() -> Settings {
    Settings::new().retries(Retry::new(3).base(Duration::from_millis(1)).cap(Duration::from_millis(2)))
}

#[tokio::test(start_paused = true)]
async fn in_a_total_outage_hardly_more_than_the_calls_is_sent() {
    let policy = policy(&retries());
    let sent = sent(&policy, 1_000, Duration::from_millis(10), |_| false).await;
    assert_eq!(sent, 1_010, "the reserve");
    let snapshot = policy.snapshot();
    assert_eq!(snapshot.retry_budget, Some(0));
    assert!(snapshot.over_budget > 900, "{snapshot:?}");
    // An hour later the reserve is back.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(policy.snapshot().retry_budget, Some(10));
}

#[tokio::test(start_paused = true)]
async fn while_most_of_it_works_every_failure_is_retried() {
    let policy = policy(&retries());
    // One request in ten fails.
    let sent = sent(&policy, 2_000, Duration::from_millis(1), |request| request % 10 != 0).await;
    assert!((2_200..=2_230).contains(&sent), "{sent}");
    assert_eq!(policy.snapshot().over_budget, 0);
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_bounded_by_what_works() {
    let policy = policy(&retries());
    // Two requests in three fail.
    let sent = sent(&policy, 3_000, Duration::from_millis(1), |request| request % 3 == 0).await;
    assert!((3_100..=3_600).contains(&sent), "{sent}: at most a fifth more");
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_one_retries_as_often_as_its_calls_ask() {
    let policy = policy(&Settings::new().retries(Retry::new(3).budget(Budget::Off).base(Duration::from_millis(1))));
    assert_eq!(sent(&policy, 100, Duration::ZERO, |_| false).await, 400);
    assert_eq!(policy.snapshot().retry_budget, None);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_retried_comes_back_as_it_is() {
    let policy = policy(&retries());
    sent(&policy, 100, Duration::ZERO, |_| false).await;
    let error = policy.call(async || Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe))).await.unwrap_err();
    assert!(matches!(error, Error::Call { source, attempts: 1 } if source.kind() == io::ErrorKind::BrokenPipe));
}

static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[guarded(retries(3, base = "1ms", cap = "1ms"))]
async fn inner() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    REQUESTS.fetch_add(1, Relaxed);
    Err(down().into())
}

#[guarded(retries(3, base = "1ms", cap = "1ms"))]
async fn middle() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    inner().await
}

#[guarded(retries(3, base = "1ms", cap = "1ms"))]
async fn outer() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    middle().await
}

/// Boxes hide from the outer guards what the inner ones have done: without budgets each call would be 64 requests.
#[tokio::test(start_paused = true)]
async fn three_guards_in_one_another_do_not_multiply() {
    for _ in 0..1_000 {
        outer().await.unwrap_err();
    }
    let sent = REQUESTS.load(Relaxed);
    assert!(sent <= 1_100, "{sent} requests for 1000 calls");
}

apiguard::policy! {
    static SHARED = (retries(3, base = "1ms", cap = "1ms", budget = "50%"), name = "budget.shared");
}

#[guarded(policy = SHARED)]
async fn one() -> Answer {
    Err(down())
}

#[guarded(policy = SHARED)]
async fn other() -> Answer {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_policy_shares_its_budget() {
    for _ in 0..10 {
        one().await.unwrap_err();
    }
    assert_eq!(registry().get("budget.shared").unwrap().snapshot().retry_budget, Some(0));
    for _ in 0..7 {
        other().await.unwrap();
    }
    assert_eq!(SHARED.snapshot().retry_budget, Some(3));
    let before = SHARED.snapshot().retries;
    one().await.unwrap_err();
    assert_eq!(SHARED.snapshot().retries - before, 3);
}
