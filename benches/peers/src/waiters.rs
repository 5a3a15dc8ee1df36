//! Who waits for a limit: how much of the rate one alone gets, and what many get and cost.
//!
//! All run on one thread, where tasks run in the order in which they are woken. tokio's timers count milliseconds, so
//! leaky-bucket, tower and tower-resilience are asked for 20 a millisecond where the others are asked for 20 000 a second
//! with a burst of one: with one each 50 us they would deliver a twentieth. tower's rate is shared as tower does it, behind a
//! buffer.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use apiguard::{Rate, TokenBucket};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use leaky_bucket::RateLimiter as LeakyBucket;
use tower::buffer::Buffer;
use tower::util::ServiceFn;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_ratelimiter::RateLimiterLayer;

use crate::measure::{Random, cpu_time};
use crate::table::{APIGUARD, GOVERNOR, LEAKY_BUCKET, TOWER, TOWER_RESILIENCE, Table};

const WAITERS: u32 = 10_000;
const PER_SECOND: u32 = 20_000;
/// So often each library has its turn. Of times the best counts, for what disturbs the machine makes them worse; of the order, which
/// is no matter of time, the worst.
const TURNS: usize = 5;

/// Who has not been let through by then never will be.
const HUNG: Duration = Duration::from_secs(10);

/// A limiter that somebody waits for.
trait Waits: Send + Sync + 'static {
    /// One for a rate, a multiple of 1000 a second.
    fn of(per_second: u32) -> Self;

    fn one(&self) -> impl Future<Output = ()> + Send;
}

impl Waits for TokenBucket {
    fn of(per_second: u32) -> TokenBucket {
        TokenBucket::with_rate(Rate::per_second(per_second).max_wait(Duration::from_secs(60))).expect("a rate")
    }

    async fn one(&self) {
        self.acquire(1).await.expect("patience");
    }
}

impl Waits for DefaultDirectRateLimiter {
    fn of(per_second: u32) -> DefaultDirectRateLimiter {
        let rate = per_second.try_into().expect("not zero");
        RateLimiter::direct(Quota::per_second(rate).allow_burst(NonZeroU32::MIN))
    }

    async fn one(&self) {
        self.until_ready().await;
    }
}

impl Waits for LeakyBucket {
    fn of(per_second: u32) -> LeakyBucket {
        let refill = per_second as usize / 1_000;
        LeakyBucket::builder().initial(1).max(refill).refill(refill).interval(Duration::from_millis(1)).build()
    }

    async fn one(&self) {
        self.acquire_one().await;
    }
}

type Echo = fn(()) -> Ready<Result<(), Infallible>>;
const ECHO: Echo = |()| ready(Ok(()));

/// A service behind tower's rate and buffer.
struct Tower(Buffer<(), Ready<Result<(), Infallible>>>);

impl Waits for Tower {
    fn of(per_second: u32) -> Tower {
        let rate = u64::from(per_second / 1_000);
        let limited = ServiceBuilder::new().rate_limit(rate, Duration::from_millis(1)).service_fn(ECHO);
        Tower(Buffer::new(limited, WAITERS as usize))
    }

    async fn one(&self) {
        self.0.clone().oneshot(()).await.expect("a service that runs");
    }
}

type Limited = tower_resilience_ratelimiter::RateLimiter<ServiceFn<Echo>>;

/// A service behind tower-resilience's token bucket.
struct Resilience(Mutex<Limited>);

impl Waits for Resilience {
    fn of(per_second: u32) -> Resilience {
        let limit = RateLimiterLayer::builder().limit_for_period(per_second as usize / 1_000).burst_size(0);
        let limit = limit.refresh_period(Duration::from_millis(1)).timeout_duration(Duration::from_secs(60));
        let limit = limit.build().expect("a limit");
        Resilience(Mutex::new(ServiceBuilder::new().layer(limit).service(service_fn(ECHO))))
    }

    async fn one(&self) {
        let service = self.0.lock().expect("a service").clone();
        service.oneshot(()).await.expect("patience");
    }
}

