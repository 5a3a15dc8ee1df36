//! The service, and what may not happen to it: more attempts than a limit allows, one while the breaker is open or a pause lasts, more
//! probes than there may be, a retry too many, a call that waits longer than it said.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use apiguard::{BreakerState, Error, EventKind, Events, Policy, Settings};
use tokio::time::{Instant, advance};

use super::{End, Plan, Step, Way};

/// What timers are late is made up.
const LATE: Duration = Duration::from_millis(2);
/// A timer of the runtime counts in these.
const TICK: Duration = Duration::from_millis(1);
/// A task that is run later than this pays again.
const PARKED: Duration = Duration::from_millis(50);
/// From then on every attempt works at once, or there would be no end of retries.
const MOST_ATTEMPTS: usize = 1_500;

pub(super) struct World {
    policy: Arc<Policy>,
    start: Instant,
    settings: Cell<Settings>,
    /// How often the settings have changed.
    epoch: Cell<usize>,
    /// When they changed last.
    since: Cell<Option<Duration>>,
    /// Whether time has passed without anybody being run.
    stood_still: Cell<bool>,
    attempts: RefCell<Vec<Attempt>>,
    /// Of whom, from when, until when.
    pauses: RefCell<Vec<(Option<u8>, Duration, Duration)>>,
    events: RefCell<Events>,
    /// How often a breaker has changed.
    changes: Cell<u64>,
    pub(super) sums: Sums,
}

/// What the policy should have counted.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) good: Cell<u64>,
    pub(super) permanent: Cell<u64>,
    pub(super) failed: Cell<u64>,
    pub(super) throttled: Cell<u64>,
    /// Ended by nobody: dropped by the caller or by a timeout, or panicked.
    pub(super) dropped: Cell<u64>,
    pub(super) rejected: Cell<u64>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

struct Attempt {
    key: Option<u8>,
    epoch: usize,
    at: Duration,
    cost: u32,
    ended: Option<Duration>,
    /// For a probe, the changes of breakers before it.
    probe: Option<u64>,
}

pub(super) struct Call {
    pub(super) plan: Plan,
    pub(super) made: Cell<u32>,
    pub(super) returned: Cell<bool>,
    came: Cell<Option<(Duration, usize)>>,
}

impl Call {
    pub(super) fn new(plan: Plan) -> Call {
        Call { plan, made: Cell::new(0), returned: Cell::new(false), came: Cell::new(None) }
    }
}

/// An attempt that runs.
pub(super) struct Begun<'w> {
    world: &'w World,
    index: usize,
    way: Way,
    end: Option<End>,
}

