//! Tasks that take tokens or wait for them, and are aborted at any await.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_spec::{Concurrency, Rate, Settings};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};

use super::reached;
use crate::clock::{self, Hold, NANOS_PER_MS, Pace};
use crate::limiter::{Entry, Limiter, Refusal, Taken, Turn};
use crate::random;

const TASKS: u32 = 5;
/// How late a turn may be for it to be made up.
const LATENESS: u64 = 2 * NANOS_PER_MS;

/// A limiter and the settings that it holds, as a policy keeps them.
struct Under {
    limiter: Arc<Limiter>,
    settings: shuttle::sync::Mutex<Settings>,
    admitted: Mutex<Vec<Admitted>>,
    /// Attempts that run at present, and whether there were ever more than may be.
    running: AtomicU32,
    most: u32,
}

/// An attempt that was let through.
#[derive(Clone, Copy)]
struct Admitted {
    cost: u32,
    /// Just before it asked.
    asked: u64,
    /// Just after it had a place in the line; none if it was let through at once.
    queued: Option<u64>,
    /// When it was granted, by the limiter.
    at: u64,
    /// Just after it knew.
    got: u64,
    /// Whether it ran, and did not give its tokens back.
    ran: bool,
}

/// What was taken for an attempt: given back unless it runs.
struct Held<'u> {
    under: &'u Under,
    taken: Option<Taken>,
    number: usize,
}

impl Held<'_> {
    /// The attempt has run, and has ended.
    fn ran(mut self) {
        let taken = self.taken.take().expect("taken until it has run or is dropped");
        self.under.admitted()[self.number].ran = true;
        self.under.running.fetch_sub(1, Relaxed);
        self.under.limiter.release(taken.flight());
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.under.running.fetch_sub(1, Relaxed);
            self.under.limiter.give_back(taken);
        }
    }
}

impl Under {
    fn new(settings: Settings, most: u32) -> Arc<Under> {
        Arc::new(Under {
            limiter: Arc::new(Limiter::unchecked(&settings)),
            settings: shuttle::sync::Mutex::new(settings),
            admitted: Mutex::default(),
            running: AtomicU32::new(0),
            most,
        })
    }

    fn admitted(&self) -> std::sync::MutexGuard<'_, Vec<Admitted>> {
        self.admitted.lock().expect("no assertion is made under it")
    }

    async fn enter(&self, cost: u32, asks: Hold) -> Result<Held<'_>, Refusal> {
        let asked = clock::now();
        let settings = || *self.settings.lock().expect("no panic under it");
        let entry = self.limiter.enter(settings, cost, asked, clock::NEVER);
        let (taken, queued) = match entry? {
            Entry::Taken(taken) => (taken, None),
            Entry::Turn(ticket) => {
                let turn = Turn::new(Arc::clone(&self.limiter), ticket);
                let queued = clock::now();
                (clock::prompt(turn, asks).await?, Some(queued))
            }
        };
        let running = self.running.fetch_add(1, Relaxed) + 1;
        let mut admitted = self.admitted();
        admitted.push(Admitted { cost, asked, queued, at: taken.at(), got: clock::now(), ran: false });
        let held = Held { under: self, taken: Some(taken), number: admitted.len() - 1 };
        drop(admitted);
        assert!(running <= self.most, "{running} at a time");
        Ok(held)
    }

    fn configure(&self, new: Settings) {
        // One at a time: the models have one task that does it.
        let old = std::mem::replace(&mut *self.settings.lock().expect("no panic under it"), new);
        self.limiter.configure(&old, &new);
    }

    /// Whoever had a place before another one asked, and did not leave, had its turn before that one.
    fn assert_order(&self) {
        let admitted = self.admitted().clone();
        for first in &admitted {
            for other in &admitted {
                let came_first = first.queued.is_some_and(|queued| queued < other.asked);
                assert!(!(came_first && first.at > other.got), "a place in the line was overtaken");
            }
        }
    }
}

/// A call: most run, some are given back before they do. It may be aborted at each await.
async fn call(under: Arc<Under>, cost: u32, runs: bool, asks: Hold) -> Result<(), Refusal> {
    let held = under.enter(cost, asks).await?;
    for _ in 0..random::below(3) {
        yield_now().await;
    }
    if runs {
        held.ran();
    }
    Ok(())
}

/// Runs calls while time passes and `meanwhile` happens; aborts two of them at some point. Fails if one of the others never ends.
fn run(under: &Arc<Under>, pace: Pace, calls: Vec<(u32, bool)>, meanwhile: impl Future<Output = ()> + Send + 'static) {
    block_on(async {
        let ends = Arc::new(AtomicBool::new(false));
        let time = spawn(clock::pass(pace, Arc::clone(&ends)));
        let tasks: Vec<JoinHandle<_>> =
            calls.into_iter().map(|(cost, runs)| spawn(call(Arc::clone(under), cost, runs, clock::hold()))).collect();
        let meanwhile = spawn(meanwhile);
        for _ in 0..2 {
            yield_now().await;
            tasks[random::below(u64::from(TASKS)) as usize].abort();
        }
        for task in tasks {
            if task.await.is_err() {
                reached();
            }
        }
        meanwhile.await.expect("nobody aborts it");
        ends.store(true, Relaxed);
        clock::look();
        time.await.expect("nobody aborts it");
    });
    assert_eq!(under.limiter.waiting(), 0, "a place in the line is left");
    under.assert_order();
}

