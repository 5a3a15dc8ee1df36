//! The book that is kept of a policy beside the policy: who began when, how it ended, what the events said.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use apiguard::{BreakerState, Error, EventKind, Events, Policy, Retry, Settings, Verdict};

use super::breaker::Watch;
use super::clients::{Call, Failed, OWN_TIMEOUT, Way, verdict};
use super::ledger::{Entry, LATE, Ledger, MS, Passage};
use super::plan::Traffic;
use super::trace::What;
use super::world::World;

pub struct Book {
    pub index: usize,
    pub policy: Arc<Policy>,
    pub traffic: Traffic,
    pub settings: Cell<Settings>,
    /// How often the settings have changed.
    pub epoch: Cell<u32>,
    /// The first is that of the calls without a key.
    pub ledgers: RefCell<Vec<Ledger>>,
    events: RefCell<Events>,
    pub watch: RefCell<Watch>,
    pub tally: RefCell<Tally>,
}

/// What the policy should have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub attempts: u64,
    /// Calls that have made one.
    pub began: u64,
    pub good: u64,
    pub permanent: u64,
    pub throttled: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub abandoned: u64,
    pub rate_limited: u64,
    pub circuit_open: u64,
    pub saturated: u64,
    pub calls_timed_out: u64,
    pub rejected_otherwise: u64,
    /// Calls that were rejected without an attempt.
    pub rejected_at_once: u64,
    /// Retries that were planned, by what became of them.
    pub planned: u64,
    /// Retries under the policy's own budget.
    pub budgeted: u64,
    pub waited_first: u64,
    pub pauses: u64,
    pub seen: Seen,
}

/// What the events have said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub all: u64,
    pub missed: u64,
    pub waited: u64,
    pub retries: u64,
    pub over_budget: u64,
    pub rejected: u64,
    pub paused: u64,
    pub changes: u64,
    pub would_wait: u64,
    pub would_reject: u64,
    pub would_retry: u64,
}

/// An attempt that runs.
pub struct Begun<'w> {
    world: &'w World,
    call: &'w Call,
    entry: Entry,
    at: u64,
    generation: Option<u64>,
    ended: bool,
}

impl Book {
    pub fn new(index: usize, traffic: &Traffic) -> Book {
        let settings = traffic.settings;
        let policy = Policy::builder(format!("policy {index}")).settings(settings).build();
        let policy = Arc::new(policy.unwrap_or_else(|invalid| panic!("{invalid}: {settings}")));
        Book {
            index,
            traffic: traffic.clone(),
            settings: Cell::new(settings),
            epoch: Cell::new(0),
            ledgers: RefCell::new(vec![Ledger::new(&settings); usize::from(traffic.keys) + 1]),
            events: RefCell::new(policy.subscribe()),
            watch: RefCell::new(Watch::new()),
            tally: RefCell::default(),
            policy,
        }
    }

    pub fn has_keys(&self) -> bool {
        self.traffic.keys > 0
    }

    pub fn configure(&self, world: &World, settings: &Settings) {
        self.drain(world);
        let now = world.now();
        let was = self.settings.replace(*settings);
        self.epoch.set(self.epoch.get() + 1);
        self.ledgers.borrow_mut().iter_mut().for_each(|ledger| ledger.configure(settings, now));
        self.policy.configure(*settings).unwrap_or_else(|invalid| panic!("{invalid}: {settings}"));
        world.trace(self.index, 0, What::Configured { shadow: settings.is_shadow() });
        self.watch.borrow_mut().configure(&was, settings);
        self.drain(world);
    }

