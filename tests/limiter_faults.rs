//! Faults that limiters in the field have, each with the figure that ours must have. The numbers are those of the project's list of
//! faults; L08, L09 and L10 are beside the code (`scale`, `histories`, `keys`), L12 in `limiter/tests`.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apiguard::{
    Breaker, Concurrency, Error, Policy, Quota, Rate, Rejected, Retry, Settings, TokenBucket, Verdict, Window,
};
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(86_400);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn bucket(rate: Rate) -> Arc<TokenBucket> {
    Arc::new(TokenBucket::with_rate(rate.max_wait(365 * DAY)).unwrap())
}

fn policy(settings: &Settings) -> Arc<Policy> {
    Arc::new(Policy::builder("faults").settings(*settings).build().unwrap())
}

/// xorshift64*: Vigna, 2016.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n as u64) as usize
    }
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// L01: waiters that are dropped in any order while others end and grants race, on eight threads: no place and no permit is lost or
/// given twice.
#[test]
fn l01_no_permit_is_lost_or_given_twice_when_waiters_are_dropped_in_any_order() {
    let settings = Settings::new().concurrency(Concurrency::new(10).max_wait(DAY));
    for seed in 1..=40 {
        let policy = policy(&settings);
        let (running, most, ended) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (policy, running, most, ended) = (&policy, &running, &most, &ended);
                scope.spawn(move || {
                    let mut dice = Dice(seed * 8 + thread + 1);
                    let call = || {
                        Box::pin(policy.call(async || {
                            most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                            // Runs until it is polled again, and ends or is dropped.
                            let held = Held(running);
                            YieldOnce(false).await;
                            drop(held);
                            ended.fetch_add(1, Relaxed);
                            Ok::<_, std::io::Error>(())
                        }))
                    };
                    let mut calls: Vec<_> = (0..150).map(|_| call()).collect();
                    while !calls.is_empty() {
                        let index = dice.below(calls.len());
                        if dice.below(3) == 0 || poll(&mut calls[index]).is_ready() {
                            drop(calls.swap_remove(index));
                        }
                    }
                });
            }
        });
        assert!(most.load(Relaxed) <= 10, "seed {seed}: {most:?} at a time");
        let snapshot = policy.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.waiting), (Some(0), 0), "seed {seed}");
        assert!(ended.load(Relaxed) > 0);
    }
}

