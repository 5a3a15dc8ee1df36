//! Ten thousand clients and a server in trouble for twelve minutes: what the clients send, and how fast all is well again after it.
//! The clients are the real library on a virtual clock; the figures are printed in a table (`--nocapture`; `APIGUARD_UNGUARDED=1` adds one of retries alone).
//!
//! The model: 1000 calls a second in all, each with a second's patience; a server that can answer 1300 a second, in the order of
//! arrival, up to 20 000 that wait, and that answers those whose callers have left, too. In an *outage* it answers 503 at once; in a
//! *brown-out* it has 30 % of its capacity. Such a server does not recover by itself from clients that merely retry: the load of the
//! retries keeps it from the load that it could bear (Bronson et al., "Metastable failures in distributed systems", `HotOS` 2021).

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use apiguard::{Breaker, Budget, Policy, Retry, Settings};
use tokio::time::Instant;

const CLIENTS: usize = 10_000;
const CALLS_PER_SECOND: u64 = 1_000;
const CAPACITY: u64 = 1_300;
const QUEUE: u64 = 20_000;
const TROUBLE: u64 = 12 * 60;
const BEFORE: u64 = 30;
const WATCHED: u64 = 7 * 60;

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Outage,
    BrownOut,
}

/// What happened in each second.
#[derive(Clone, Copy, Default)]
struct Second {
    calls: u64,
    sent: u64,
    good: u64,
}

struct World {
    start: Instant,
    trouble: Trouble,
    /// When the server has answered all that it has taken.
    free_at: Cell<Instant>,
    seconds: Vec<Cell<Second>>,
}

impl World {
    fn count(&self, at: Instant, count: impl Fn(&mut Second)) {
        let index = (at - self.start).as_secs() as usize;
        if let Some(cell) = self.seconds.get(index) {
            let mut second = cell.get();
            count(&mut second);
            cell.set(second);
        }
    }

    fn is_in_trouble(&self, now: Instant) -> bool {
        (BEFORE..BEFORE + TROUBLE).contains(&(now - self.start).as_secs())
    }

    /// A request: when it is answered the caller may have left.
    async fn request(&self) -> io::Result<()> {
        let now = Instant::now();
        self.count(now, |second| second.sent += 1);
        let trouble = self.is_in_trouble(now).then_some(self.trouble);
        let capacity = if trouble == Some(Trouble::BrownOut) { CAPACITY * 3 / 10 } else { CAPACITY };
        let busy_for = self.free_at.get().saturating_duration_since(now);
        if trouble == Some(Trouble::Outage) || busy_for > Duration::from_secs(QUEUE) / CAPACITY as u32 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let answered = now + busy_for + Duration::from_secs(1) / capacity as u32;
        self.free_at.set(answered);
        tokio::time::sleep_until(answered).await;
        Ok(())
    }
}

struct Report {
    what: &'static str,
    sent_per_call: f64,
    peak: f64,
    recovered_after: Option<u64>,
    goodput: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { what, sent_per_call, peak, goodput, .. } = self;
        let recovered = self.recovered_after.map_or("never".into(), |seconds| format!("{seconds} s"));
        write!(f, "{what:<44}{sent_per_call:>8.2}{peak:>8.2} x{recovered:>12}{:>9.1} %", goodput * 100.0)
    }
}

