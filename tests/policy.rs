//! Policies without the attribute: made at run time, called with a closure, inspected and forced.

#![allow(clippy::unwrap_used)] // in helpers, which are not tests themselves

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{
    Breaker, BreakerState, Classify, Error, Jitter, Policy, Rate, Rejected, Retry, Settings, Verdict, guarded, registry,
};
use tokio::time::Instant;

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_called_once_for_each_attempt_and_borrows_what_it_needs() {
    let policy = Policy::builder("closure").retries(Retry::new(3).base(Duration::from_millis(10))).build().unwrap();
    let text = String::from("tea");
    let mut attempts = Vec::new();
    let answer = policy
        .call(async || {
            attempts.push(text.as_str());
            tokio::task::yield_now().await;
            if attempts.len() < 3 { Err(reset()) } else { Ok(attempts.len()) }
        })
        .await;
    assert_eq!(answer.unwrap(), 3);
    assert_eq!(attempts, ["tea"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_says_how_often_it_was_tried_and_keeps_the_error() {
    let policy = Policy::builder("fails").retries(Retry::new(2).base(Duration::from_millis(10))).build().unwrap();
    match policy.call(async || Err::<(), _>(reset())).await {
        Err(Error::Call { source, attempts }) => {
            assert_eq!((source.kind(), attempts), (io::ErrorKind::ConnectionReset, 3));
        }
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_judged_by_a_function_when_there_is_one() {
    let policy = Policy::builder("judged").retries(Retry::new(2).base(Duration::from_millis(10))).build().unwrap();
    let mut attempts = 0;
    let classify = |outcome: &Result<u32, &str>| match outcome {
        Ok(0) => Verdict::TRANSIENT,
        Ok(_) => Verdict::Success,
        Err(_) => Verdict::Permanent,
    };
    let answer = policy.call_with(classify, async || {
        attempts += 1;
        Ok::<u32, &str>(0)
    });
    assert_eq!(answer.await.unwrap(), 0);
    assert_eq!(attempts, 3);
    policy.call_with(classify, async || Err("no")).await.unwrap_err();
    assert_eq!(policy.snapshot().outcomes.permanent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_ended_by_the_policys_timeouts() {
    let policy = Policy::builder("timed")
        .attempt_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(5))
        .retries(Retry::new(1).base(Duration::from_millis(100)))
        .build()
        .unwrap();
    let start = Instant::now();
    let hang = policy.call(async || std::future::pending::<Result<(), io::Error>>().await).await;
    assert!(matches!(hang, Err(Error::Rejected(Rejected::TimedOut { after, .. })) if after == Duration::from_secs(1)));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(2_100) && took <= Duration::from_millis(2_155), "{took:?}");
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.calls, snapshot.retries, snapshot.timed_out), (1, 1, 2));
}

#[test]
fn settings_out_of_range_make_no_policy_and_every_mistake_is_told() {
    let wrong = Policy::builder("wrong")
        .rate(Rate::per_second(0))
        .retries(Retry::new(3).factor(f64::NAN))
        .timeout(Duration::ZERO)
        .build()
        .unwrap_err();
    let told: Vec<_> = wrong.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`rate = \"0/s\"` never admits a call; write at least `1/s`",
            "`retries.factor` is outside 1..=1000000; write `2` to double each delay, or `1` to keep it",
            "`timeout = \"0s\"` is too short for a timer; write at least `1ms`",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_breaker_can_be_forced_and_reset() {
    let policy = Policy::builder("forced").breaker(Breaker::consecutive(1)).build().unwrap();
    let good = async || policy.call(async || Ok::<_, io::Error>(1)).await;
    policy.force_open();
    assert!(matches!(good().await, Err(Error::Rejected(Rejected::CircuitOpen { .. }))));
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::ForcedOpen));
    policy.force_closed();
    for _ in 0..3 {
        policy.call(async || Err::<u32, _>(reset())).await.unwrap_err();
    }
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::ForcedClosed));
    policy.reset();
    good().await.unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Closed));
}

