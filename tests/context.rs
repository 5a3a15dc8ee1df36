//! What a body knows of the call that it runs for, and what it can tell it; deadlines of calls in calls.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::http::Feedback;
use apiguard::{Error, Policy, Rejected, Retry, attempt, guarded, observe, registry};
use tokio::time::{Instant, sleep};

type Answer<T> = Result<T, Error<io::Error>>;

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn helper() -> u32 {
    apiguard::attempt()
}

#[guarded(retries(3, base = "10ms"))]
async fn numbered(seen: &mut Vec<u32>) -> Answer<u32> {
    seen.push(attempt());
    sleep(ms(5)).await;
    seen.push(helper());
    if seen.len() < 6 { Err(reset()) } else { Ok(attempt()) }
}

#[tokio::test(start_paused = true)]
async fn a_body_knows_the_number_of_its_attempt_across_its_waits_and_in_what_it_calls() {
    let mut seen = Vec::new();
    assert_eq!(numbered(&mut seen).await.unwrap(), 3);
    assert_eq!(seen, [1, 1, 2, 2, 3, 3]);
    assert_eq!(attempt(), 0);
}

#[guarded(retries(1, base = "10ms"))]
async fn outer(seen: &mut Vec<(u32, u32)>) -> Answer<()> {
    let number = attempt();
    let mut inner = Vec::new();
    let _ = numbered(&mut inner).await;
    seen.push((number, inner[0]));
    assert_eq!(attempt(), number, "the inner one's is gone");
    Err(reset())
}

#[tokio::test(start_paused = true)]
async fn inner_and_outer_attempts_are_told_apart() {
    let (mut seen, mut beside) = (Vec::new(), Vec::new());
    let (failed, _) = tokio::join!(outer(&mut seen), numbered(&mut beside));
    failed.unwrap_err();
    assert_eq!(seen, [(1, 1), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_closure_knows_it_too_and_a_panic_leaves_nothing_behind() {
    let policy = Policy::builder("closures").retries(Retry::new(2)).build().unwrap();
    let mut seen = Vec::new();
    let _ = policy
        .call(async || {
            seen.push(attempt());
            Err::<(), _>(reset())
        })
        .await;
    assert_eq!(seen, [1, 2, 3]);
    let panicking = tokio::spawn(async move {
        let call = policy.call(async || -> io::Result<()> { panic!("attempt {}", attempt()) });
        call.await
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(attempt(), 0);
}

fn response(remaining: &str, reset: &str) -> http::Response<()> {
    let response = http::Response::builder().header("x-ratelimit-remaining", remaining);
    response.header("x-ratelimit-reset", reset).body(()).unwrap()
}

#[guarded(rate("100/s", burst = 10))]
async fn parsed(remaining: &str) -> Answer<u32> {
    observe(&response(remaining, "20"));
    sleep(ms(1)).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn what_a_good_response_says_of_limits_holds_back_the_others() {
    let start = Instant::now();
    parsed("1").await.unwrap();
    parsed("0").await.unwrap();
    assert!(start.elapsed() < ms(10), "{:?}", start.elapsed());
    parsed("1").await.unwrap();
    assert!((20_000..20_010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let policy = registry().get("context::parsed").unwrap();
    assert_eq!(policy.snapshot().outcomes.successes, 3);
}

#[guarded(rate("100/s", burst = 10))]
async fn headers_alone(remaining: &str) -> Answer<u32> {
    observe(response(remaining, "20").headers());
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn headers_alone_are_heard_too() {
    let start = Instant::now();
    headers_alone("1").await.unwrap();
    headers_alone("0").await.unwrap();
    assert!(start.elapsed() < ms(10), "{:?}", start.elapsed());
    headers_alone("1").await.unwrap();
    assert!((20_000..20_010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[guarded(rate("100/s", burst = 10))]
async fn returned(remaining: &str) -> Answer<http::Response<()>> {
    Ok(response(remaining, "20"))
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_returned_speaks_for_itself() {
    let start = Instant::now();
    assert_eq!(Feedback::from_headers(returned("0").await.unwrap().headers()).exhausted(), Some(ms(20_000)));
    returned("5").await.unwrap();
    assert!((20_000..20_010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

#[guarded(retries(5, base = "1s", factor = 1, jitter = "none"))]
async fn patient() -> Answer<()> {
    ATTEMPTS.fetch_add(1, Relaxed);
    Err(reset())
}

#[guarded(timeout = "2500ms")]
async fn hurried() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(patient().await?)
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_would_outlast_the_call_around_is_not_begun() {
    let start = Instant::now();
    let error = hurried().await.unwrap_err();
    assert_eq!((start.elapsed(), ATTEMPTS.load(Relaxed)), (ms(2_000), 3));
    // The last outcome, and no timeout.
    let inner = error.downcast_ref::<Error<io::Error>>().unwrap();
    assert!(matches!(inner, Error::Call { attempts: 3, .. }), "{inner}");
}

#[guarded(rate("1/m", burst = 1, max_wait = "1h"))]
async fn rare() -> Answer<()> {
    Ok(())
}

#[guarded(timeout = "10s", retries = 0)]
async fn around() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(rare().await?)
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_comes_too_late_for_the_call_around_is_not_waited_for() {
    rare().await.unwrap();
    let start = Instant::now();
    let error = around().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let inner = error.downcast_ref::<Error<io::Error>>().unwrap();
    assert!(matches!(inner, Error::Rejected(Rejected::RateLimited { .. })), "{inner}");
}