struct Held<'a>(&'a AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// L02: two hundred wait, then others come: nobody overtakes.
#[tokio::test(start_paused = true)]
async fn l02_newcomers_overtake_nobody() {
    let bucket = bucket(Rate::per_second(100));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..400 {
        if number >= 200 {
            tokio::time::sleep(ms(3)).await;
            assert!(bucket.try_acquire(1).is_err(), "a newcomer");
        }
        let (bucket, order) = (bucket.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            bucket.acquire(1).await.unwrap();
            order.lock().unwrap().push(number);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
}

/// L03: ten of ten tokens beside four greedy callers are had within the time of a full bucket and the queue; five equal greedy callers
/// have equal shares.
#[tokio::test(start_paused = true)]
async fn l03_a_large_request_is_served_beside_greedy_small_ones_and_shares_are_equal() {
    let limit = bucket(Rate::per_second(100).burst(10));
    let greedy = |bucket: Arc<TokenBucket>, count: Arc<AtomicUsize>| {
        tokio::spawn(async move {
            loop {
                bucket.acquire(1).await.unwrap();
                count.fetch_add(1, Relaxed);
            }
        })
    };
    let counts: Vec<_> = (0..5).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let tasks: Vec<_> = counts.iter().map(|count| greedy(limit.clone(), count.clone())).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..10 {
        let start = Instant::now();
        limit.acquire(10).await.unwrap();
        assert!(start.elapsed() <= ms(160), "{:?}", start.elapsed());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let counts: Vec<usize> = counts.iter().map(|count| count.load(Relaxed)).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(least * 100 >= most * 95, "{counts:?}");
}

struct Counted<F>(Pin<Box<F>>, Arc<AtomicUsize>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Relaxed);
        self.0.as_mut().poll(cx)
    }
}

/// L04: a grant wakes one: at most three polls for each, whether a thousand wait or a hundred thousand.
#[tokio::test(start_paused = true)]
async fn l04_a_grant_does_not_wake_the_others() {
    for waiters in [1_000, 100_000] {
        let bucket = bucket(Rate::per_second(waiters));
        let polls = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..waiters)
            .map(|_| {
                let bucket = bucket.clone();
                let wait = Box::pin(async move { bucket.acquire(1).await });
                tokio::spawn(Counted(wait, polls.clone()))
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let polls = polls.load(Relaxed);
        assert!(polls <= 3 * waiters as usize, "{polls} polls for {waiters}");
    }
}

/// L05: "10/s" by a quota: never more than 10 in any half-open second, whatever the arrivals. A bucket's bound is burst + rate x t.
#[tokio::test(start_paused = true)]
async fn l05_no_window_holds_more_than_the_quota_and_no_time_more_than_the_bucket() {
    let mut dice = Dice(5);
    let (window, bucket) = (Window::new(10, Duration::from_secs(1)).unwrap(), TokenBucket::new(10, 10).unwrap());
    let (mut by_window, mut by_bucket) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for _ in 0..20_000 {
        let pause = [0, 0, 1, 7, 90, 100, 101, 999, 1_000][dice.below(9)];
        tokio::time::advance(ms(pause)).await;
        let now = start.elapsed().as_millis() as u64;
        by_window.extend(window.try_acquire(1).is_ok().then_some(now));
        by_bucket.extend(bucket.try_acquire(1).is_ok().then_some(now));
    }
    for (index, from) in by_window.iter().enumerate() {
        let inside = by_window[index..].iter().take_while(|at| **at < from + 1_000).count();
        assert!(inside <= 10, "{inside} in a second");
    }
    for (first, from) in by_bucket.iter().enumerate() {
        for (more, at) in by_bucket[first..].iter().enumerate().take(40) {
            assert!(more as u64 * 1_000 <= 9_000 + 10 * (at - from), "{} in {} ms", more + 1, at - from);
        }
    }
}

/// L06: idle time earns no more than the burst, be it an hour or ten years.
#[tokio::test(start_paused = true)]
async fn l06_idle_time_earns_no_more_than_the_burst() {
    let bucket = bucket(Rate::per_second(10).burst(7));
    for idle in [Duration::from_secs(3_600), 365 * DAY, 3_650 * DAY] {
        while bucket.try_acquire(1).is_ok() {}
        tokio::time::advance(idle).await;
        let taken = (0..100).filter(|_| bucket.try_acquire(1).is_ok()).count();
        assert_eq!(taken, 7, "after {idle:?}");
    }
}

/// L07: one waiter has 98 to 100 % of the rate, though timers end on whole milliseconds.
#[tokio::test(start_paused = true)]
async fn l07_one_waiter_has_the_whole_rate() {
    for rate in [1, 1_000, 10_000] {
        let bucket = bucket(Rate::per_second(rate));
        let start = Instant::now();
        for _ in 0..=10 * rate {
            bucket.acquire(1).await.unwrap();
        }
        let took = start.elapsed();
        assert!(took >= ms(9_998) && took <= ms(10_200), "{took:?} for ten seconds of {rate}/s");
    }
}

/// L11: two hundred thousand callers of 1/s with a patience of 10 s: all but ten are refused at once.
#[tokio::test(start_paused = true)]
async fn l11_what_cannot_be_served_in_time_is_refused_at_once() {
    let policy = policy(&Settings::new().rate(Rate::per_second(1).max_wait(Duration::from_secs(10))));
    let start = Instant::now();
    let mut waiting = Vec::new();
    for _ in 0..200_000 {
        let mut call = Box::pin(policy.call(async || Ok::<_, std::io::Error>(())));
        if poll(&mut call).is_pending() {
            waiting.push(call);
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.rejections.rate_limited, snapshot.waiting), (199_989, 10));
    assert_eq!(waiting.len(), 10);
}

/// L13: no setting that makes no sense is taken, and none panics.
#[test]
fn l13_bad_settings_are_errors_that_name_the_setting() {
    let times = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX, 366 * DAY];
    let mut bad = vec![
        (Settings::new().rate(Rate::per_second(0)), "rate"),
        (Settings::new().rate(Rate::new(u32::MAX, Duration::from_nanos(1))), "rate"),
        (Settings::new().rate(Rate::per_second(1).burst(0)), "rate.burst"),
        (Settings::new().rate(Rate::per_second(1).burst(u32::MAX)), "rate.burst"),
        (Settings::new().quota(Quota::per_second(0)), "quota"),
        (Settings::new().concurrency(Concurrency::new(0)), "concurrency"),
        (Settings::new().breaker(Breaker::consecutive(0)), "breaker"),
        (Settings::new().breaker(Breaker::consecutive(1).probes(u32::MAX)), "breaker.probes"),
    ];
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, -1.0, 5e-324, 0.0, 1e308] {
        bad.push((Settings::new().retries(Retry::new(1).factor(number)), "retries.factor"));
    }
    for time in times {
        bad.push((Settings::new().breaker(Breaker::consecutive(1).recovery(time)), "breaker.recovery"));
        bad.push((Settings::new().timeout(time), "timeout"));
        bad.push((Settings::new().attempt_timeout(time), "attempt_timeout"));
        if time != Duration::from_nanos(1) {
            bad.push((Settings::new().rate(Rate::new(1, time)), "rate"));
        }
        bad.push((Settings::new().quota(Quota::new(1, time)), "quota"));
    }
    for (settings, field) in bad {
        let invalid = Policy::builder("bad").settings(settings).build().map(|_| ()).expect_err(field);
        let problem = invalid.problems()[0];
        assert_eq!(problem.field().name(), field, "{problem}");
        assert!(problem.to_string().contains("; write") || problem.to_string().contains("write"), "{problem}");
    }
}

