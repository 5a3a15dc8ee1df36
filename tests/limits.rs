//! Several limits of one policy: quotas, rates, attempts in flight, and a server that asks for a pause.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{Concurrency, Error, Policy, Quota, Rate, Rejected, Settings, Verdict, Window, guarded, registry};
use tokio::time::Instant;

type Answer = Result<u32, Error<std::io::Error>>;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn policy(name: &str) -> &'static Policy {
    registry().get(&format!("limits::{name}")).expect(name)
}

/// When each of some calls began, in ms from now: all of them are made at once.
async fn begun<F, C>(calls: u32, call: F) -> Vec<u128>
where
    F: Fn(Arc<std::sync::Mutex<Vec<u128>>>, Instant) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let (times, start) = (Arc::new(std::sync::Mutex::new(Vec::new())), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..calls {
        tasks.push(tokio::spawn(call(times.clone(), start)));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    times.lock().unwrap().clone()
}

/// The most in any half-open window.
fn most_in(times: &[u128], window: u128) -> usize {
    times.iter().map(|start| times.iter().filter(|time| (*start..start + window).contains(time)).count()).max().unwrap()
}

#[guarded(quota("5/1s", max_wait = "1h"))]
async fn five_in_a_second(times: Arc<std::sync::Mutex<Vec<u128>>>, start: Instant) -> Answer {
    times.lock().unwrap().push(start.elapsed().as_millis());
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_used_at_once_and_never_exceeded_in_any_window() {
    let times = begun(23, |times, start| async move {
        five_in_a_second(times, start).await.unwrap();
    })
    .await;
    assert_eq!(times[..5], [0; 5], "as fast as wanted");
    assert_eq!(most_in(&times, 1_000), 5);
    assert!(times[22] <= 4_008, "{times:?}");
}

#[guarded(rate = ["10/s", rate("20/10s", burst = 20)], quota = ["8/1s", "25/15s"])]
async fn several(times: Arc<std::sync::Mutex<Vec<u128>>>, start: Instant) -> Answer {
    times.lock().unwrap().push(start.elapsed().as_millis());
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn of_several_limits_all_hold_and_none_is_charged_for_a_refusal_by_another() {
    let times = begun(30, |times, start| async move {
        several(times, start).await.unwrap();
    })
    .await;
    // Timers of tokio end on the millisecond after.
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 98), "10/s: {times:?}");
    assert!(most_in(&times, 1_000) <= 8, "8/1s: {times:?}");
    assert!(most_in(&times, 15_000) <= 25, "25/15s: {times:?}");
    for (index, time) in times.iter().enumerate().skip(20) {
        let regained = (index as u128 + 1 - 20) * 500;
        assert!(*time + 2 >= regained, "20/10s: {times:?}");
    }
    // The last five wait for the longest window alone.
    assert!((15_000..=15_600).contains(times.last().unwrap()), "{times:?}");
}

#[test]
fn a_refusal_takes_nothing_of_any_limit() {
    let settings = Settings::new()
        .rate(Rate::per_second(1).burst(10).max_wait(Duration::ZERO))
        .quota(Quota::per_hour(3).max_wait(Duration::ZERO));
    let policy = Policy::builder("refusals").settings(settings).build().unwrap();
    let call = async || Ok::<_, std::io::Error>(());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            policy.call(call).await.unwrap();
        }
        for _ in 0..100 {
            let rejected = policy.call(call).await.unwrap_err();
            assert_eq!(rejected.retry_after(), Some(Duration::from_secs(3_600)));
        }
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(policy.snapshot().tokens, Some(3));
        policy.call(call).await.unwrap();
        assert_eq!(policy.snapshot().rejections.rate_limited, 100);
    });
}

#[guarded(concurrency = 3, retries(1, base = "500ms", jitter = "none"))]
async fn three_at_a_time(running: &AtomicU32, most: &AtomicU32, fails: bool) -> Answer {
    most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
    tokio::time::sleep(ms(100)).await;
    running.fetch_sub(1, Relaxed);
    if fails { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(1) }
}

