//! One seed, one world: the whole system, simulated.
//!
//! A world is a server and everybody who calls it, and nothing of it is real but the library: time is virtual, there is no socket and
//! no thread, and all that happens follows from one number. The server has a capacity, a queue, a limit of its own and troubles: outages
//! and brown-outs, slow answers and none at all, work that was done and whose answer is lost. The callers are up to some thousands under
//! up to three policies of random settings, with keys or without, through every way into a policy; some leave, at any moment; the
//! settings change meanwhile, also to shadow and back. Then the server is restarted, and all has to become well by itself.
//!
//! ```text
//! safety     no more than the limits allow, in any window, from an instant of change on; nothing in a pause or through an open
//!            breaker but its probes; no attempt, retry or wait beyond what the settings say; no token lost
//! liveness   nobody waits for what is there; every call ends; breakers close, and every call works, in bounded time after the
//!            server is well; a policy that is left alone is as new
//! books      counters and events say what callers and server have counted
//! the same   a seed has the same trace, to the nanosecond, in every run
//!
//! dice, plan      the seed, and what follows from it
//! server, clients who take part
//! world           from beginning to end
//! ledger, breaker what limits and breakers would have to be, in slow and plain arithmetic
//! book            what is compared with that: each event, each attempt, each call
//! rules, checks   what may not be of attempts and calls; and of a policy, at quiet moments and in the end
//! trace           what happened, as a hash and as lines
//! ```
//!
//! A world that fails says its seed. `APIGUARD_SEED=7 cargo test --test world` runs that one alone, and tells more of it;
//! `APIGUARD_WORLDS=10000` runs more of them, `APIGUARD_SEED` on when both are there.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)] // the parts of a test are a test

mod book;
mod breaker;
mod checks;
mod clients;
mod dice;
mod ledger;
mod plan;
mod rules;
mod server;
mod trace;
mod world;

use world::Report;

const WORLDS: u64 = 600;
/// As many lines are told of what happened before something was wrong.
const LINES: usize = 60;
/// One is told whole, and the others by a line each.
const MOST_WRONG: usize = 20;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no whole number")))
}

const REPLAY: &str = "cargo test --test world";

fn run(seed: u64) -> Report {
    world::run(seed, LINES).unwrap_or_else(|wrong| panic!("{wrong}\nreplay: APIGUARD_SEED={seed} {REPLAY}"))
}

/// The seeds to run.
fn seeds() -> std::ops::Range<u64> {
    let (seed, worlds) = (number("APIGUARD_SEED"), number("APIGUARD_WORLDS"));
    let first = seed.unwrap_or(1);
    first..first + worlds.unwrap_or(if seed.is_some() { 1 } else { WORLDS })
}

#[test]
fn every_world_is_safe_and_lives_and_its_books_are_right() {
    let (mut reports, mut wrong) = (Vec::new(), Vec::new());
    let seeds = seeds();
    // Of one that is replayed all may be of interest.
    let kept = if seeds.end - seeds.start == 1 { 100 * LINES } else { LINES };
    for seed in seeds {
        match world::run(seed, kept) {
            Ok(report) => reports.push(report),
            Err(said) => wrong.push((seed, said)),
        }
        if wrong.len() == MOST_WRONG {
            break;
        }
    }
    if let Some((seed, said)) = wrong.first() {
        let others =
            wrong.iter().skip(1).map(|(seed, said)| format!("\nseed {seed}: {}", said.lines().next().unwrap_or("")));
        panic!("seed {seed}: {said}\nreplay: APIGUARD_SEED={seed} {REPLAY}{}", others.collect::<String>());
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let tallied = |of: fn(&book::Tally) -> u64| reports.iter().flat_map(|report| &report.tallies).map(of).sum::<u64>();
    println!(
        "{} worlds ({:016x}), {} h: {} calls, {} attempts ({} failed, {} throttled, {} timed out, {} abandoned), {} retries, \
         {} rate limited, {} saturated, {} circuit open, {} waited, {} pauses, {} over budget, {} changes of breakers, \
         {} events missed",
        reports.len(),
        reports.iter().fold(0, |sum: u64, report| sum.rotate_left(5) ^ report.hash),
        reports.iter().map(|report| report.virtual_time.as_secs()).sum::<u64>() / 3_600,
        sum(|report| report.calls),
        tallied(|tally| tally.attempts),
        tallied(|tally| tally.failed),
        tallied(|tally| tally.throttled),
        tallied(|tally| tally.timed_out),
        tallied(|tally| tally.abandoned),
        tallied(|tally| tally.attempts - tally.began),
        tallied(|tally| tally.rate_limited),
        tallied(|tally| tally.saturated),
        tallied(|tally| tally.circuit_open),
        tallied(|tally| tally.seen.waited),
        tallied(|tally| tally.pauses),
        tallied(|tally| tally.seen.over_budget),
        tallied(|tally| tally.seen.changes),
        tallied(|tally| tally.seen.missed),
    );
}

#[test]
fn the_same_seed_is_the_same_world() {
    let first = seeds().start;
    for seed in first..first + 8 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!((one.hash, one.lines), (other.hash, other.lines), "seed {seed}");
        assert_ne!(one.hash, run(seed + 8).hash, "another seed is another world");
    }
}