apiguard::policy! {
    static ORDERS = (rate("10/s", burst = 3, max_wait = "0s"), breaker = 5, retries(2, base = "10ms"), name = "orders");
    static UNUSED = (timeout = "1s");
}

#[tokio::test(start_paused = true)]
async fn snapshots_name_every_policy_with_its_state_its_counters_and_its_settings() {
    ORDERS.call(async || Ok::<_, io::Error>(1)).await.unwrap();
    ORDERS.call(async || Err::<u32, _>(io::Error::from(io::ErrorKind::NotFound))).await.unwrap_err();
    let snapshots = registry().snapshots();
    let orders = snapshots.iter().find(|snapshot| snapshot.name == "orders").unwrap();
    assert_eq!((orders.calls, orders.attempts(), orders.retries), (2, 2, 0));
    assert_eq!((orders.outcomes.successes, orders.outcomes.permanent), (1, 1));
    assert_eq!((orders.tokens, orders.waiting), (Some(1), 0));
    assert_eq!(orders.breaker, Some(BreakerState::Closed));
    assert_eq!(orders.settings.rate_limit(), Some(&Rate::per_second(10).burst(3).max_wait(Duration::ZERO)));
    let shown = format!("{orders:#}");
    for part in [
        "orders: 2 calls",
        "2 attempts (1 good, 1 permanent)",
        "1 tokens",
        "breaker closed",
        "10/s, burst 3",
        "opens after 5",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown:?}");
    }
    let unused = snapshots.iter().find(|snapshot| snapshot.name == "policy::UNUSED").unwrap();
    assert_eq!((unused.calls, unused.tokens, unused.breaker), (0, None, None));
    assert_eq!(unused.settings, Settings::new().timeout(Duration::from_secs(1)));
    assert!(registry().get("nobody").is_none());
    assert_eq!(UNUSED.name(), "policy::UNUSED");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_while_a_call_waits_rejects_it_and_gives_its_token_back() {
    let policy = Policy::builder("waits").rate(Rate::per_second(1)).breaker(Breaker::consecutive(1)).build().unwrap();
    let slow_failure = policy.call(async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Err::<u32, _>(reset())
    });
    let waits = policy.call(async || Ok::<_, io::Error>(1));
    let start = Instant::now();
    let (failed, rejected) = tokio::join!(slow_failure, waits);
    assert!(matches!(failed, Err(Error::Call { attempts: 1, .. })));
    assert!(matches!(rejected, Err(Error::Rejected(Rejected::CircuitOpen { .. }))), "{rejected:?}");
    assert!(start.elapsed() >= Duration::from_secs(1), "it has waited for its turn");
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.waits, snapshot.tokens), (1, Some(1)));
}

/// Asks an overloaded policy (10/s, timeout 2 s, breaker 5) 15 times a second for a minute.
async fn overload(answer: impl AsyncFn() -> Result<u32, io::Error> + Copy + 'static) -> apiguard::Snapshot {
    let policy = std::rc::Rc::new(
        Policy::builder("overloaded")
            .rate(Rate::per_second(10))
            .timeout(Duration::from_secs(2))
            .breaker(Breaker::consecutive(5))
            .build()
            .unwrap(),
    );
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for _ in 0..900 {
                let policy = policy.clone();
                tokio::task::spawn_local(async move {
                    let _ = policy.call(async || answer().await).await;
                });
                tokio::time::sleep(Duration::from_micros(66_667)).await;
            }
        })
        .await;
    local.await;
    policy.snapshot()
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_policy_spends_its_rate_on_calls_that_can_end() {
    let snapshot = overload(async || {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(1)
    })
    .await;
    assert_eq!((snapshot.timed_out, snapshot.rejections.circuit_open), (0, 0), "{snapshot}");
    assert!(snapshot.outcomes.successes >= 600, "{snapshot}");
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_policy_still_notices_that_the_service_is_dead() {
    let snapshot = overload(async || std::future::pending().await).await;
    assert!(snapshot.rejections.circuit_open > 500, "{snapshot}");
    assert!(snapshot.attempts() < 60, "{snapshot}");
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let policy = Policy::builder("late").rate(Rate::per_second(1)).timeout(Duration::from_secs(2)).build().unwrap();
    policy.call(async || Ok::<_, io::Error>(1)).await.unwrap();
    let mut late = std::pin::pin!(policy.call(async || Ok::<_, io::Error>(2)));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(late.as_mut().poll(&mut cx).is_pending());
    // The runtime stands still for a minute.
    tokio::time::advance(Duration::from_secs(60)).await;
    let outcome = late.await;
    assert!(
        matches!(outcome, Err(Error::Rejected(Rejected::TimedOut { after, .. })) if after == Duration::from_secs(2))
    );
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.attempts(), snapshot.calls, snapshot.tokens), (1, 2, Some(1)), "its token is given back");
}

