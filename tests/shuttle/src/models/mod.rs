//! The models, and how they are run.

mod breaker;
mod keys;
mod waiters;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::clock;

/// Where each model begins: far from the ends of the clock.
const START: u64 = 1_000_000_000_000;
/// How often priorities change in a schedule.
const CHANGES: usize = 3;

/// Times that a model got to where it means something: so often that nobody can take it for empty.
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Something happened that the model is about.
fn reached() {
    REACHED.fetch_add(1, Relaxed);
}

struct Run {
    iterations: usize,
    seed: u64,
    only: Option<String>,
}

pub(crate) fn run() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let run = Run {
        iterations: number("APIGUARD_SHUTTLE_ITERATIONS").unwrap_or(12_000) as usize,
        seed: number("APIGUARD_SEED").unwrap_or_else(|| RandomState::new().hash_one(0)),
        only: std::env::args().nth(1),
    };
    println!("{} schedules each, APIGUARD_SEED={}", run.iterations, run.seed);
    println!("{:<76} {:>9}", "model", "reached");
    run.model("tokens of those who leave: as many are there as were before, and nobody waits on", waiters::conserved);
    run.model("attempts in flight: never more than may be, and none is left", waiters::in_flight);
    run.model("turns on time: each as early as the rate allows, in the order of arrival", waiters::punctual);
    run.model("turns that are late: never above the rate", waiters::late);
    run.model("turns that are late under other settings: never above those that hold", waiters::other_settings);
    run.model("keys that come and go: one state each, and no token twice", keys::come_and_go);
    run.model("keys under other settings: what was taken stays taken", keys::other_settings);
    run.model("values for keys: one each as long as it is held or says anything", keys::values);
    run.model("probes that are dropped: so many at a time, and each place comes back", breaker::probes);
}

impl Run {
    fn model(&self, name: &str, body: fn()) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        REACHED.store(0, Relaxed);
        let half = (self.iterations / 2).max(1);
        self.schedules(RandomScheduler::new_from_seed(self.seed, half), body);
        self.schedules(PctScheduler::new_from_seed(self.seed, CHANGES, half), body);
        let reached = REACHED.load(Relaxed);
        println!("{name:<76} {reached:>9}");
        assert!(reached > 0, "the model never got to what it is about");
    }

    fn schedules(&self, scheduler: impl Scheduler + 'static, body: fn()) {
        let mut config = Config::new();
        // Orderings are the business of loom.
        config.silence_warnings = true;
        config.max_steps = MaxSteps::FailAfter(100_000);
        Runner::new(scheduler, config).run(move || {
            clock::begin(START);
            body();
        });
    }
}