/// How much of 1000 a second one waiter gets, in percent.
async fn alone<W: Waits>() -> f64 {
    let limiter = W::of(1_000);
    limiter.one().await;
    let start = Instant::now();
    for _ in 0..1_000 {
        limiter.one().await;
    }
    100.0 / start.elapsed().as_secs_f64()
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

/// What many waiters got and cost, each.
struct Many {
    over_ideal: f64,
    micros: f64,
    polls: f64,
    /// Pairs of neighbours that ran in the other order than they came.
    inverted: usize,
    /// How far somebody was from its place.
    displaced: u32,
}

/// Many join at once; then, if that is wanted, half of them give up.
async fn many<W: Waits>(half_give_up: bool) -> Many {
    static POLLS: AtomicU64 = AtomicU64::new(0);
    POLLS.store(0, Relaxed);
    let (limiter, order) = (Arc::new(W::of(PER_SECOND)), Arc::new(Mutex::new(Vec::new())));
    limiter.one().await;
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::new();
    for index in 0..WAITERS {
        let (limiter, order) = (limiter.clone(), order.clone());
        let wait = async move {
            limiter.one().await;
            order.lock().expect("order").push(index);
        };
        tasks.push(tokio::spawn(Counted(Box::pin(wait), &POLLS)));
        tokio::task::yield_now().await;
    }
    if half_give_up {
        let mut random = Random::new();
        tasks.iter().filter(|_| random.below(2) == 0).for_each(tokio::task::JoinHandle::abort);
    }
    let joined = async {
        for task in &mut tasks {
            assert!(task.await.is_ok() || half_give_up, "no waiter panics");
        }
    };
    let hung = tokio::time::timeout(HUNG, joined).await.is_err();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let (took, cpu) = (start.elapsed(), cpu_time() - cpu);
    let order = order.lock().expect("order");
    // Those who gave up took no time of the others: the ideal is that of all who were let through.
    let ideal = order.len() as f64 / f64::from(PER_SECOND);
    Many {
        over_ideal: if hung { f64::INFINITY } else { took.as_secs_f64() / ideal },
        micros: cpu.as_secs_f64() * 1e6 / f64::from(WAITERS),
        polls: POLLS.load(Relaxed) as f64 / f64::from(WAITERS),
        inverted: order.windows(2).filter(|pair| pair[0] > pair[1]).count(),
        displaced: order.iter().zip(0..).map(|(index, place)| index.abs_diff(place)).max().unwrap_or(0),
    }
}

/// A library and its turns.
struct Library {
    column: usize,
    alone: fn() -> Pin<Box<dyn Future<Output = f64>>>,
    many: fn(bool) -> Pin<Box<dyn Future<Output = Many>>>,
    percent: f64,
    all: Vec<Many>,
    half: Vec<Many>,
}

impl Library {
    fn of<W: Waits>(column: usize) -> Library {
        Library {
            column,
            alone: || Box::pin(alone::<W>()),
            many: |half_give_up| Box::pin(many::<W>(half_give_up)),
            percent: 0.0,
            all: Vec::new(),
            half: Vec::new(),
        }
    }

    async fn turn(&mut self) {
        self.percent = self.percent.max((self.alone)().await);
        self.all.push((self.many)(false).await);
        self.half.push((self.many)(true).await);
    }

    /// The times over the ideal; with the turns, if any, in which somebody waited for ever.
    fn over_ideal(runs: &[Many]) -> String {
        let least = runs.iter().map(|run| run.over_ideal).fold(f64::INFINITY, f64::min);
        match runs.iter().filter(|run| run.over_ideal.is_infinite()).count() {
            0 => format!("{least:.3}"),
            hung => format!("{least:.3} ({hung} hung)"),
        }
    }

    fn cells(&self) -> [String; 7] {
        let least = |runs: &[Many], value: fn(&Many) -> f64| runs.iter().map(value).fold(f64::INFINITY, f64::min);
        [
            format!("{:.2}", self.percent),
            Library::over_ideal(&self.all),
            format!("{:.1}", least(&self.all, |run| run.micros)),
            format!("{:.1}", least(&self.all, |run| run.polls)),
            format!("{}", self.all.iter().map(|run| run.inverted).max().unwrap_or(0)),
            format!("{}", self.all.iter().map(|run| run.displaced).max().unwrap_or(0)),
            Library::over_ideal(&self.half),
        ]
    }
}

pub async fn rows(table: &mut Table) {
    let mut libraries = [
        Library::of::<TokenBucket>(APIGUARD),
        Library::of::<DefaultDirectRateLimiter>(GOVERNOR),
        Library::of::<LeakyBucket>(LEAKY_BUCKET),
        Library::of::<Tower>(TOWER),
        Library::of::<Resilience>(TOWER_RESILIENCE),
    ];
    for _ in 0..TURNS {
        for library in &mut libraries {
            library.turn().await;
        }
    }
    let names = [
        "one waiter at 1000/s, burst 1: % of the rate",
        "10 000 waiters at 20 000/s: time over ideal",
        "... us of CPU for each",
        "... polls for each",
        "... pairs out of order, at worst",
        "... places out of order, at worst",
        "... half gave up: time of the rest over ideal",
    ];
    for (at, name) in names.into_iter().enumerate() {
        table.row(name, libraries.iter().map(|library| (library.column, library.cells()[at].clone())));
    }
}
