//! The most attempts in any window of what is asked for as "10 a second", over 10.
//!
//! The arrivals are what is worst for all: one attempt, silence until a token bucket is full again and a fixed window nearly
//! over, then everybody asks all the time. An attempt has the time before it was asked for and the time after: those of
//! which the first began less than a window before the last had ended were in one window for certain.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use apiguard::{TokenBucket, Window};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use leaky_bucket::RateLimiter as LeakyBucket;
use tower::{Service, ServiceBuilder, service_fn};
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

use crate::call::finish;
use crate::table::{APIGUARD, GOVERNOR, LEAKY_BUCKET, TOWER, TOWER_RESILIENCE, Table};

const N: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// apiguard and governor read the CPU's counter, whose seconds are some millionths shorter or longer than the system's.
const A_LITTLE_LESS: Duration = Duration::from_millis(999);
const SILENCE: Duration = Duration::from_millis(950);
const END: Duration = Duration::from_millis(2_500);

/// Whether an attempt is let through now.
type Asked = Box<dyn FnMut() -> bool>;

fn limits() -> Vec<(usize, Asked)> {
    let n = N as usize;
    let window = Window::new(N, WINDOW).expect("a quota");
    let governor: DefaultDirectRateLimiter = RateLimiter::direct(Quota::per_second(N.try_into().expect("not zero")));
    let leaky = LeakyBucket::builder().initial(n).max(n).refill(1).interval(WINDOW / N).build();
    let echo = |()| ready(Ok::<(), Infallible>(()));
    let mut tower = ServiceBuilder::new().rate_limit(u64::from(N), WINDOW).service(service_fn(echo));
    let log = RateLimiterLayer::per_second(n).window_type(WindowType::SlidingLog).timeout_duration(Duration::ZERO);
    let mut log = ServiceBuilder::new().layer(log.build().expect("a limit")).service(service_fn(echo));
    vec![
        (APIGUARD, Box::new(move || window.try_acquire(1).is_ok())),
        (GOVERNOR, Box::new(move || governor.check().is_ok())),
        (LEAKY_BUCKET, Box::new(move || leaky.try_acquire(1))),
        (
            TOWER,
            Box::new(move || {
                let is_ready = tower.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
                is_ready && finish(tower.call(())).is_ok()
            }),
        ),
        (TOWER_RESILIENCE, Box::new(move || finish(log.call(())).is_ok())),
    ]
}

/// The ways to ask one library for it that let more through, for the row below.
fn other_limits() -> Vec<(usize, Asked)> {
    let bucket = TokenBucket::new(N, N).expect("a rate");
    let layer = RateLimiterLayer::per_second(N as usize).timeout_duration(Duration::ZERO).build().expect("a limit");
    let mut fixed = ServiceBuilder::new().layer(layer).service(service_fn(|()| ready(Ok::<(), Infallible>(()))));
    vec![
        (APIGUARD, Box::new(move || bucket.try_acquire(1).is_ok())),
        (TOWER_RESILIENCE, Box::new(move || finish(fixed.call(())).is_ok())),
    ]
}

/// The most of these attempts, each with its time before and after, in one window.
fn most(attempts: &[(Instant, Instant)], window: Duration) -> usize {
    let from = |first: usize| {
        let end = attempts[first].0 + window;
        attempts[first..].iter().take_while(|(_, after)| *after < end).count()
    };
    (0..attempts.len()).map(from).max().unwrap_or(0)
}

pub async fn rows(table: &mut Table) {
    let (mut limits, mut others) = (limits(), other_limits());
    let mut attempts = vec![Vec::new(); limits.len() + others.len()];
    let start = Instant::now();
    let mut silent = false;
    while start.elapsed() < END {
        // tokio's timers, one of which tower's rate has, go on while a task pauses.
        tokio::task::yield_now().await;
        if silent && start.elapsed() < SILENCE {
            continue;
        }
        for ((_, asked), attempts) in limits.iter_mut().chain(&mut others).zip(&mut attempts) {
            let before = Instant::now();
            if asked() {
                attempts.push((before, Instant::now()));
            }
        }
        silent = true;
    }
    let cells = |attempts: &[Vec<_>], window| {
        let over = |attempts: &Vec<_>| format!("{:.2}", most(attempts, window) as f64 / f64::from(N));
        attempts.iter().map(over).collect::<Vec<_>>()
    };
    let columns = |limits: &[(usize, Asked)]| limits.iter().map(|(library, _)| *library).collect::<Vec<_>>();
    let (attempts, other_attempts) = attempts.split_at(limits.len());
    let name = "most in any second of \"10 a second\", over 10";
    table.row(name, columns(&limits).into_iter().zip(cells(attempts, WINDOW)));
    table.row("... in any 999 ms", columns(&limits).into_iter().zip(cells(attempts, A_LITTLE_LESS)));
    let name = "... as a rate of burst 10, a fixed window";
    table.row(name, columns(&others).into_iter().zip(cells(other_attempts, A_LITTLE_LESS)));
}
