//! Mixed guarded traffic against a server that misbehaves, on the clock of production: for `APIGUARD_SOAK_SECONDS` (300), in rounds with
//! a rest after each, in which everything has to be given back. Prints a table, ends with 0, or with 1 and what grew.
//!
//! `docs/soak.md` says how to read it.

#![deny(unsafe_code)]
#![deny(warnings)]

mod heap;
mod random;
mod record;
mod server;
mod traffic;
mod verdict;

use std::error::Error as StdError;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until, timeout};

use crate::random::Random;
use crate::record::{HEAD, Sample};
use crate::server::{Server, Weather};
use crate::traffic::{Clients, KINDS, Parts, SOMETIMES_FAILING, World};

/// As long as the last calls of a round take, about.
const LAST_CALLS: Duration = Duration::from_millis(800);
/// Longer than any timeout, wait or body of a call.
const ANY_CALL: Duration = Duration::from_secs(10);
/// Longer than a connection is kept idle, a bucket takes to be full again and a breaker to recover.
const REST: Duration = Duration::from_millis(1_200);

type Failure = Box<dyn StdError + Send + Sync>;

fn main() -> Result<ExitCode, Failure> {
    let number = |name: &str, default: u64| std::env::var(name).map_or(Ok(default), |text| text.parse());
    let seconds = number("APIGUARD_SOAK_SECONDS", 300)?.max(10);
    let seed = number("APIGUARD_SEED", 1)?;
    // Each round has load for long enough, and there are enough of them to compare.
    let rounds = (seconds / 30).clamp(4, 12);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    println!("{seconds} s in {rounds} rounds, seed {seed}\n{HEAD}");
    let wrong = runtime.block_on(soak(seconds, rounds, Random::new(seed)))?;
    for what in &wrong {
        println!("WRONG: {what}");
    }
    if wrong.is_empty() {
        println!("nothing grew, and everything was given back");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is wrong.
async fn soak(seconds: u64, rounds: u64, mut random: Random) -> Result<Vec<String>, Failure> {
    let world = Arc::new(World {
        server: Server::start(3).await?,
        clients: Clients::new()?,
        parts: Parts::new(),
        stops: AtomicBool::new(false),
    });
    let every = Duration::from_millis((seconds * 1_000 / 60).clamp(250, 30_000));
    let begin = Instant::now();
    let elapsed = move || begin.elapsed().as_secs();
    // Kept where it does not grow while it is filled.
    let mut samples = Vec::with_capacity(1_000);
    let mut wrong = Vec::new();
    for _ in 0..rounds {
        let load_ends = Instant::now() + Duration::from_secs(seconds) / rounds as u32 - REST - LAST_CALLS;
        world.stops.store(false, Relaxed);
        let mut tasks = traffic::start(&world, &mut random);
        let weather = world.server.make_weather(Random::new(random.next()));
        let sampling = async {
            while Instant::now() + every < load_ends {
                sleep(every).await;
                record(&mut samples, Sample::take(&world, elapsed(), false));
            }
            sleep_until(load_ends.into()).await;
        };
        tokio::select! {
            () = weather => {}
            () = sampling => {}
        }
        world.stops.store(true, Relaxed);
        world.server.set(Weather::Well);
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no worker panics")
            }
        };
        if timeout(ANY_CALL, all).await.is_err() {
            wrong.extend(stuck());
            return Ok(wrong);
        }
        wrong.extend(revive(&world, &mut random).await);
        wrong.extend(forget().into_iter().map(|what| format!("{what} in second {}", elapsed())));
        sleep(REST).await;
        for policy in apiguard::registry().iter() {
            policy.evict_idle();
        }
        world.parts.evict_idle();
        let rest = Sample::take(&world, elapsed(), true);
        record(&mut samples, rest);
        wrong.extend(verdict::of_rest(&rest));
    }
    wrong.extend(verdict::of_all(&samples));
    for kind in &KINDS {
        let [good, bad, left] = [&kind.tally.good, &kind.tally.bad, &kind.tally.left].map(|count| count.load(Relaxed));
        println!("{:<44} {good:>9} good {bad:>8} bad {left:>8} left", kind.name);
    }
    for snapshot in apiguard::registry().snapshots() {
        println!("{snapshot}");
    }
    Ok(wrong)
}

/// A key whose last call failed stays until one of its calls succeeds. As many of these may be left as there are keys that fail; then
/// they begin anew, so that nothing of them is left at rest.
fn forget() -> Vec<String> {
    let mut wrong = Vec::new();
    for (policy, most) in SOMETIMES_FAILING {
        policy.evict_idle();
        let keys = policy.snapshot().keys;
        if keys > *most {
            wrong.push(format!("`{}` has {keys} keys, of the {most} that there are,", policy.name()));
        }
        policy.reset();
    }
    wrong
}

fn record(samples: &mut Vec<Sample>, sample: Sample) {
    println!("{sample}");
    samples.push(sample);
}

/// Calls that do not end.
fn stuck() -> Vec<String> {
    let running = KINDS.iter().map(|kind| (kind.name, kind.tally.running.load(Relaxed)));
    let mut stuck: Vec<_> = running
        .filter(|(_, running)| *running > 0)
        .map(|(name, running)| format!("{running} calls of `{name}` do not end"))
        .collect();
    if stuck.is_empty() {
        stuck.push("a worker does not end, and none of its calls runs".to_owned());
    }
    stuck
}

/// The server is well again: calls of each kind succeed again, soon.
async fn revive(world: &Arc<World>, random: &mut Random) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in &KINDS {
        let calls = async {
            while !kind.call(Arc::clone(world), Random::new(random.next())).await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(Duration::from_secs(3), calls).await.is_err() {
            wrong.push(format!("no call of `{}` succeeds though the server is well", kind.name));
        }
    }
    wrong
}