/// L15: a cost of nothing costs nothing; one above the burst is never admitted, and says so.
#[tokio::test(start_paused = true)]
async fn l15_never_is_another_answer_than_later() {
    let bucket = bucket(Rate::per_second(1).burst(10));
    for _ in 0..1_000 {
        bucket.try_acquire(0).unwrap();
        bucket.acquire(0).await.unwrap();
    }
    assert_eq!(bucket.available(), 10);
    for cost in [11, 1_000, u32::MAX] {
        let never = bucket.acquire(cost).await.unwrap_err();
        assert!(matches!(never, apiguard::Refused::Never { burst: 10, .. }), "{never}");
    }
    bucket.try_acquire(10).unwrap();
    let later = bucket.try_acquire(10).unwrap_err();
    assert!(
        matches!(later, apiguard::Refused::NotYet { retry_after } if retry_after == Duration::from_secs(10)),
        "{later}"
    );
}

/// L16: of several limits all are taken or none: a million refusals by one burn nothing of the others.
#[tokio::test(start_paused = true)]
async fn l16_a_refusal_by_one_limit_burns_nothing_of_another() {
    let no_wait = Duration::ZERO;
    let settings = Settings::new()
        .rate(Rate::per_second(1_000).burst(1_000).max_wait(no_wait))
        .quota(Quota::per_minute(5).max_wait(no_wait))
        .and_quota(Quota::per_hour(1_000_000).max_wait(no_wait))
        .concurrency(Concurrency::new(3).max_wait(no_wait));
    let policy = policy(&settings);
    let call = async || Ok::<_, std::io::Error>(());
    for _ in 0..5 {
        policy.call(call).await.unwrap();
    }
    for _ in 0..100_000 {
        let refused = policy.call(call).await.unwrap_err();
        assert!(matches!(refused, Error::Rejected(Rejected::RateLimited { .. })));
    }
    policy.configure(Settings::new().rate(Rate::per_second(1_000).burst(1_000).max_wait(no_wait))).unwrap();
    assert_eq!(policy.snapshot().tokens, Some(995));
}

#[derive(Debug, thiserror::Error)]
#[error("busy")]
struct Busy;

/// L17: a server's word reaches a thousand who wait: nothing is sent before its end, and no burst after it; a hostile one is capped.
#[tokio::test(start_paused = true)]
async fn l17_a_pause_is_kept_by_all_who_wait_and_ends_without_a_burst() {
    let wait = Duration::from_secs(3 * 3_600);
    let settings = Settings::new().rate(Rate::per_second(100).burst(50).max_wait(wait)).timeout(DAY);
    for (asked, kept) in [(Duration::from_secs(30), 30_000), (Duration::MAX, 3_600_000)] {
        let policy = policy(&settings);
        let throttled = |_: &Result<(), Busy>| Verdict::Throttled { retry_after: Some(asked) };
        policy.call_with(throttled, async || Err::<(), _>(Busy)).await.unwrap_err();
        let start = Instant::now();
        let calls: Vec<_> = (0..1_000)
            .map(|_| {
                let policy = policy.clone();
                tokio::spawn(async move {
                    policy.call(async || Ok::<_, std::io::Error>(())).await.unwrap();
                    start.elapsed().as_millis()
                })
            })
            .collect();
        let mut times = Vec::new();
        for call in calls {
            times.push(call.await.unwrap());
        }
        times.sort_unstable();
        assert!(times[0] >= kept && times[0] <= kept + 2, "{}", times[0]);
        for (index, time) in times.iter().enumerate() {
            let ideal = kept + index as u128 * 10;
            assert!(*time + 2 >= ideal && *time <= ideal + 3, "{time} for {ideal}");
        }
    }
}