fn run(what: &'static str, trouble: Trouble, settings: &Settings) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    let world = local.block_on(&runtime, async {
        let start = Instant::now();
        let all = BEFORE + TROUBLE + WATCHED;
        let seconds = (0..=all).map(|_| Cell::default()).collect();
        let world = Rc::new(World { start, trouble, free_at: Cell::new(start), seconds });
        let client = |_| Rc::new(Policy::builder("client").settings(*settings).build().unwrap());
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = move |n: usize| {
            dice ^= dice >> 12;
            dice ^= dice << 25;
            dice ^= dice >> 27;
            (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
        };
        for tick in 0..all * 100 {
            for _ in 0..CALLS_PER_SECOND / 100 {
                let (world, client) = (world.clone(), clients[below(CLIENTS)].clone());
                tokio::task::spawn_local(async move {
                    let begun = Instant::now();
                    world.count(begun, |second| second.calls += 1);
                    if client.call(async || world.request().await).await.is_ok() {
                        // Where it was asked for: a call that ends late is one that took long.
                        world.count(begun, |second| second.good += 1);
                    }
                });
            }
            tokio::time::sleep_until(start + Duration::from_millis(10) * (tick as u32 + 1)).await;
        }
        world
    });
    drop(local);
    let seconds: Vec<Second> = world.seconds.iter().map(Cell::get).collect();
    let [trouble, after] = [BEFORE as usize, (BEFORE + TROUBLE) as usize];
    let sum = |range: std::ops::Range<usize>, of: fn(&Second) -> u64| seconds[range].iter().map(of).sum::<u64>() as f64;
    let sent = |range: std::ops::Range<usize>| sum(range, |second| second.sent);
    let calls = |range: std::ops::Range<usize>| sum(range, |second| second.calls);
    let peak = seconds[after..after + 60].iter().map(|second| second.sent).max().unwrap() as f64;
    let is_well = |second: &Second| second.good * 100 >= second.calls * 99;
    // Well, and so for ten seconds.
    let recovered_after = seconds[after..after + WATCHED as usize - 10]
        .windows(10)
        .position(|window| window.iter().all(is_well))
        .map(|index| index as u64);
    Report {
        what,
        sent_per_call: sent(trouble..after) / calls(trouble..after),
        peak: peak / CALLS_PER_SECOND as f64,
        recovered_after,
        goodput: sum(after..after + 300, |second| second.good) / calls(after..after + 300),
    }
}

const HEAD: &str = "                                            sent per   peak in    back to   goodput of";
const HEAD_2: &str = "                                                call  a minute       99 %    5 minutes";

fn settings() -> Settings {
    Settings::new().attempt_timeout(Duration::from_secs(1)).retries(Retry::new(3))
}

fn guarded() -> Settings {
    settings().breaker(Breaker::consecutive(5).recovery(Duration::from_secs(5)))
}

#[test]
fn after_an_outage_all_is_well_at_once() {
    println!("{HEAD}\n{HEAD_2}");
    if std::env::var_os("APIGUARD_UNGUARDED").is_some() {
        let retries = settings().retries(Retry::new(3).budget(Budget::Off));
        println!("{}", run("outage, 3 retries alone", Trouble::Outage, &retries));
    }
    let budget = run("outage, 3 retries with their budget", Trouble::Outage, &settings());
    let guarded = run("outage, budget and breaker", Trouble::Outage, &guarded());
    println!("{budget}\n{guarded}");
    for report in [budget, guarded] {
        assert!(report.sent_per_call <= 1.2, "{report}");
        assert!(report.peak <= 1.2, "{report}");
        assert!(report.recovered_after.is_some_and(|seconds| seconds <= 10), "{report}");
        assert!(report.goodput >= 0.99, "{report}");
    }
}

#[test]
fn a_brown_out_ends_when_it_ends() {
    println!("{HEAD}\n{HEAD_2}");
    let retries =
        run("brown-out, 3 retries alone", Trouble::BrownOut, &settings().retries(Retry::new(3).budget(Budget::Off)));
    let guarded = run("brown-out, budget and breaker", Trouble::BrownOut, &guarded());
    println!("{retries}\n{guarded}");
    assert!(retries.recovered_after.is_none(), "the model is metastable: {retries}");
    assert!(guarded.sent_per_call <= 1.2, "{guarded}");
    assert!(guarded.peak <= 1.2, "{guarded}");
    assert!(guarded.recovered_after.is_some_and(|seconds| seconds <= 35), "{guarded}");
    assert!(guarded.goodput >= 0.90, "{guarded}");
}
