//! A million keys, each with a rate of its own: what one takes while it is live, what its check costs when a random one
//! comes, and what is left of all of them when nobody has come for long enough.
//!
//! governor drops idle keys when it is told to, by `retain_recent` and `shrink_to_fit`; apiguard drops some with each new key,
//! and all by `evict_idle`. A policy with a key has a breaker for each beside the rate, and its check is a whole call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use apiguard::{Keyed, Policy, Rate, TokenBucket};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::call::{AppError, finish};
use crate::measure::{Random, live_bytes};
use crate::table::{APIGUARD, GOVERNOR, Table};

const KEYS: u64 = 1_000_000;
/// Checks of random keys in one turn, and turns.
const CHECKS: u32 = 50_000;
const TURNS: usize = 20;
/// A token comes back in this time, longer than the keys are worked with: until then all are live.
const REFILL: Duration = Duration::from_secs(20);
/// So many keys can have been used, to their two tokens.
const IDLE: Duration = Duration::from_secs(40);

/// Bytes that the work has allocated and not freed.
fn allocated(work: impl FnOnce()) -> f64 {
    let before = live_bytes();
    work();
    live_bytes() - before
}

/// Nanoseconds of a check of a random key.
fn random_checks(random: &mut Random, check: impl Fn(u64)) -> f64 {
    let start = Instant::now();
    for _ in 0..CHECKS {
        check(random.below(KEYS));
    }
    start.elapsed().as_nanos() as f64 / f64::from(CHECKS)
}

/// The keys, on their way to being idle.
pub struct Keys {
    ours: Keyed<u64, TokenBucket>,
    governor: DefaultKeyedRateLimiter<u64>,
    /// Of all keys while they were live.
    bytes: [f64; 3],
    nanos: [f64; 3],
    last_used: Instant,
}

impl Keys {
    /// Makes them live, and measures that.
    pub fn live() -> Keys {
        let ours = Keyed::new();
        let rate = Rate::new(1, REFILL).burst(2);
        let check_ours = |key| {
            let bucket = ours.get_or_insert_with(&key, || TokenBucket::with_rate(rate).expect("a rate"));
            let _ = black_box(bucket.try_acquire(1));
        };
        let quota = Quota::with_period(REFILL).expect("a quota").allow_burst(2.try_into().expect("not zero"));
        let governor = DefaultKeyedRateLimiter::keyed(quota);
        let check_governor = |key| drop(black_box(governor.check_key(&key)));

        let policy = Policy::builder("benches.keys").rate(rate.max_wait(Duration::ZERO)).build().expect("a policy");
        let check_policy = |key| {
            let _ = black_box(finish(policy.call_keyed(&key, async || Ok::<_, AppError>(key))));
        };

        let start = Instant::now();
        let bytes = [
            allocated(|| (0..KEYS).for_each(check_ours)),
            allocated(|| (0..KEYS).for_each(check_governor)),
            allocated(|| (0..KEYS).for_each(check_policy)),
        ];
        let mut random = Random::new();
        let mut nanos = [f64::INFINITY; 3];
        for _ in 0..TURNS {
            nanos[0] = nanos[0].min(random_checks(&mut random, check_ours));
            nanos[1] = nanos[1].min(random_checks(&mut random, check_governor));
            nanos[2] = nanos[2].min(random_checks(&mut random, check_policy));
        }
        let worked = start.elapsed();
        assert!(worked < REFILL, "keys became idle while they were worked with, for {worked:?}");
        assert_eq!((ours.len() as u64, governor.len() as u64), (KEYS, KEYS));
        Keys { ours, governor, bytes, nanos, last_used: Instant::now() }
    }

    /// Waits until they are idle, and drops them.
    pub fn rows(self, table: &mut Table) {
        std::thread::sleep(IDLE.saturating_sub(self.last_used.elapsed()));
        let freed = [
            allocated(|| assert_eq!(self.ours.evict_idle() as u64, KEYS)),
            allocated(|| {
                self.governor.retain_recent();
                self.governor.shrink_to_fit();
            }),
        ];
        let row = |values: &[f64]| {
            let cells: Vec<_> = values.iter().map(|value| format!("{value:.0}")).collect();
            [APIGUARD, GOVERNOR].into_iter().zip(cells)
        };
        let bytes = self.bytes.map(|bytes| bytes / KEYS as f64);
        table.row("1 000 000 keys: bytes of a live one", row(&bytes));
        table.row("... of a policy with a `key`", row(&bytes[2..]));
        table.row("... the check of a random one: ns", row(&self.nanos));
        table.row("... a call of a policy with a `key`", row(&self.nanos[2..]));
        table.row("... KiB left once idle and dropped", row(&[0, 1].map(|at| (self.bytes[at] + freed[at]) / 1_024.0)));
    }
}