#[tokio::test(start_paused = true)]
async fn no_retry_begins_after_the_deadline() {
    let retries = Retry::new(1).jitter(Jitter::None);
    let policy = Policy::builder("late.retry").retries(retries).timeout(Duration::from_secs(2)).build().unwrap();
    let mut late = std::pin::pin!(policy.call(async || Err::<(), _>(reset())));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(late.as_mut().poll(&mut cx).is_pending(), "the pause before it");
    // The runtime stands still for a minute.
    tokio::time::advance(Duration::from_secs(60)).await;
    let outcome = late.await;
    assert!(
        matches!(outcome, Err(Error::Rejected(Rejected::TimedOut { after, .. })) if after == Duration::from_secs(2))
    );
    assert_eq!(policy.snapshot().attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_ends_with_its_call() {
    let policy = Policy::builder("hung.retry")
        .retries(Retry::new(3).jitter(Jitter::None))
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let start = Instant::now();
    let outcome = policy
        .call(async || if apiguard::attempt() == 1 { Err::<(), _>(reset()) } else { std::future::pending().await })
        .await;
    assert!(
        matches!(outcome, Err(Error::Rejected(Rejected::TimedOut { after, .. })) if after == Duration::from_secs(10))
    );
    assert!(start.elapsed() <= Duration::from_millis(10_005), "{:?}", start.elapsed());
}

/// What a server says of waiting.
#[derive(Debug)]
struct Later(Duration);

impl Classify for Later {
    fn classify(&self) -> Verdict {
        Verdict::Transient { retry_after: Some(self.0) }
    }
}

static ASKED: AtomicU32 = AtomicU32::new(0);

#[guarded(retries(1, jitter = "none", cap = "20s"))]
async fn later(asked: Duration) -> Result<(), Error<Later>> {
    ASKED.fetch_add(1, Relaxed);
    Err(Later(asked))
}

#[tokio::test(start_paused = true)]
async fn a_server_may_ask_for_as_long_a_delay_as_the_cap_and_no_longer() {
    let cap = Duration::from_secs(20);
    for (asked, attempts) in [(cap, 2), (cap + Duration::from_nanos(1), 1)] {
        later(asked).await.unwrap_err();
        assert_eq!(ASKED.swap(0, Relaxed), attempts, "{asked:?}");
    }
}

#[tokio::test]
async fn a_body_that_uses_up_tokios_budget_is_ended_all_the_same() {
    let policy = Policy::builder("busy").timeout(Duration::from_millis(20)).build().unwrap();
    // Real time, since paused time does not move under a busy task. The body ends by itself after a while, so that a
    // guard that does not end it fails the test instead of hanging it.
    let begun = std::time::Instant::now();
    let outcome = policy.call(async || {
        while begun.elapsed() < Duration::from_secs(3) {
            tokio::task::consume_budget().await;
        }
        Ok::<_, io::Error>(1)
    });
    assert!(matches!(outcome.await, Err(Error::Rejected(Rejected::TimedOut { .. }))));
}
