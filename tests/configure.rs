//! A policy whose settings change while it is used: nothing is forgotten, nothing counted twice, nobody left behind.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::sync::Arc;
use std::time::Duration;

use apiguard::{
    Breaker, BreakerState, Concurrency, Policy, Quota, Rate, Rejected, Retry, Settings, TokenBucket, Window, guarded,
    registry,
};
use tokio::time::Instant;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn policy(settings: &Settings) -> Arc<Policy> {
    Arc::new(Policy::builder("configured").settings(*settings).build().unwrap())
}

async fn call(policy: &Policy) -> Result<(), apiguard::Error<std::io::Error>> {
    policy.call(async || Ok(())).await
}

/// Calls that are made at once; when each began, in ms from now.
fn calls(policy: &Arc<Policy>, count: usize) -> Vec<tokio::task::JoinHandle<Option<u128>>> {
    let start = Instant::now();
    let one = |policy: Arc<Policy>| async move { call(&policy).await.ok().map(|()| start.elapsed().as_millis()) };
    (0..count).map(|_| tokio::spawn(one(policy.clone()))).collect()
}

async fn times(calls: Vec<tokio::task::JoinHandle<Option<u128>>>) -> Vec<Option<u128>> {
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await.unwrap());
    }
    times
}

fn rejected(error: apiguard::Error<std::io::Error>) -> Rejected {
    match error {
        apiguard::Error::Rejected(rejected) => rejected,
        apiguard::Error::Call { source, .. } => unreachable!("{source}"),
    }
}

const NO_WAIT: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn an_empty_bucket_stays_empty_and_a_full_one_full() {
    let policy = policy(&Settings::new().rate(Rate::per_second(10).burst(20).max_wait(NO_WAIT)));
    for _ in 0..20 {
        call(&policy).await.unwrap();
    }
    policy.configure(Settings::new().rate(Rate::per_second(1).burst(5).max_wait(NO_WAIT))).unwrap();
    let refused = rejected(call(&policy).await.unwrap_err());
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)), "not reset, and not overdrawn by the old burst");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(policy.snapshot().tokens, Some(5));
    policy.configure(Settings::new().rate(Rate::per_minute(600).burst(50).max_wait(NO_WAIT))).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(50), "it would have regained them: it was full for 55 s");
    call(&policy).await.unwrap();
    policy.configure(Settings::new().rate(Rate::per_minute(600).burst(60).max_wait(NO_WAIT))).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(49));
    policy.configure(Settings::new().rate(Rate::per_minute(600).burst(8).max_wait(NO_WAIT))).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_changes_give_no_token_twice() {
    let rate = |burst| Settings::new().rate(Rate::per_second(10).burst(burst).max_wait(NO_WAIT));
    let policy = policy(&rate(10));
    let start = Instant::now();
    let mut admitted = 0;
    for round in 0..1_000 {
        policy.configure(rate(10 - round % 2)).unwrap();
        admitted += u32::from(call(&policy).await.is_ok());
        tokio::time::advance(ms(1)).await;
    }
    assert!(admitted <= 10 + 10 * start.elapsed().as_millis() as u32 / 1_000 + 1, "{admitted}");
    assert!(admitted >= 18, "{admitted}: nothing is lost, either");
}

#[tokio::test(start_paused = true)]
async fn what_a_quota_has_seen_counts_under_another_one() {
    let quota = |count, window| Settings::new().quota(Quota::new(count, window).max_wait(NO_WAIT));
    let policy = policy(&quota(5, Duration::from_secs(60)));
    for _ in 0..4 {
        call(&policy).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    policy.configure(quota(6, Duration::from_secs(30))).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(2));
    policy.configure(quota(3, Duration::from_secs(30))).unwrap();
    let refused = rejected(call(&policy).await.unwrap_err());
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(20)), "four were taken 10 s ago");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(policy.snapshot().tokens, Some(3));
}