    /// Reads the events.
    pub fn drain(&self, world: &World) {
        let mut events = self.events.borrow_mut();
        let mut tally = self.tally.borrow_mut();
        let settings = self.settings.get();
        while let Some(event) = events.try_recv() {
            let seen = &mut tally.seen;
            seen.all += 1;
            let of = |duration: Duration| duration.as_nanos() as u64;
            let mut nanos = 0;
            match (&event.kind, event.shadow) {
                (EventKind::Waited { wait, .. }, shadow) => {
                    nanos = of(*wait);
                    *(if shadow { &mut seen.would_wait } else { &mut seen.waited }) += 1;
                }
                (EventKind::Retry { delay, .. }, shadow) => {
                    nanos = of(*delay);
                    *(if shadow { &mut seen.would_retry } else { &mut seen.retries }) += 1;
                    let cap = settings.retry().map_or(Duration::ZERO, Retry::longest_delay);
                    let cap = if self.traffic.own { cap.max(Duration::from_secs(60)) } else { cap };
                    world.check(*delay <= cap, || format!("a retry after {delay:?}, with a cap of {cap:?}"));
                }
                (EventKind::OverBudget { .. }, _) => {
                    seen.over_budget += 1;
                    let retries = seen.retries + seen.missed;
                    world.check(retries >= 10, || format!("over the budget after {retries} retries"));
                }
                (EventKind::Rejected { .. }, shadow) => {
                    *(if shadow { &mut seen.would_reject } else { &mut seen.rejected }) += 1;
                }
                (EventKind::Paused { pause, .. }, _) => {
                    nanos = of(*pause);
                    seen.paused += 1;
                    let most = settings.longest_pause();
                    world.check(*pause <= most, || format!("a pause of {pause:?}, at most {most:?}"));
                }
                (EventKind::Breaker { from, to, .. }, _) => {
                    seen.changes += 1;
                    nanos = *from as u64 * 8 + *to as u64;
                    if !self.has_keys() {
                        let said = self.watch.borrow_mut().changed(*from, *to, &settings);
                        world.hold(said);
                    }
                }
                (other, _) => world.fail(&format!("an event that cannot be: {other:?}")),
            }
            world.trace(self.index, 0, What::Event { name: event.kind.name(), shadow: event.shadow, nanos });
        }
        if tally.seen.missed != events.missed() {
            tally.seen.missed = events.missed();
            let stands = self.policy.snapshot().breaker.unwrap_or(BreakerState::Closed);
            self.watch.borrow_mut().lost(stands);
        }
        if !self.has_keys() {
            let said = self.watch.borrow_mut().settled();
            world.hold(said);
        }
    }

    /// How long a call has taken so far, if the settings were the same all the time.
    pub fn age(&self, world: &World, call: &Call) -> Option<u64> {
        (call.epoch == self.epoch.get()).then(|| world.now() - call.came)
    }

    /// A call comes.
    pub fn comes(&self, world: &World, call: &Call) {
        world.trace(self.index, call.id, What::Comes);
        self.ledgers.borrow_mut()[call.key].idle += 1;
    }

    pub fn begin<'w>(&self, world: &'w World, call: &'w Call, number: u32) -> Begun<'w> {
        // What is said of an attempt in shadow is said just before it begins.
        let before = self.tally.borrow().seen;
        self.drain(world);
        let seen = self.tally.borrow().seen;
        let passage = if seen.would_reject > before.would_reject {
            Passage::Refused
        } else if seen.would_wait > before.would_wait {
            Passage::Waits
        } else {
            Passage::Free
        };
        let now = world.now();
        let settings = self.settings.get();
        call.made.set(call.made.get() + 1);
        call.running.set(true);
        world.trace(self.index, call.id, What::Begins { number });
        world.check(number == call.made.get(), || format!("attempt {number}, after {} of them", call.made.get() - 1));
        {
            let mut tally = self.tally.borrow_mut();
            tally.attempts += 1;
            if number == 1 {
                tally.began += 1;
                tally.waited_first += u64::from(!settings.is_shadow() && now > call.came);
            } else {
                tally.planned += 1;
                tally.budgeted += u64::from(call.way != Way::Own);
            }
        }
        if settings.is_shadow() {
            let age = self.age(world, call);
            world.check(age.is_none_or(|age| age == 0 && number == 1), || {
                "in shadow a call runs once, and at once".into()
            });
        } else {
            self.check_times(world, call, &settings);
            self.check_budget(world, &settings);
        }
        self.ledgers.borrow_mut()[call.key].idle -= 1;
        let entry = self.ledgers.borrow_mut()[call.key].begin(call.cost, passage, now);
        let entry = entry.unwrap_or_else(|said| {
            world.fail(&format!("call {}: {said}", call.id));
            Ledger::new(&settings).begin(call.cost, Passage::Refused, now).unwrap_or_else(|said| panic!("{said}"))
        });
        let mut generation = None;
        if !self.has_keys() && passage != Passage::Refused {
            let begun = self.watch.borrow_mut().begin(now, &settings);
            match begun {
                Ok(begun) => generation = Some(begun),
                Err(said) => world.fail(&format!("call {}: {said}", call.id)),
            }
        }
        Begun { world, call, entry, at: now, generation, ended: false }
    }

