//! A policy in shadow: calls run as if there were no guard, and what it would have done is counted and reported.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::{
    Breaker, BreakerState, Concurrency, Error, EventKind, Jitter, Policy, PolicyBuilder, Quota, Rate, Rejected, Retry,
    Settings, Snapshot, Unenforced, guarded, registry,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn shadow(build: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    build(Policy::builder("shadow")).shadow(true).build().unwrap()
}

fn unenforced(policy: &Policy) -> (u64, u64, u64) {
    let Unenforced { rejected, delayed, retried, .. } = policy.snapshot().shadow;
    (rejected, delayed, retried)
}

async fn good(policy: &Policy) -> Result<(), Error<io::Error>> {
    policy.call(async || Ok(())).await
}

async fn slow(policy: &Policy, takes: Duration) -> Result<(), Error<io::Error>> {
    let body = async || {
        sleep(takes).await;
        Ok(())
    };
    policy.call(body).await
}

async fn bad(policy: &Policy) -> Error<io::Error> {
    policy.call(async || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset))).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn calls_over_a_rate_run_at_once_and_the_waits_that_they_would_have_had_are_reported() {
    let policy = shadow(|policy| policy.rate(Rate::per_second(1).max_wait(secs(3))));
    let (mut events, start) = (policy.subscribe(), Instant::now());
    for _ in 0..6 {
        good(&policy).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    // The first is let through; those that follow would have waited 1, 2 and 3 s, and the others too long.
    assert_eq!(unenforced(&policy), (2, 3, 0));
    let mut waits = Vec::new();
    while let Some(event) = events.try_recv() {
        assert!(event.shadow, "{event}");
        match event.kind {
            EventKind::Waited { wait, .. } => waits.push(wait.as_millis()),
            EventKind::Rejected { rejected: Rejected::RateLimited { retry_after, .. }, .. } => {
                assert!(retry_after > secs(3), "{retry_after:?}");
            }
            kind => unreachable!("{kind:?}"),
        }
    }
    assert_eq!(waits, [1_000, 2_000, 3_000]);
    let Snapshot { rejections, calls, waits, .. } = policy.snapshot();
    assert_eq!((rejections.total(), calls, waits), (0, 6, 0), "nothing of it has happened");
}

#[tokio::test(start_paused = true)]
async fn as_much_as_the_rate_allows_is_not_reported_however_long_it_runs() {
    let policy = shadow(|policy| policy.rate(Rate::per_second(10)).quota(Quota::per_minute(700)));
    for _ in 0..1_200 {
        good(&policy).await.unwrap();
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(unenforced(&policy), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_over_a_quota_or_above_the_attempts_in_flight_run() {
    let policy = shadow(|policy| policy.quota(Quota::per_hour(2).max_wait(Duration::ZERO)));
    for _ in 0..5 {
        good(&policy).await.unwrap();
    }
    assert_eq!(unenforced(&policy), (3, 0, 0));

    let policy = shadow(|policy| policy.concurrency(Concurrency::new(2)));
    let call = || slow(&policy, secs(1));
    let start = Instant::now();
    let (a, b, c) = tokio::join!(call(), call(), call());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(start.elapsed(), secs(1));
    assert_eq!(unenforced(&policy), (1, 0, 0));
    assert_eq!(policy.snapshot().in_flight, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_everything_through_and_closes_by_its_probes() {
    let breaker = Breaker::consecutive(2).recovery(secs(10)).recovery_jitter(0.0).successes(1);
    let policy = shadow(|policy| policy.breaker(breaker));
    for _ in 0..5 {
        assert!(matches!(bad(&policy).await, Error::Call { .. }));
    }
    assert_eq!(unenforced(&policy), (3, 0, 0), "the last three would have been rejected");
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
    // What it would not have let through says nothing: these good calls do not close it.
    good(&policy).await.unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
    advance(Duration::from_millis(10_001)).await;
    good(&policy).await.unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Closed));
    assert_eq!(unenforced(&policy), (4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn neither_retries_nor_timeouts_nor_a_forced_breaker_change_a_call() {
    let policy = shadow(|policy| {
        policy.retries(Retry::new(3)).timeout(secs(5)).attempt_timeout(secs(2)).breaker(Breaker::consecutive(5))
    });
    let start = Instant::now();
    assert!(matches!(bad(&policy).await, Error::Call { attempts: 1, .. }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(unenforced(&policy), (0, 0, 1), "the retry is reported");
    slow(&policy, secs(60)).await.unwrap();
    policy.force_open();
    good(&policy).await.unwrap();
    assert_eq!(unenforced(&policy), (1, 0, 1));
}

#[guarded(name = "shadow.attribute", rate("1/h", max_wait = "0s"), retries = 2, timeout = "1500ms", shadow = true)]
async fn attribute(works: bool) -> Result<u32, Error<io::Error>> {
    sleep(secs(2)).await;
    if works { Ok(1) } else { Err(io::ErrorKind::ConnectionReset.into()) }
}

apiguard::policy! {
    static SHARED = (rate("1/h", max_wait = "0s"), shadow = true, name = "shadow.shared");
}

#[guarded(policy = SHARED, timeout = "1s", attempt_timeout = "500ms", key = tenant)]
async fn shared(tenant: u32) -> Result<u32, Error<io::Error>> {
    sleep(secs(2)).await;
    Ok(tenant)
}

#[tokio::test(start_paused = true)]
async fn the_attribute_can_say_so_and_a_shared_policy_and_keys() {
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(attribute(true).await.unwrap(), 1);
    }
    attribute(false).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(8), "four attempts");
    assert_eq!(unenforced(registry().get("shadow.attribute").unwrap()).0, 3);

    for tenant in [1, 1, 2, 1] {
        assert_eq!(shared(tenant).await.unwrap(), tenant);
    }
    assert_eq!(unenforced(registry().get("shadow.shared").unwrap()).0, 2);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_while_the_policy_runs() {
    let settings = Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO)).timeout(secs(1));
    let policy = Policy::builder("switched").settings(settings).build().unwrap();
    good(&policy).await.unwrap();
    assert!(good(&policy).await.is_err());
    policy.configure(settings.shadow(true)).unwrap();
    good(&policy).await.unwrap();
    slow(&policy, secs(2)).await.unwrap();
    assert!(policy.snapshot().to_string().contains("in shadow, would have rejected 2"), "{}", policy.snapshot());
    policy.configure(settings).unwrap();
    assert!(good(&policy).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_a_policy_begins_to_watch_waits_no_longer() {
    let settings = Settings::new()
        .rate(Rate::per_hour(1).max_wait(secs(50_000)))
        .timeout(secs(100_000))
        .breaker(Breaker::consecutive(1).recovery(secs(9_000)));
    let policy = Arc::new(Policy::builder("let go").settings(settings).build().unwrap());
    let keyed = async |policy: Arc<Policy>, key: u32| policy.call_keyed(&key, async || Ok::<_, io::Error>(())).await;
    good(&policy).await.unwrap();
    keyed(policy.clone(), 1).await.unwrap();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let (one, other) = (policy.clone(), policy.clone());
        calls.spawn(async move { good(&one).await });
        calls.spawn(keyed(other, 1));
    }
    sleep(secs(1)).await;
    assert_eq!(policy.snapshot().waiting, 5);
    // The one whose turn comes first would find the breaker open, too.
    policy.force_open();
    policy.configure(settings.shadow(true)).unwrap();
    while let Some(ended) = calls.join_next().await {
        ended.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), secs(1));
    let Snapshot { waiting, rejections, .. } = policy.snapshot();
    assert_eq!((waiting, rejections.total(), unenforced(&policy)), (0, 0, (10, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn who_was_granted_its_turn_when_a_policy_begins_to_watch_has_no_end_either() {
    let policy = Policy::builder("shadow").rate(Rate::per_second(1)).timeout(secs(10)).build().unwrap();
    good(&policy).await.unwrap();
    let mut waiting = Box::pin(slow(&policy, secs(60)));
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
    advance(secs(1)).await;
    // Another one finds that its turn has come, and it does not look yet.
    assert!(timeout(Duration::ZERO, good(&policy)).await.is_err());
    policy.configure(policy.settings().shadow(true)).unwrap();
    waiting.await.unwrap();
    assert_eq!((policy.snapshot().calls, unenforced(&policy)), (2, (0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_policy_begins_to_watch_during_its_retries_has_no_end() {
    let retries = Retry::new(2).base(secs(4)).jitter(Jitter::None);
    let settings = Settings::new().timeout(secs(10)).retries(retries);
    let policy = Policy::builder("no end").settings(settings).build().unwrap();
    let mut attempts = 0;
    let body = async || {
        attempts += 1;
        if attempts == 1 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        sleep(secs(60)).await;
        Ok(())
    };
    let switch = async {
        sleep(secs(1)).await;
        policy.configure(settings.shadow(true)).unwrap();
    };
    let (ended, ()) = tokio::join!(policy.call(body), switch);
    ended.unwrap();
}

/// What every call has used: the first takes ten tokens, and gives nine of them back.
fn used(_: &Result<(), io::Error>) -> u32 {
    1
}

#[guarded(name = "shadow.settled", rate("1/h", burst = 10, max_wait = "0s"), cost = 10, settle = used, shadow = true)]
async fn settled() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_would_have_been_rejected_took_nothing_and_gives_nothing_back() {
    let policy = registry().get("shadow.settled").unwrap();
    for rejected in 0..4 {
        settled().await.unwrap();
        let Snapshot { tokens, shadow, .. } = policy.snapshot();
        assert_eq!((tokens, shadow.rejected), (Some(9), rejected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_timeout_would_not_allow_is_reported_as_a_rejection() {
    let settings = Settings::new().rate(Rate::per_second(1)).timeout(secs(5));
    let crowd = async |settings: Settings| {
        let policy = Arc::new(Policy::builder("crowd").settings(settings).build().unwrap());
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            let policy = policy.clone();
            calls.spawn(async move { good(&policy).await });
        }
        calls.join_all().await;
        policy.snapshot()
    };
    let (real, watched) = (crowd(settings).await, crowd(settings.shadow(true)).await);
    assert_eq!(real.rejections.rate_limited, 7);
    assert_eq!((watched.shadow.rejected, watched.shadow.delayed), (7, real.waits));
}