#[tokio::test(start_paused = true)]
async fn of_several_rates_each_begins_with_the_tokens_of_its_own() {
    for (minute, hour) in [(10, 12), (12, 10)] {
        let rates = |times| {
            let first = Settings::new().rate(Rate::per_second(1_000).burst(1_000).max_wait(NO_WAIT));
            let second = Rate::per_minute(times).burst(minute * times).max_wait(NO_WAIT);
            first.and_rate(second).and_rate(Rate::per_hour(times).burst(hour * times).max_wait(NO_WAIT))
        };
        let policy = policy(&rates(1));
        for _ in 0..4 {
            call(&policy).await.unwrap();
        }
        assert_eq!(policy.snapshot().tokens, Some(6));
        policy.configure(rates(10)).unwrap();
        assert_eq!(policy.snapshot().tokens, Some(6), "of {minute} a minute and {hour} an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_quotas_each_knows_what_one_has_seen_that_reaches_back_as_far() {
    let quotas = |long, short| {
        let long = Quota::new(long, Duration::from_secs(1)).max_wait(NO_WAIT);
        Settings::new().quota(long).and_quota(Quota::new(short, ms(100)).max_wait(NO_WAIT))
    };
    let policy = policy(&quotas(20, 50));
    for _ in 0..5 {
        call(&policy).await.unwrap();
    }
    tokio::time::advance(ms(200)).await;
    assert_eq!(policy.snapshot().tokens, Some(15));
    policy.configure(quotas(21, 51)).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(16), "the short one has forgotten what the long one has not");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_let_through_by_the_new_limits_in_their_order() {
    let rate = |rate: Rate| Settings::new().rate(rate.max_wait(Duration::from_secs(3_600)));
    let policy = policy(&rate(Rate::per_second(1)));
    call(&policy).await.unwrap();
    let waiting = calls(&policy, 20);
    tokio::time::sleep(ms(10)).await;
    assert_eq!(policy.snapshot().waiting, 20);
    policy.configure(rate(Rate::per_second(100))).unwrap();
    let times = times(waiting).await;
    let times: Vec<u128> = times.into_iter().map(Option::unwrap).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    assert!((200..=225).contains(&times[19]), "{times:?}");
    // And slower: whose patience is too short for it now is rejected when that is known.
    let waiting = calls(&policy, 3);
    tokio::task::yield_now().await;
    policy.configure(Settings::new().rate(Rate::per_hour(1))).unwrap();
    assert!(self::times(waiting).await.iter().filter(|time| time.is_none()).count() >= 2);
    assert_eq!(policy.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_than_there_will_be_is_rejected_and_holds_nobody_up() {
    let bucket = Arc::new(TokenBucket::new(10, 10).unwrap());
    bucket.try_acquire(10).unwrap();
    let start = Instant::now();
    let [large, small] = [8, 1].map(|cost| {
        let bucket = bucket.clone();
        tokio::spawn(async move { (bucket.acquire(cost).await, start.elapsed().as_millis()) })
    });
    tokio::time::sleep(ms(1)).await;
    bucket.configure(Rate::per_second(10).burst(5)).unwrap();
    let (refused, at) = large.await.unwrap();
    assert_eq!((refused.unwrap_err().to_string().as_str(), at), ("8 tokens are more than there ever are (5)", 1));
    let (granted, at) = small.await.unwrap();
    granted.unwrap();
    assert!((100..=102).contains(&at), "an empty bucket is empty, and no more: {at}");
}

#[tokio::test(start_paused = true)]
async fn limits_of_other_kinds_come_and_go() {
    let policy = policy(&Settings::new().rate(Rate::per_second(100).burst(100)));
    call(&policy).await.unwrap();
    policy
        .configure(
            Settings::new()
                .quota(Quota::new(2, Duration::from_secs(1)).max_wait(NO_WAIT))
                .concurrency(Concurrency::new(1).max_wait(NO_WAIT)),
        )
        .unwrap();
    let running = tokio::spawn({
        let policy = policy.clone();
        async move {
            policy
                .call(async || {
                    tokio::time::sleep(ms(300)).await;
                    Ok::<_, std::io::Error>(())
                })
                .await
        }
    });
    tokio::task::yield_now().await;
    assert!(matches!(rejected(call(&policy).await.unwrap_err()), Rejected::Saturated { .. }));
    assert_eq!(policy.snapshot().in_flight, Some(1));
    policy.configure(Settings::new()).unwrap();
    for _ in 0..100 {
        call(&policy).await.unwrap();
    }
    // Counted again from now on: the running attempt was let through when it was counted, but nobody counted since.
    policy.configure(Settings::new().concurrency(Concurrency::new(1).max_wait(NO_WAIT))).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(policy.snapshot().in_flight, Some(0));
    call(&policy).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retries_timeouts_and_the_breaker_follow() {
    let policy = policy(&Settings::new().timeout(ms(50)).breaker(Breaker::consecutive(2)));
    let slow = async || {
        tokio::time::sleep(ms(100)).await;
        Ok::<_, std::io::Error>(())
    };
    policy.call(slow).await.unwrap_err();
    let settings = policy.settings().timeout(ms(5_000)).retries(Retry::new(3));
    policy.configure(settings).unwrap();
    policy.call(slow).await.unwrap();
    let mut attempts = 0;
    let failing = async || {
        attempts += 1;
        Err::<(), _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    policy.configure(settings.timeout(Duration::from_secs(60))).unwrap();
    policy.call(failing).await.unwrap_err();
    assert_eq!((attempts, policy.snapshot().breaker), (2, Some(BreakerState::Open)), "the breaker ends the retries");
    policy.configure(settings.timeout(Duration::from_secs(90))).unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open), "its settings are the same");
    policy.configure(settings.breaker(Breaker::consecutive(9))).unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Closed));
    policy.force_open();
    policy.configure(Settings::new()).unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::ForcedOpen));
    assert!(call(&policy).await.is_err());
    policy.reset();
    call(&policy).await.unwrap();
    assert_eq!(policy.snapshot().breaker, None);
}