impl World {
    pub(super) fn new(policy: Arc<Policy>) -> World {
        World {
            start: Instant::now(),
            settings: Cell::new(policy.settings()),
            epoch: Cell::new(0),
            since: Cell::new(None),
            stood_still: Cell::new(false),
            attempts: RefCell::default(),
            pauses: RefCell::default(),
            events: RefCell::new(policy.subscribe()),
            changes: Cell::new(0),
            sums: Sums::default(),
            policy,
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Lets time pass while nobody is run, as when the machine is suspended.
    pub(super) async fn stand_still(&self, time: Duration) {
        self.stood_still.set(true);
        advance(time).await;
    }

    pub(super) fn configured(&self, settings: Settings) {
        self.settings.set(settings);
        self.epoch.set(self.epoch.get() + 1);
        self.since.set(Some(self.now()));
    }

    /// No pause lasts any longer.
    pub(super) fn resumed(&self) {
        let now = self.now();
        self.pauses.borrow_mut().iter_mut().for_each(|(_, _, until)| *until = now.min(*until));
    }

    pub(super) fn ended(&self) -> u64 {
        self.attempts.borrow().iter().filter(|attempt| attempt.ended.is_some()).count() as u64
    }

    pub(super) fn begun(&self) -> u64 {
        self.attempts.borrow().len() as u64
    }

    pub(super) fn epochs(&self) -> usize {
        self.epoch.get() + 1
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now()
    }

    pub(super) fn comes(&self, call: &Call) {
        call.came.set(Some((self.now(), self.epoch.get())));
    }

    /// How long a call has taken so far, if the settings were the same all the time and everybody was run.
    fn age(&self, call: &Call) -> Option<Duration> {
        let (came, epoch) = call.came.get()?;
        (epoch == self.epoch.get() && !self.stood_still.get()).then(|| self.now() - came)
    }

    pub(super) fn step(&self, call: &Call) -> Step {
        let index = (call.made.get() as usize - 1) % call.plan.steps.len();
        let step = call.plan.steps[index];
        if self.attempts.borrow().len() < MOST_ATTEMPTS {
            step
        } else {
            Step { delay: Duration::ZERO, end: End::Good, ..step }
        }
    }

    pub(super) fn begin(&self, call: &Call, number: u32) -> Begun<'_> {
        let settings = self.settings.get();
        let key = call.plan.key;
        call.made.set(call.made.get() + 1);
        assert_eq!(number, call.made.get(), "the number of the attempt");
        let mut probe = None;
        if settings.is_shadow() {
            assert!(
                self.age(call).is_none_or(|age| age.is_zero() && number == 1),
                "in shadow a call runs once, and at once"
            );
        } else {
            probe = self.check_breaker(key, &settings);
            self.check_pause(key);
            self.check_call(call, &settings);
        }
        let attempt =
            Attempt { key, epoch: self.epoch.get(), at: self.now(), cost: call.plan.cost, ended: None, probe };
        let index = self.attempts.borrow().len();
        self.attempts.borrow_mut().push(attempt);
        if !settings.is_shadow() {
            self.check_limits(key, &settings);
        }
        Begun { world: self, index, way: call.plan.way, end: None }
    }

    /// Whether the attempt is a probe, and after how many changes.
    fn check_breaker(&self, key: Option<u8>, settings: &Settings) -> Option<u64> {
        let mut events = self.events.borrow_mut();
        let changes = std::iter::from_fn(|| events.try_recv())
            .filter(|event| matches!(event.kind, EventKind::Breaker { .. }))
            .count();
        self.changes.set(self.changes.get() + changes as u64);
        let state = self.policy.snapshot().breaker;
        assert_ne!(state, Some(BreakerState::ForcedOpen), "let through by a breaker that is forced open");
        if key.is_some() {
            return None;
        }
        assert_ne!(state, Some(BreakerState::Open), "let through by an open breaker");
        let breaker = settings.circuit_breaker().filter(|_| state == Some(BreakerState::HalfOpen))?;
        // What events were missed hides changes.
        let generation = self.changes.get() + events.missed();
        let attempts = self.attempts.borrow();
        let of_now =
            || attempts.iter().filter(|probe| probe.probe == Some(generation) && probe.epoch == self.epoch.get());
        // One that has not ended for so long is written off, and another one takes its place; when it ends after all, one
        // more does.
        let written_off = breaker.recovery_time().max(Duration::from_secs(60));
        let is_late = |probe: &&Attempt| probe.ended.unwrap_or(self.now()) - probe.at >= written_off;
        let late = of_now().filter(is_late).count();
        let running = of_now().filter(|probe| probe.ended.is_none() && !is_late(probe)).count() + 1;
        assert!(running <= breaker.probe_limit() as usize + late, "{running} probes, {late} late: {breaker}");
        Some(generation)
    }

    fn check_pause(&self, key: Option<u8>) {
        let now = self.now();
        for (whose, from, until) in &*self.pauses.borrow() {
            // What was granted at the instant runs; who was granted and not run starts late.
            let lasts = now > *from && now < *until && !self.stood_still.get();
            assert!(*whose != key || !lasts, "at {now:?}, in a pause from {from:?} to {until:?}");
        }
    }

    fn check_call(&self, call: &Call, settings: &Settings) {
        let Some(age) = self.age(call) else { return };
        let (plan, number) = (&call.plan, call.made.get());
        let retries = if plan.way == Way::Own { 2 } else { settings.retry().map_or(0, |retry| retry.max()) };
        assert!(u64::from(number) <= u64::from(retries) + 1, "attempt {number} with {retries} retries");
        let timeout = if plan.way == Way::Own { Some(Duration::from_secs(5)) } else { settings.call_timeout() };
        assert!(timeout.is_none_or(|timeout| age < timeout), "attempt {number} begins after {age:?} of {timeout:?}");
        if number == 1 {
            let patience = Duration::from_nanos(settings.patience());
            let patience = timeout.map_or(patience, |timeout| patience.min(timeout / 2));
            assert!(age <= patience + LATE + TICK, "a turn after {age:?}, with {patience:?} to wait");
        }
    }

    /// With the attempt that begins: the last one.
    fn check_limits(&self, key: Option<u8>, settings: &Settings) {
        let attempts = self.attempts.borrow();
        let now = self.now();
        let late = if self.stood_still.get() { LATE + PARKED } else { LATE };
        // Those who were granted under the settings before begin at the instant of the change, or late.
        let granted_before = self.since.get().map(|since| if self.stood_still.get() { since + PARKED } else { since });
        if granted_before.is_some_and(|before| now <= before) {
            return;
        }
        let is_of_now =
            |attempt: &&Attempt| attempt.key == key && granted_before.is_none_or(|before| attempt.at > before);
        let of_now = || attempts.iter().rev().filter(is_of_now);
        for rate in settings.rates() {
            let period = rate.period().as_nanos();
            let mut sum = 0;
            for attempt in of_now() {
                sum += u128::from(attempt.cost);
                // burst + rate x t, times the period.
                let time = now - attempt.at;
                let most = u128::from(rate.capacity()) * period + u128::from(rate.count()) * (time + late).as_nanos();
                assert!(sum * period <= most, "{sum} tokens in {time:?} of {rate}");
            }
        }
        for quota in settings.quotas() {
            let window = quota.window().saturating_sub(if self.stood_still.get() { PARKED } else { Duration::ZERO });
            let inside = of_now().filter(|attempt| now - attempt.at < window);
            let sum: u64 = inside.map(|attempt| u64::from(attempt.cost)).sum();
            assert!(sum <= u64::from(quota.count()), "{sum} tokens in a window of {quota}");
        }
        if let Some(limit) = settings.concurrency_limit() {
            let in_flight = of_now().filter(|attempt| attempt.ended.is_none()).count();
            assert!(in_flight <= limit.limit() as usize, "{in_flight} in flight of {}", limit.limit());
        }
    }

    pub(super) fn returns(&self, call: &Call, result: Result<u32, Error<()>>) {
        let settings = self.settings.get();
        call.returned.set(true);
        match result {
            Ok(_) => assert!(call.made.get() > 0),
            Err(Error::Call { attempts, .. }) => assert_eq!(attempts, call.made.get()),
            Err(Error::Rejected(rejected)) => {
                count(&self.sums.rejected);
                assert!(!rejected.to_string().is_empty() && rejected.policy() == "p");
                let is_same = self.age(call).is_some();
                assert!(!is_same || !settings.is_shadow(), "{rejected}, in shadow");
            }
        }
        let own = call.plan.way == Way::Own;
        let timeout = if own { Some(Duration::from_secs(5)) } else { settings.call_timeout() };
        if let (Some(age), Some(timeout), false) = (self.age(call), timeout, settings.is_shadow()) {
            assert!(age <= timeout + LATE, "a call of {age:?}, with a timeout of {timeout:?}");
        }
    }
}

impl Begun<'_> {
    /// The body returns.
    pub(super) fn ends(&mut self, end: End, used: u32) {
        let World { attempts, pauses, sums, .. } = self.world;
        self.end = Some(end);
        let mut attempts = attempts.borrow_mut();
        let attempt = &mut attempts[self.index];
        if matches!(self.way, Way::Attribute | Way::Keyed) {
            // What it has used beyond is charged, and holds the others back; that may itself be too much.
            attempt.cost = attempt.cost.min(used);
        }
        let knows_verdicts = self.way != Way::KeyedClosure;
        match end {
            End::Good => count(&sums.good),
            End::Permanent if knows_verdicts => count(&sums.permanent),
            End::Throttled(asked) if knows_verdicts => {
                count(&sums.throttled);
                let now = self.world.now();
                let pause = asked.unwrap_or_default().min(self.world.settings.get().longest_pause());
                pauses.borrow_mut().push((attempt.key, now, now.saturating_add(pause)));
            }
            _ => count(&sums.failed),
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.world.attempts.borrow_mut()[self.index].ended = Some(self.world.now());
        if self.end.is_none() {
            count(&self.world.sums.dropped);
        }
    }
}
