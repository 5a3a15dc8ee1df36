//! Instructions per call, which do not depend on how busy the machine is: `cargo run --release --manifest-path
//! benches/Cargo.toml`, with `-- --check` to fail where a bound is passed. Needs valgrind.
//!
//! The program runs itself under callgrind, which counts in `measured` alone: not while the clock is calibrated.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apiguard::{Breaker, CircuitBreaker, Error, Policy, Rate, Retry, Settings, TokenBucket, Window, guarded};

const CALLS: u64 = 10_000;

type Outcome = Result<u64, Error<std::io::Error>>;

async fn answer(n: u64) -> Result<u64, std::io::Error> {
    std::future::ready(()).await;
    Ok(black_box(n))
}

async fn bare(n: u64) -> Outcome {
    Ok(answer(n).await.map_err(|source| Error::Call { source, attempts: 1 })? + n)
}

const RATE: Rate = Rate::per_second(1_000_000_000).burst(1_000_000_000);

#[guarded(rate = RATE, breaker = 5, retries = 3)]
async fn composed(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(rate = RATE, breaker = 5, retries = 3, timeout = "10s")]
async fn timed(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(rate = RATE)]
async fn rate_alone(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(breaker = 5)]
async fn breaker_alone(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(retries = 3)]
async fn retries_alone(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(breaker(failure_rate = "50%", window = "30s"))]
async fn windowed(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(quota = "1000000000/h")]
async fn quota(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(concurrency = 64)]
async fn concurrency(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(rate("100/s", burst = 100), breaker = 5, retries = 3, key = n % 1_000)]
async fn keyed(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

static SHARED: Policy =
    Policy::new("shared", Settings::new().rate(RATE).breaker(Breaker::consecutive(5)).retries(Retry::new(3)));
static OPEN: Policy = Policy::new("open", Settings::new().breaker(Breaker::consecutive(1)));
static BUCKET: LazyLock<TokenBucket> =
    LazyLock::new(|| TokenBucket::new(1_000_000_000, 1_000_000_000).expect("a rate"));
static WINDOW: LazyLock<Window> =
    LazyLock::new(|| Window::new(1_000_000_000, Duration::from_secs(3_600)).expect("a quota"));
static BREAKER: LazyLock<CircuitBreaker> =
    LazyLock::new(|| CircuitBreaker::new(Breaker::consecutive(5)).expect("a breaker"));

#[guarded(policy = SHARED)]
async fn shared(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

#[guarded(policy = OPEN, retries = 0)]
async fn open(n: u64) -> Outcome {
    Ok(answer(n).await? + n)
}

fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("an admitted call of a body that is ready is ready"),
    }
}

/// A name, the most instructions that a call may take (a tenth above what was measured with rustc 1.95), and the call.
type Case = (&'static str, u64, fn(u64));

macro_rules! call {
    ($call:expr) => {
        |n| drop(black_box(finish($call(n))))
    };
}

const CASES: [Case; 17] = [
    ("floor: counter, compare-exchange, two loads", 40, |_| {
        static CLOCK: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);
        static WORDS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
        let now = CLOCK.raw();
        let state = WORDS[0].load(Relaxed);
        let taken = WORDS[0].compare_exchange(state, state.max(now) + 1, Relaxed, Relaxed).is_ok();
        black_box(taken && WORDS[1].load(Relaxed) == 0 && WORDS[2].load(Relaxed) == 0);
    }),
    ("bare async function", 35, call!(bare)),
    ("rate + breaker + retries", 240, call!(composed)),
    ("rate + breaker + retries + timeout", 280, call!(timed)),
    ("... a shared policy", 275, call!(shared)),
    ("... by `Policy::call`", 380, |n| drop(black_box(finish(SHARED.call(async || answer(n).await))))),
    ("... one of 1000 keys", 525, call!(keyed)),
    ("rate alone", 235, call!(rate_alone)),
    ("breaker alone", 190, call!(breaker_alone)),
    ("retries alone", 200, call!(retries_alone)),
    ("breaker with a window of time", 650, call!(windowed)),
    ("quota", 870, call!(quota)),
    ("concurrency", 870, call!(concurrency)),
    ("rejected by an open breaker", 420, call!(open)),
    ("`TokenBucket::try_acquire`", 110, |_| assert!(BUCKET.try_acquire(1).is_ok())),
    ("`Window::try_acquire`", 570, |_| assert!(WINDOW.try_acquire(1).is_ok())),
    ("`CircuitBreaker`: a permit and a success", 40, |_| {
        if let Ok(permit) = BREAKER.try_acquire() {
            permit.success();
        }
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [case, calls] = arguments.as_slice() {
        let (_, _, call) = CASES[case.parse::<usize>().expect("a case")];
        OPEN.force_open();
        // What the first call makes is not counted.
        warm_up(call);
        measured(call, calls.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let check = arguments.iter().any(|argument| argument == "--check");
    let mut is_within = true;
    println!("{:<46}{:>13}{:>13}", "one call", "instructions", "at most");
    for (case, (name, most, _)) in CASES.iter().enumerate() {
        let took = count(case) / CALLS;
        let is_over = took > *most;
        println!("{name:<46}{took:>13}{most:>13}{}", if is_over { "  too many" } else { "" });
        is_within &= !is_over;
    }
    if check && !is_within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[inline(never)]
fn warm_up(call: fn(u64)) {
    (0..2_000).for_each(call);
}

#[inline(never)]
fn measured(call: fn(u64), calls: u64) {
    (0..calls).for_each(call);
}

/// The instructions of all calls of a case.
fn count(case: usize) -> u64 {
    let program = std::env::current_exe().expect("a program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=instructions::measured"])
        .arg(program)
        .args([case.to_string(), CALLS.to_string()])
        .output()
        .expect("valgrind; install it");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim().parse());
    collected.and_then(Result::ok).unwrap_or_else(|| panic!("callgrind said nothing of instructions:\n{said}"))
}