#[tokio::test(start_paused = true)]
async fn bad_settings_change_nothing() {
    let policy = policy(&Settings::new().rate(Rate::per_second(3)));
    let before = policy.settings();
    let wrong = policy.configure(Settings::new().rate(Rate::per_second(0)).timeout(NO_WAIT)).unwrap_err();
    assert_eq!(wrong.problems().len(), 2);
    assert_eq!(policy.settings(), before);
    let window = Window::new(1, ms(100)).unwrap();
    assert!(window.configure(Quota::new(0, ms(100))).is_err());
    window.try_acquire(1).unwrap();
    window.configure(Quota::new(3, ms(100))).unwrap();
    assert_eq!(window.available(), 2);
}

#[guarded(rate("1/h", max_wait = "0s"), key = tenant)]
async fn keyed(tenant: u32) -> Result<u32, apiguard::Error<std::io::Error>> {
    Ok(tenant)
}

#[tokio::test(start_paused = true)]
async fn keys_follow_those_that_are_there_and_those_that_come() {
    let policy = registry().get("configure::keyed").unwrap();
    keyed(1).await.unwrap();
    keyed(1).await.unwrap_err();
    policy.configure(Settings::new().rate(Rate::per_second(1).burst(3).max_wait(NO_WAIT))).unwrap();
    keyed(1).await.unwrap_err();
    for _ in 0..3 {
        keyed(2).await.unwrap();
    }
    keyed(2).await.unwrap_err();
    tokio::time::advance(Duration::from_secs(3)).await;
    keyed(1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_that_stay_lose_nothing_by_other_changes() {
    let settings = Settings::new().rate(Rate::per_second(1_000));
    let policy = policy(&settings);
    let start = Instant::now();
    let waiter = tokio::spawn({
        let policy = policy.clone();
        async move {
            for _ in 0..2_000 {
                call(&policy).await.unwrap();
            }
            start.elapsed()
        }
    });
    for change in 0..2_000 {
        policy.configure(settings.timeout(Duration::from_secs(60 + change % 2))).unwrap();
        tokio::time::sleep(ms(1)).await;
    }
    let took = waiter.await.unwrap();
    assert!(took <= ms(2_005), "{took:?} for 2000 calls at 1000/s");
}

/// A waker that changes the policy itself, as the code of an executor that runs woken tasks at once would.
struct Meddler(Arc<Policy>);

impl std::task::Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.0.reset();
        self.0.force_closed();
        self.0.configure(Settings::new()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_by_a_change_may_change_the_policy() {
    let policy = policy(&Settings::new().rate(Rate::per_hour(1).max_wait(Duration::from_secs(9_000))));
    call(&policy).await.unwrap();
    let mut waiting = Box::pin(call(&policy));
    let waker = std::task::Waker::from(Arc::new(Meddler(policy.clone())));
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    policy.configure(Settings::new().rate(Rate::per_second(1_000_000).burst(5))).unwrap();
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    assert_eq!(policy.settings(), Settings::new());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_timeout_is_taken_away_says_after_how_long_it_was_ended() {
    let settings = [Settings::new().attempt_timeout(ms(800)), Settings::new().timeout(ms(800))];
    for settings in settings {
        let policy = policy(&settings);
        let hang = policy.call(async || std::future::pending::<std::io::Result<()>>().await);
        let change = async {
            tokio::time::sleep(ms(100)).await;
            policy.configure(Settings::new()).unwrap();
        };
        let (ended, ()) = tokio::join!(hang, change);
        let Err(apiguard::Error::Rejected(Rejected::TimedOut { after, .. })) = ended else { unreachable!("{ended:?}") };
        assert_eq!(after, ms(800), "{settings}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_let_through_by_a_change_and_leaves_at_once_gives_its_tokens_back() {
    async fn waits(future: &mut (impl Future<Output: std::fmt::Debug> + Unpin)) {
        tokio::select! {
            biased;
            ended = future => unreachable!("{ended:?}"),
            () = std::future::ready(()) => {}
        }
    }

    let settings = |count| {
        Settings::new().rate(Rate::per_hour(count).burst(10)).concurrency(Concurrency::new(count)).timeout(ms(1_000))
    };
    let policy = policy(&settings(1));
    let mut runs = Box::pin(policy.call(async || std::future::pending::<Result<(), std::io::Error>>().await));
    waits(&mut runs).await;
    let mut other = Box::pin(call(&policy));
    waits(&mut other).await;
    assert_eq!(policy.snapshot().waiting, 1);
    policy.configure(settings(2)).unwrap();
    assert_eq!(
        (policy.snapshot().waiting, policy.snapshot().tokens),
        (0, Some(8)),
        "it has them, and has not been run"
    );
    drop(other);
    assert_eq!(policy.snapshot().tokens, Some(9));
}