#[tokio::test(start_paused = true)]
async fn attempts_in_flight_are_limited_and_a_pause_is_no_flight() {
    let counters: &'static (AtomicU32, AtomicU32) = Box::leak(Box::default());
    let start = Instant::now();
    let failing: Vec<_> =
        (0..3).map(|_| tokio::spawn(async { three_at_a_time(&counters.0, &counters.1, true).await })).collect();
    tokio::task::yield_now().await;
    // They run while the failed ones pause: from 100 ms to 200 ms, the fourth from there.
    let good: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(async move {
                three_at_a_time(&counters.0, &counters.1, false).await.unwrap();
                start.elapsed().as_millis()
            })
        })
        .collect();
    tokio::time::sleep(ms(50)).await;
    assert_eq!(policy("three_at_a_time").snapshot().in_flight, Some(3));
    let mut ended = Vec::new();
    for task in good {
        ended.push(task.await.unwrap());
    }
    assert!(ended[2] <= 205 && ended[3] <= 310, "{ended:?}");
    for task in failing {
        task.await.unwrap().unwrap_err();
    }
    assert_eq!((counters.1.load(Relaxed), policy("three_at_a_time").snapshot().in_flight), (3, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_full_policy_rejects_at_once_or_when_patience_ends_and_a_dropped_call_makes_room() {
    let saturated = |error: Error<std::io::Error>| matches!(error, Error::Rejected(Rejected::Saturated { .. }));
    for (wait, took) in [(ms(0), 0), (ms(200), 203)] {
        let settings = Settings::new().concurrency(Concurrency::new(1).max_wait(wait));
        let policy = Arc::new(Policy::builder("full").settings(settings).build().unwrap());
        let hung = tokio::spawn({
            let policy = policy.clone();
            async move { policy.call(async move || std::future::pending::<Result<(), std::io::Error>>().await).await }
        });
        tokio::task::yield_now().await;
        let start = Instant::now();
        assert!(saturated(policy.call(async || Ok(())).await.unwrap_err()));
        assert!(start.elapsed() <= ms(took) && start.elapsed() >= wait, "{:?}", start.elapsed());
        assert_eq!(policy.snapshot().rejections.saturated, 1);
        hung.abort();
        let _ = hung.await;
        policy.call(async || Ok::<_, std::io::Error>(())).await.unwrap();
    }
}

#[derive(Debug)]
struct Busy(u64);

impl apiguard::Classify for Busy {
    fn classify(&self) -> Verdict {
        Verdict::Throttled { retry_after: Some(Duration::from_secs(self.0)) }
    }
}

#[guarded(rate("10/s", burst = 5, max_wait = "1h"))]
async fn paced(busy: u64) -> Result<u32, Error<Busy>> {
    if busy > 0 { Err(Busy(busy)) } else { Ok(1) }
}

#[tokio::test(start_paused = true)]
async fn a_server_s_word_pauses_every_caller_and_ends_without_a_burst() {
    // Six come before: the burst is used, and one waits already.
    let start = Instant::now();
    for _ in 0..4 {
        paced(0).await.unwrap();
    }
    let waiting: Vec<_> = (0..6)
        .map(|index| {
            tokio::spawn(async move {
                let _ = paced(if index == 0 { 20 } else { 0 }).await;
                start.elapsed().as_millis()
            })
        })
        .collect();
    let mut ended = Vec::new();
    for task in waiting {
        ended.push(task.await.unwrap());
    }
    assert!(ended[0] <= 2, "{ended:?}");
    // One at the server's instant, the others as the rate regains.
    for (index, time) in ended[1..].iter().enumerate() {
        let ideal = 20_000 + index as u128 * 100;
        assert!((ideal..=ideal + 3).contains(time), "{ended:?}");
    }
    // A shorter pause does not shorten a longer one, and none is longer than an hour.
    let _ = paced(u64::MAX).await;
    let from = Instant::now();
    let late = tokio::spawn(async move { paced(1).await.map_err(|_| ()) });
    let _ = late.await.unwrap();
    assert!((3_600_000..3_600_003).contains(&from.elapsed().as_millis()), "{:?}", from.elapsed());
    let _ = paced(300).await;
    policy("paced").reset();
    let from = Instant::now();
    paced(0).await.unwrap();
    assert!(from.elapsed() <= ms(102), "{:?}", from.elapsed());
}

#[guarded(rate("10/s", burst = 5), max_pause = "0s")]
async fn deaf(busy: u64) -> Result<u32, Error<Busy>> {
    if busy > 0 { Err(Busy(busy)) } else { Ok(1) }
}

#[guarded(rate("10/s", burst = 5), max_pause = "2s")]
async fn impatient(busy: u64) -> Result<u32, Error<Busy>> {
    if busy > 0 { Err(Busy(busy)) } else { Ok(1) }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_no_longer_than_the_policy_lets_it_be() {
    let start = Instant::now();
    let _ = deaf(100).await;
    deaf(0).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let _ = impatient(100).await;
    impatient(0).await.unwrap();
    assert!((2_000..2_003).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[guarded(timeout = "1h")]
async fn without_limits(busy: u64) -> Result<u32, Error<Busy>> {
    if busy > 0 { Err(Busy(busy)) } else { Ok(1) }
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_limits_pauses_too_and_rejects_what_would_wait_too_long() {
    let _ = without_limits(10).await;
    let start = Instant::now();
    without_limits(0).await.unwrap();
    assert!((10_000..10_003).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let _ = without_limits(31).await;
    let rejected = without_limits(0).await.unwrap_err();
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(31)));
    tokio::time::advance(Duration::from_secs(31)).await;
    without_limits(0).await.unwrap();
}

fn used<E>(outcome: &Result<u32, E>) -> u32 {
    *outcome.as_ref().unwrap_or(&0)
}

#[guarded(rate("10/s", burst = 100, max_wait = "1h"), quota = "1000/h", cost = 40, settle = used)]
async fn tokens(count: u32) -> Answer {
    if count == 0 { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(count) }
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_has_used_is_settled_with_the_limits() {
    let left = || policy("tokens").snapshot().tokens.unwrap();
    tokens(40).await.unwrap();
    assert_eq!(left(), 60);
    tokens(10).await.unwrap();
    assert_eq!(left(), 50, "30 of 40 came back");
    tokens(0).await.unwrap_err();
    assert_eq!(left(), 50, "an outcome can be free");
    let start = Instant::now();
    tokens(100).await.unwrap();
    assert_eq!(left(), 0);
    tokens(40).await.unwrap();
    // 50 were there, 100 were used: the 50 that are missing are waited for before the 40.
    let waited = start.elapsed().as_millis();
    assert!((9_000..=9_003).contains(&waited), "{waited}");
}

#[guarded(rate("10/s", burst = 100, max_wait = "2h"), settle = used)]
async fn hostile(count: u32) -> Answer {
    Ok(count)
}

#[tokio::test(start_paused = true)]
async fn a_charge_holds_the_others_back_for_an_hour_at_most() {
    hostile(u32::MAX).await.unwrap();
    let start = Instant::now();
    hostile(1).await.unwrap();
    let waited = start.elapsed().as_secs();
    assert!((3_590..=3_600).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn charges_do_not_add_up_to_more_than_that() {
    let calls: Vec<_> = (0..5).map(|_| tokio::spawn(heavy())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let start = Instant::now();
    heavy().await.unwrap();
    // An hour, then its own token, and the 10 ms that it runs.
    assert!(start.elapsed() <= Duration::from_millis(3_600_112), "{:?}", start.elapsed());
}

#[guarded(rate("10/s", burst = 100, max_wait = "9h"), settle = used)]
async fn heavy() -> Answer {
    tokio::time::sleep(ms(10)).await;
    Ok(u32::MAX)
}

#[guarded(quota("10/1s", max_wait = "5s"), cost = cost, settle = used)]
async fn counted(cost: u32, spent: u32) -> Answer {
    tokio::time::sleep(ms(100)).await;
    Ok(spent)
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_of_the_call_s_own_tokens_however_late_its_task_ran() {
    let poll = |future: std::pin::Pin<&mut (dyn Future<Output = Answer> + Send)>| {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    };
    let left = || policy("counted").snapshot().tokens.unwrap();
    counted(10, 10).await.unwrap();
    let mut late = Box::pin(counted(5, 1));
    assert!(poll(late.as_mut()).is_pending());
    // Another call's look grants to the one that waits, whose task runs 30 ms later.
    tokio::time::advance(ms(900)).await;
    let other = tokio::spawn(counted(5, 5));
    tokio::task::yield_now().await;
    tokio::time::advance(ms(30)).await;
    late.await.unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(left(), 4);
    // The four come back with the others of their own window, and no earlier than the five of the other one.
    tokio::time::advance(ms(2_000)).await;
    assert_eq!(left(), 10);
}

#[guarded(rate("1/s", burst = 100, max_wait = "9h"), cost = 20, settle = unused)]
async fn answers(delay: u64, busy: u64) -> Result<u32, Error<Busy>> {
    tokio::time::sleep(ms(delay)).await;
    if busy > 0 { Err(Busy(busy)) } else { Ok(1) }
}

fn unused<E>(_: &Result<u32, E>) -> u32 {
    0
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_in_a_pause_is_not_there_when_it_ends() {
    let calls: Vec<_> = (0..4).map(|_| tokio::spawn(answers(10, 0))).collect();
    let _ = answers(5, 60).await;
    for call in calls {
        call.await.unwrap().unwrap();
    }
    tokio::time::sleep_until(Instant::now() + Duration::from_secs(60) - ms(5)).await;
    assert_eq!(policy("answers").snapshot().tokens, Some(1));
}

#[guarded(rate("1/m", max_wait = "1s"), retries(3, base = "10ms"))]
async fn rare() -> Answer {
    Err(std::io::ErrorKind::ConnectionReset.into())
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_the_limits_would_refuse_is_not_made_and_the_outcome_is_returned() {
    let start = Instant::now();
    let error = rare().await.unwrap_err();
    assert!(matches!(error, Error::Call { attempts: 1, .. }), "{error:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_window_works_alone() {
    let window = Window::new(3, Duration::from_secs(1)).unwrap();
    window.try_acquire(2).unwrap();
    tokio::time::advance(ms(400)).await;
    window.try_acquire(1).unwrap();
    assert_eq!(window.available(), 0);
    assert_eq!(window.try_acquire(1).unwrap_err().to_string(), "too few tokens now; enough in 600ms");
    assert!(window.try_acquire(4).unwrap_err().to_string().contains("more than there ever are (3)"));
    let start = Instant::now();
    window.acquire(2).await.unwrap();
    assert!((600..=602).contains(&start.elapsed().as_millis()));
    window.acquire(1).await.unwrap();
    assert!((1_000..=1_002).contains(&start.elapsed().as_millis()));
    assert!(Window::new(0, ms(5)).is_err() && Window::new(5, Duration::ZERO).is_err());
}