/// Time all but stands still, so that nothing is regained: what is there at the end was there or was given back. (What could have
/// been regained while it was held is not given back: some nanoseconds of the hour that a token takes.) Other limits come and go
/// beside the rate, which stays.
pub(super) fn conserved() {
    const BURST: u32 = 4;
    let rate = Settings::new().rate(Rate::per_hour(1).burst(BURST));
    let under = Under::new(rate, u32::MAX);
    // One runs; the others give back what they took, so that all have their turn in the end.
    let calls = (0..TASKS).map(|task| (1 + random::below(2) as u32, task == 0)).collect();
    let changed = Arc::clone(&under);
    run(&under, Pace::Until(super::START + NANOS_PER_MS), calls, async move {
        for _ in 0..2 {
            yield_now().await;
            changed.configure(rate.concurrency(Concurrency::new(1 + random::below(2) as u32)));
            yield_now().await;
            changed.configure(rate);
        }
    });
    let kept: u32 = under.admitted().iter().filter(|admitted| admitted.ran).map(|admitted| admitted.cost).sum();
    clock::advance(Duration::from_millis(1));
    assert_eq!(under.limiter.available(), Some(BURST - kept), "a token is lost, or there twice");
    clock::advance(Duration::from_secs(3_600 * 10));
    assert!(under.limiter.is_full(), "something is left of a call");
}

/// No rate: who waits is woken by the end of an attempt, and by nothing else.
pub(super) fn in_flight() {
    const MOST: u32 = 2;
    let under = Under::new(Settings::new().concurrency(Concurrency::new(MOST)), MOST);
    let calls = (0..TASKS).map(|_| (1, random::below(2) == 0)).collect();
    run(&under, Pace::Until(0), calls, async {});
    assert_eq!(under.limiter.in_flight(), Some(0), "an attempt that has ended is in flight");
    assert!(under.limiter.is_full());
}

/// A token each millisecond, and timers on time: the last one has its turn when all that were asked for are regained.
pub(super) fn punctual() {
    const BURST: u32 = 2;
    let under = Under::new(Settings::new().rate(Rate::per_second(1_000).burst(BURST)), u32::MAX);
    let calls: Vec<_> = (0..TASKS).map(|_| (1 + random::below(2) as u32, random::below(4) > 0)).collect();
    let asked: u32 = calls.iter().map(|(cost, _)| cost).sum();
    run(&under, Pace::Punctual, calls, async {});
    let last = under.admitted().iter().map(|admitted| admitted.at).max().unwrap_or(super::START);
    let by = super::START + u64::from(asked.saturating_sub(BURST)) * NANOS_PER_MS;
    // The readings of the clock take some nanoseconds.
    assert!(last <= by + NANOS_PER_MS / 2, "{} us too late: a token is lost", (last - by) / 1_000);
    assert_rate(&under.admitted(), 1_000, BURST);
    clock::advance(Duration::from_secs(1));
    assert_eq!(under.limiter.available(), Some(BURST));
    assert!(under.limiter.is_full());
}

/// Timers up to 5 ms late, and tasks run when the schedule says so.
pub(super) fn late() {
    const BURST: u32 = 3;
    let under = Under::new(Settings::new().rate(Rate::per_second(500).burst(BURST)), u32::MAX);
    let calls = (0..TASKS).map(|_| (1 + random::below(3) as u32, random::below(4) > 0)).collect();
    run(&under, Pace::Late(5 * NANOS_PER_MS), calls, async {});
    assert_rate(&under.admitted(), 500, BURST);
    clock::advance(Duration::from_secs(1));
    assert_eq!((under.limiter.available(), under.limiter.is_full()), (Some(BURST), true));
}

/// The same while the settings change: rate, burst, and a limit beside them. Each holds for what is granted under it.
pub(super) fn other_settings() {
    let settings = [(1_000, 2), (500, 3), (1_000, 3)];
    let all = settings.map(|(rate, burst)| Settings::new().rate(Rate::per_second(rate).burst(burst)));
    let all = [all[0], all[1], all[2].concurrency(Concurrency::new(2))];
    let under = Under::new(all[1], u32::MAX);
    // Three tokens are refused where there are never so many.
    let calls = (0..TASKS).map(|_| (1 + random::below(3) as u32, random::below(4) > 0)).collect();
    let changed = Arc::clone(&under);
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    run(&under, Pace::Late(5 * NANOS_PER_MS), calls, async move {
        let mut holds = 1;
        for change in 0..4 {
            yield_now().await;
            let next = if change == 3 { 0 } else { random::below(3) as usize };
            let begins = clock::now();
            changed.configure(all[next]);
            seen.lock().expect("no panic under it").push((holds, begins, clock::now()));
            holds = next;
        }
    });
    let (mut from, admitted) = (0, under.admitted().clone());
    for &(holds, begins, ended) in &*changes.lock().expect("no panic under it") {
        // What is granted while they change is under either.
        let under_it: Vec<_> = admitted.iter().filter(|one| from < one.at && one.at < begins).copied().collect();
        assert_rate(&under_it, u64::from(settings[holds].0), settings[holds].1);
        from = ended;
    }
    clock::advance(Duration::from_secs(1));
    assert_eq!((under.limiter.available(), under.limiter.is_full()), (Some(2), true));
}

/// Between any two attempts that ran there are no more tokens than burst and rate allow.
fn assert_rate(admitted: &[Admitted], per_second: u64, burst: u32) {
    let mut ran: Vec<_> = admitted.iter().filter(|admitted| admitted.ran).copied().collect();
    ran.sort_by_key(|admitted| admitted.at);
    for (index, first) in ran.iter().enumerate() {
        let mut tokens = 0;
        for last in &ran[index..] {
            tokens += u64::from(last.cost);
            let regained = (last.at - first.at + LATENESS) * per_second / 1_000_000_000;
            let allowed = u64::from(burst) + regained;
            assert!(tokens <= allowed, "{tokens} tokens in {} ns", last.at - first.at);
        }
    }
}
