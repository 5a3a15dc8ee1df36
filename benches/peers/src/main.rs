//! What the limits do beside their peers, on the real clock: `cargo run --release --manifest-path benches/peers/Cargo.toml`.
//!
//! Every row is measured for all of them in one run. Machines are noisy: compare within a row.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use apiguard::{Keyed, Rate, TokenBucket, Window};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use leaky_bucket::RateLimiter as LeakyBucket;

/// Counts what is allocated, for the bytes of a key.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// Safety: all is passed on to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A limiter that somebody waits for.
trait Waits: Send + Sync + 'static {
    fn one(&self) -> impl Future<Output = ()> + Send;
}

impl Waits for TokenBucket {
    async fn one(&self) {
        self.acquire(1).await.expect("patience");
    }
}

impl Waits for DefaultDirectRateLimiter {
    async fn one(&self) {
        self.until_ready().await;
    }
}

impl Waits for LeakyBucket {
    async fn one(&self) {
        self.acquire_one().await;
    }
}

fn ours(per_second: u32) -> TokenBucket {
    TokenBucket::with_rate(Rate::per_second(per_second).max_wait(Duration::from_secs(60))).expect("a rate")
}

fn governor(per_second: u32) -> DefaultDirectRateLimiter {
    let one = NonZeroU32::MIN;
    RateLimiter::direct(Quota::per_second(NonZeroU32::new(per_second).unwrap_or(one)).allow_burst(one))
}

fn leaky_bucket(per_second: u32) -> LeakyBucket {
    // Its finest interval is a millisecond.
    let refill = (per_second / 1_000).max(1);
    LeakyBucket::builder()
        .initial(1)
        .max(refill as usize)
        .refill(refill as usize)
        .interval(Duration::from_millis(1))
        .build()
}

/// How much of the rate one waiter gets.
async fn one_waiter(limiter: impl Waits, per_second: u32) -> f64 {
    limiter.one().await;
    let (start, count) = (Instant::now(), per_second * 2);
    for _ in 0..count {
        limiter.one().await;
    }
    f64::from(count) / start.elapsed().as_secs_f64() / f64::from(per_second) * 100.0
}

/// Counts the polls of a future.
struct Counted<F>(Pin<Box<F>>, &'static AtomicU64);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Relaxed);
        self.0.as_mut().poll(cx)
    }
}

/// Many waiters: their time over the ideal, pairs out of order, polls for each, CPU for each.
async fn many_waiters(limiter: impl Waits, per_second: u32, waiters: u32) -> String {
    static POLLS: AtomicU64 = AtomicU64::new(0);
    POLLS.store(0, Relaxed);
    let (limiter, order) = (Arc::new(limiter), Arc::new(Mutex::new(Vec::new())));
    limiter.one().await;
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::new();
    for index in 0..waiters {
        let (limiter, order) = (limiter.clone(), order.clone());
        let wait = async move {
            limiter.one().await;
            order.lock().expect("order").push(index);
        };
        tasks.push(tokio::spawn(Counted(Box::pin(wait), &POLLS)));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.expect("a waiter");
    }
    let took = start.elapsed().as_secs_f64() / (f64::from(waiters) / f64::from(per_second));
    let order = order.lock().expect("order");
    let inverted = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
    let cpu = (cpu_time() - cpu).as_secs_f64() * 1e6 / f64::from(waiters);
    let polls = POLLS.load(Relaxed) as f64 / f64::from(waiters);
    format!("{took:5.2} x ideal, {inverted:5} inverted, {polls:7.1} polls, {cpu:6.1} us CPU")
}

/// User and system time of the process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|field| fields.get(*field)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most in any second of what `take` lets through at N in a second, over N: asked all the time, from a full start.
fn most_in_a_second(n: usize, mut take: impl FnMut() -> bool) -> f64 {
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_millis(2_500) {
        if take() {
            times.push(start.elapsed());
        }
    }
    let most = (0..times.len())
        .map(|first| {
            times[first..].iter().take_while(|time| **time < times[first] + Duration::from_millis(999)).count()
        })
        .max();
    most.unwrap_or(0) as f64 / n as f64
}

const KEYS: u64 = 1_000_000;

/// xorshift64*: Vigna, 2016.
fn random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) % KEYS
}

/// Bytes of a live key, and ns of a random check among a million.
fn keys(mut check: impl FnMut(u64)) -> String {
    let before = ALLOCATED.load(Relaxed);
    (0..KEYS).for_each(&mut check);
    let bytes = ALLOCATED.load(Relaxed).saturating_sub(before) as f64 / KEYS as f64;
    let (mut state, start) = (7, Instant::now());
    for _ in 0..KEYS {
        check(random(&mut state));
    }
    let nanos = start.elapsed().as_nanos() as f64 / KEYS as f64;
    format!("{bytes:6.0} B, {nanos:5.0} ns")
}

// On one thread, where tasks run in the order in which they are woken.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("one waiter at 1000/s, burst 1: share of the rate");
    println!("  apiguard      {:6.2} %", one_waiter(ours(1_000), 1_000).await);
    println!("  governor      {:6.2} %", one_waiter(governor(1_000), 1_000).await);
    println!("  leaky-bucket  {:6.2} %", one_waiter(leaky_bucket(1_000), 1_000).await);

    println!("10 000 waiters at 20 000/s, burst 1");
    println!("  apiguard      {}", many_waiters(ours(20_000), 20_000, 10_000).await);
    println!("  governor      {}", many_waiters(governor(20_000), 20_000, 10_000).await);
    println!("  leaky-bucket  {}", many_waiters(leaky_bucket(20_000), 20_000, 10_000).await);

    println!("the most in any 999 ms, over the 100 a second that were asked for (times are taken after the grant)");
    let window = Window::new(100, Duration::from_secs(1)).expect("a quota");
    println!("  apiguard quota          {:5.2}", most_in_a_second(100, || window.try_acquire(1).is_ok()));
    let bucket = TokenBucket::new(100, 100).expect("a rate");
    println!("  apiguard rate, burst N  {:5.2}", most_in_a_second(100, || bucket.try_acquire(1).is_ok()));
    let n = NonZeroU32::new(100).expect("not zero");
    let direct: DefaultDirectRateLimiter = RateLimiter::direct(Quota::per_second(n));
    println!("  governor                {:5.2}", most_in_a_second(100, || direct.check().is_ok()));
    let leaky = LeakyBucket::builder().initial(100).max(100).refill(1).interval(Duration::from_millis(10)).build();
    println!("  leaky-bucket            {:5.2}", most_in_a_second(100, || leaky.try_acquire(1)));

    println!("1 000 000 live keys: allocated bytes for each, a random check");
    let keyed: Keyed<u64, TokenBucket> = Keyed::new();
    let rate = Rate::per_hour(1).burst(2);
    let check = |key| {
        let _ =
            black_box(keyed.get_or_insert_with(&key, || TokenBucket::with_rate(rate).expect("a rate")).try_acquire(1));
    };
    println!("  apiguard      {}", keys(check));
    let quota =
        Quota::with_period(Duration::from_secs(3_600)).expect("a quota").allow_burst(NonZeroU32::new(2).expect("2"));
    let keyed: DefaultKeyedRateLimiter<u64> = RateLimiter::keyed(quota);
    println!("  governor      {}", keys(|key| drop(black_box(keyed.check_key(&key)))));
}
