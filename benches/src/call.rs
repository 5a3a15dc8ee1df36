//! What a guarded call costs beside the floor: `cargo run --release --manifest-path benches/Cargo.toml`.
//!
//! The floor is what no correct code can go below: one reading of the CPU's counter, one compare-exchange, two loads, in
//! a plain inline function. All rows are measured in one run, in turns, and compared by their medians: machines are
//! noisy, so the ratios count, not the times.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use apiguard::{Breaker, Policy, Rate, Rejected, Retry, Settings, guarded};

const ROUNDS: usize = 200;
const CALLS: u32 = 10_000;

/// An error as applications have them.
#[derive(Debug)]
#[allow(dead_code)]
enum AppError {
    Guard(Rejected),
    Io(std::io::Error),
}

impl From<Rejected> for AppError {
    fn from(rejected: Rejected) -> AppError {
        AppError::Guard(rejected)
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for AppError {}

type Outcome = Result<u64, AppError>;

/// The service: an await, ready at once.
async fn answer(n: u64) -> Outcome {
    std::future::ready(()).await;
    Ok(black_box(n))
}

async fn bare(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(rate("1000000000/s", burst = 1000000000), breaker = 5, retries = 3)]
async fn composed(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(rate("1000000000/s", burst = 1000000000))]
async fn rate_only(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(breaker = 5)]
async fn breaker_only(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(retries = 3)]
async fn retries_only(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

#[guarded(rate("1000000000/s", burst = 1000000000), breaker = 5, retries = 3, timeout = "10s")]
async fn timed(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

static SHARED: Policy = Policy::new(
    "shared",
    Settings::new()
        .rate(Rate::per_second(1_000_000_000).burst(1_000_000_000))
        .breaker(Breaker::consecutive(5))
        .retries(Retry::new(3)),
);

#[guarded(policy = SHARED)]
async fn shared(n: u64) -> Outcome {
    let doubled = answer(n).await?;
    Ok(doubled + n)
}

/// The floor.
#[inline]
fn floor(clock: &quanta::Clock, words: &[AtomicU64; 3]) -> bool {
    let now = clock.raw();
    let state = words[0].load(Relaxed);
    let taken = words[0].compare_exchange(state, state.max(now) + 1, Relaxed, Relaxed).is_ok();
    taken && words[1].load(Relaxed) == 0 && words[2].load(Relaxed) == 0
}

fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("an admitted call of a body that is ready is ready"),
    }
}

fn time(mut call: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    for n in 0..CALLS {
        call(u64::from(n));
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn main() {
    static CLOCK: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);
    static WORDS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

    type Row = (&'static str, fn() -> f64);
    let rows: [Row; 9] = [
        ("floor: counter, compare-exchange, two loads", || {
            let clock = &*CLOCK;
            time(|_| {
                black_box(floor(clock, &WORDS));
            })
        }),
        ("bare async function", || time(|n| drop(black_box(finish(bare(n)))))),
        ("rate + breaker + retries", || time(|n| drop(black_box(finish(composed(n)))))),
        ("rate + breaker + retries + timeout", || time(|n| drop(black_box(finish(timed(n)))))),
        ("a shared policy of the same", || time(|n| drop(black_box(finish(shared(n)))))),
        ("rate alone", || time(|n| drop(black_box(finish(rate_only(n)))))),
        ("breaker alone", || time(|n| drop(black_box(finish(breaker_only(n)))))),
        ("retries alone", || time(|n| drop(black_box(finish(retries_only(n)))))),
        ("Instant::now()", || {
            time(|_| {
                black_box(Instant::now());
            })
        }),
    ];
    let mut samples = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..ROUNDS + 10 {
        for (row, samples) in rows.iter().zip(&mut samples) {
            let took = row.1();
            // The first rounds warm up.
            if round >= 10 {
                samples.push(took);
            }
        }
    }
    let medians: Vec<f64> = samples
        .into_iter()
        .map(|mut samples| {
            samples.sort_by(f64::total_cmp);
            samples[samples.len() / 2]
        })
        .collect();
    println!("{:<46}{:>9}{:>12}", "one admitted, succeeding call", "ns", "x floor");
    for ((name, _), median) in rows.iter().zip(&medians) {
        println!("{name:<46}{median:>9.1}{:>12.2}", median / medians[0]);
    }
    println!("\n{:<46}{:>9}{:>12}", "size of the future", "bytes", "+ bare");
    let bare = size_of_val(&bare(1));
    for (name, size) in [
        ("bare async function", bare),
        ("rate + breaker + retries", size_of_val(&composed(1))),
        ("rate + breaker + retries + timeout", size_of_val(&timed(1))),
        ("a shared policy of the same", size_of_val(&shared(1))),
        ("rate alone", size_of_val(&rate_only(1))),
    ] {
        println!("{name:<46}{size:>9}{:>12}", size - bare);
    }
    println!("\nsize of a policy: {} bytes", size_of::<Policy>());
    assert_eq!(SHARED.snapshot().calls, (ROUNDS as u64 + 10) * u64::from(CALLS));
}