    /// A call returns, or its caller has left.
    pub fn returns(&self, world: &World, call: &Call, result: Option<&Result<u32, Error<Failed>>>) {
        self.drain(world);
        let settings = self.settings.get();
        let mut tally = self.tally.borrow_mut();
        let now = world.now();
        let made = call.made.get();
        let reason = match result {
            None => "left",
            Some(Ok(_)) => "ok",
            Some(Err(Error::Call { attempts, .. })) => {
                world.check(*attempts == made, || format!("{attempts} attempts, and {made} were made"));
                "failed"
            }
            Some(Err(Error::Rejected(rejected))) => rejected.reason(),
        };
        call.outcome.set(Some(reason));
        world.trace(self.index, call.id, What::Returns { reason });
        let ended_now = call.ended.get().is_some_and(|(at, _)| at == now);
        let is_pausing = match reason {
            "left" => !call.left_running.get(),
            "timed_out" => !(call.timed_out.get() && ended_now),
            "ok" | "failed" => false,
            _ => true,
        };
        tally.planned += u64::from(made > 0 && is_pausing);
        if let Some(Err(Error::Rejected(rejected))) = result {
            match reason {
                "rate_limited" => tally.rate_limited += 1,
                "circuit_open" => tally.circuit_open += 1,
                "saturated" => tally.saturated += 1,
                "timed_out" => tally.calls_timed_out += 1,
                _ => tally.rejected_otherwise += 1,
            }
            tally.rejected_at_once += u64::from(made == 0);
            let age = self.age(world, call);
            world.check(age.is_none() || !settings.is_shadow(), || format!("{rejected}, in shadow"));
            let patience = settings.patience();
            world.check(made > 0 || age.is_none_or(|age| age <= patience + LATE + 2 * MS), || {
                format!("call {} is rejected after {age:?} ns, with {patience} to wait", call.id)
            });
        }
        self.check_refusal(world, call, reason);
        self.ledgers.borrow_mut()[call.key].idle -= 1;
        world.check(!call.running.get(), || format!("call {} returns and runs", call.id));
        let timeout = if call.way == Way::Own { Some(OWN_TIMEOUT) } else { settings.call_timeout() };
        if let (Some(age), Some(timeout), false) = (self.age(world, call), timeout, settings.is_shadow()) {
            let most = timeout.as_nanos() as u64 + 2 * MS;
            world.check(age <= most, || format!("call {} takes {age} ns, with a timeout of {timeout:?}", call.id));
        }
    }
}

impl Begun<'_> {
    /// The body returns.
    pub fn ends(&mut self, answer: &Result<u32, Failed>, used: u32) {
        let Begun { world, call, .. } = *self;
        let book = world.book(call);
        book.drain(world);
        let now = world.now();
        let status = answer.as_ref().err().map_or(200, |failed| failed.fault.status());
        world.trace(book.index, call.id, What::Answers { status });
        let verdict = verdict(answer);
        {
            let mut tally = book.tally.borrow_mut();
            match verdict {
                Verdict::Success => tally.good += 1,
                Verdict::Permanent => tally.permanent += 1,
                Verdict::Throttled { .. } => tally.throttled += 1,
                _ => tally.failed += 1,
            }
        }
        self.end(call.way.settles().then_some(used), Some(verdict));
        call.ended.set(Some((now, verdict.retry_after())));
        call.retried.set(matches!(verdict, Verdict::Transient { .. } | Verdict::Throttled { .. }));
        if let Verdict::Throttled { retry_after: Some(wait) } = verdict {
            let wait = wait.min(book.settings.get().longest_pause());
            if !wait.is_zero() {
                book.tally.borrow_mut().pauses += 1;
                book.ledgers.borrow_mut()[call.key].pause(now, now + wait.as_nanos() as u64);
            }
        }
    }

    fn end(&mut self, used: Option<u32>, verdict: Option<Verdict>) {
        let Begun { world, call, .. } = *self;
        let book = world.book(call);
        let now = world.now();
        self.ended = true;
        call.running.set(false);
        let mut ledgers = book.ledgers.borrow_mut();
        ledgers[call.key].end(&self.entry, used, now);
        ledgers[call.key].idle += 1;
        if let Some(generation) = self.generation {
            let settings = book.settings.get();
            book.watch.borrow_mut().end(generation, self.at, now, verdict, call.leaving.get(), &settings);
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Begun { world, call, .. } = *self;
        let book = world.book(call);
        book.drain(world);
        if call.leaving.get() {
            book.tally.borrow_mut().abandoned += 1;
            call.left_running.set(true);
        } else {
            book.tally.borrow_mut().timed_out += 1;
            call.timed_out.set(true);
            world.trace(book.index, call.id, What::TimesOut);
        }
        call.ended.set(Some((world.now(), None)));
        self.end(None, None);
    }
}
