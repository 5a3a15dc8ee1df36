//! Random histories of {take, wait, cancel, end, settle, pause, configure, advance, jump, stall} on a clock of their own, against a
//! naive model: the list of what was granted.
//!
//! Who waits is polled when its waker was called or its timer has ended (up to 2 ms late), as an executor would: a lost wake-up
//! shows as somebody who is never served. A failing history prints its seed; `APIGUARD_HISTORIES=10000000` runs more of them,
//! `APIGUARD_SEED=7` that one alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use guard_spec::{Concurrency, Quota, Rate};

use super::*;
use crate::clock::manual;
use crate::dice::{Dice, histories};

const MS: u64 = 1_000_000;
const DAY: u64 = 86_400_000 * MS;
const LATE: u64 = 2 * MS;
/// As far as two processors' clocks may differ.
const BACK: u64 = 1_000;

/// Up to three rates and two quotas, and a limit of what is in flight: often one rate alone.
fn settings(dice: &mut Dice, max_wait: Duration) -> Settings {
    let rate = |dice: &mut Dice| {
        let burst = 1 + dice.below(5) as u32;
        Rate::new(1 + dice.below(20) as u32, ms(10 + dice.below(500))).burst(burst).max_wait(max_wait)
    };
    let mut settings = Settings::new().rate(rate(dice));
    if dice.one_in(2) {
        return settings;
    }
    if dice.one_in(4) {
        settings = Settings::new();
    }
    for _ in 0..dice.below(3) {
        settings = settings.and_rate(rate(dice));
    }
    for _ in 0..dice.below(3) {
        // Above 250 tokens are counted in groups.
        let count = if dice.one_in(3) { 251 + dice.below(1_000) } else { 1 + dice.below(20) } as u32;
        settings = settings.and_quota(Quota::new(count, ms(1 + dice.below(3_000))).max_wait(max_wait));
    }
    if dice.one_in(2) {
        settings = settings.concurrency(Concurrency::new(1 + dice.below(4) as u32).max_wait(max_wait));
    }
    settings
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

struct Waiting<'a> {
    number: usize,
    cost: u32,
    latest: u64,
    turn: Turn<&'a Limiter>,
    flag: Arc<Flag>,
    /// When its timer ends; with how much it is late.
    timer: u64,
    /// Not polled by anybody, for now.
    is_parked: bool,
}

#[derive(Clone, Copy)]
struct Granted {
    at: u64,
    /// What it has used in the end.
    cost: u32,
    taken: Taken,
    number: usize,
    has_ended: bool,
}

/// Settings, and since when they hold.
struct Epoch {
    since: u64,
    settings: Settings,
}

struct World<'a> {
    seed: u64,
    dice: Dice,
    now: u64,
    /// The latest instant that any clock has shown.
    latest: u64,
    limiter: &'a Limiter,
    epochs: Vec<Epoch>,
    max_wait: Duration,
    line: Vec<Waiting<'a>>,
    grants: Vec<Granted>,
    arrivals: usize,
    paused_until: u64,
    /// When more was used than was taken, the last time.
    charged: u64,
    /// From when until when.
    pauses: Vec<(u64, u64)>,
    /// What came back, was charged or was put off leaves the rates with less than the model has, never more; until all is there.
    rates_are_exact: bool,
    /// Grants from there on count for the exact model.
    exact_from: usize,
    /// Whether somebody was ever left unpolled.
    has_parked: bool,
}

impl World<'_> {
    fn settings(&self) -> &Settings {
        &self.epochs[self.epochs.len() - 1].settings
    }

    fn set_clock(&mut self, now: u64) {
        self.now = now;
        self.latest = self.latest.max(now);
        manual::set(Some(now));
    }

    /// Attempts in flight that were let through since attempts are limited; at the instant of a change it may be before or after.
    fn in_flight(&self, after_change: bool) -> usize {
        let limited = self.epochs.iter().rev().take_while(|epoch| epoch.settings.concurrency_limit().is_some());
        let from = limited.last().map_or(u64::MAX, |epoch| epoch.since);
        let is_counted = |at: u64| at > from || after_change && at == from;
        self.grants.iter().filter(|grant| !grant.has_ended && is_counted(grant.at)).count()
    }

    fn cost(&mut self) -> u32 {
        1 + self.dice.below(u64::from(self.settings().most_tokens().min(5))) as u32
    }

    fn record(&mut self, taken: Taken, number: usize) {
        let seed = self.seed;
        let is_in_pause = self.pauses.iter().any(|(from, until)| (*from + BACK..*until).contains(&taken.at()));
        assert!(!is_in_pause, "seed {seed}: granted in a pause");
        assert!(taken.at() <= self.now + BACK, "seed {seed}: granted in the future");
        self.grants.push(Granted { at: taken.at(), cost: taken.cost, taken, number, has_ended: false });
        if let Some(limit) = self.settings().concurrency_limit() {
            // Those who were granted under another limit are in flight, too.
            let is_new = taken.at() > self.epochs[self.epochs.len() - 1].since;
            let (in_flight, limit) = (self.in_flight(false), limit.limit() as usize);
            assert!(!is_new || in_flight <= limit, "seed {seed}: {in_flight} in flight of {limit}");
        }
    }

    fn enter(&mut self, cost: u32, latest: u64) -> Result<Entry, Refusal> {
        let settings = *self.settings();
        self.limiter.enter(|| settings, cost, self.now, latest)
    }

    /// Takes without waiting; what the naive model admits must be admitted.
    fn take(&mut self) {
        let cost = self.cost();
        let (seed, nobody_waits) = (self.seed, self.line.is_empty());
        let must = nobody_waits && self.model_admits(cost);
        match self.enter(cost, self.now) {
            Ok(Entry::Taken(taken)) => {
                // Those in the line were granted before it, and have not seen it.
                assert_eq!(self.limiter.waiting(), 0, "seed {seed}: a newcomer overtook the line");
                if self.dice.one_in(10) {
                    // Something else refused the attempt.
                    self.limiter.give_back(taken);
                    self.rates_are_exact = false;
                } else {
                    self.arrivals += 1;
                    self.record(taken, self.arrivals);
                }
            }
            Ok(Entry::Turn(ticket)) => {
                drop(Turn::new(self.limiter, ticket));
                assert!(!must, "seed {seed}: made to wait");
            }
            Err(refusal) => assert!(!must, "seed {seed}: {refusal:?} of {cost} under {}", self.settings()),
        }
    }

    /// Whether every limit has room for `cost`, by the list of grants alone.
    fn model_admits(&self, cost: u32) -> bool {
        let settings = self.settings();
        let known = self.epochs[self.epochs.len() - 1].since.max(self.charged);
        let is_exact = |quota: &Quota| {
            quota.count() <= 250 && (known == 0 || known <= self.now.saturating_sub(clock::nanos(quota.window())))
        };
        if self.now < self.paused_until
            || settings.rates().next().is_some() && !self.rates_are_exact
            || !settings.quotas().all(is_exact)
            || settings.concurrency_limit().is_some_and(|limit| self.in_flight(true) >= limit.limit() as usize)
        {
            return false;
        }
        let cost = u128::from(cost);
        settings.rates().all(|rate| {
            let mut taken = cost;
            self.grants[self.exact_from..].iter().rev().all(|grant| {
                taken += u128::from(grant.taken.cost);
                taken * rate.period().as_nanos() <= allowed(rate, self.now.saturating_sub(grant.at))
            })
        }) && settings.quotas().all(|quota| {
            // The log counts by the clock that is ahead.
            let after = self.now.saturating_sub(clock::nanos(quota.window()) + BACK);
            let inside = self.grants.iter().filter(|grant| grant.at > after || after == 0);
            inside.map(|grant| u128::from(grant.cost)).sum::<u128>() + cost <= u128::from(quota.count())
        })
    }

    fn wait(&mut self) {
        let cost = self.cost();
        let latest = self.now.saturating_add(self.limiter.patience());
        self.arrivals += 1;
        let number = self.arrivals;
        match self.enter(cost, latest) {
            Ok(Entry::Taken(taken)) => {
                assert_eq!(self.limiter.waiting(), 0, "seed {}: a newcomer overtook the line", self.seed);
                self.record(taken, number);
            }
            Ok(Entry::Turn(ticket)) => {
                let turn = Turn::new(self.limiter, ticket);
                let flag = Arc::new(Flag(AtomicBool::new(true)));
                self.line.push(Waiting { number, cost, latest, turn, flag, timer: 0, is_parked: false });
            }
            Err(Refusal::NotYet { retry_after }) => {
                assert!(self.now + clock::nanos(retry_after) > latest, "seed {}: refused too early", self.seed);
            }
            // Without patience it is not waited for.
            Err(refusal) => assert!(refusal == Refusal::Full && latest == self.now, "seed {}: {refusal:?}", self.seed),
        }
    }

    /// Polls somebody who waits; whether its wait has ended.
    fn poll(&mut self, index: usize) -> bool {
        let waiting = &mut self.line[index];
        waiting.flag.0.store(false, Relaxed);
        let polled = waiting.turn.look(&Waker::from(Arc::clone(&waiting.flag)));
        let (number, cost, latest, seed) = (waiting.number, waiting.cost, waiting.latest, self.seed);
        match polled {
            Poll::Pending => {
                let late = if self.dice.one_in(2) { self.dice.below(LATE) } else { 0 };
                let waiting = &mut self.line[index];
                // A timer is not early; one that would never end saturates.
                waiting.timer = waiting.turn.look_at().saturating_add(late);
                return false;
            }
            Poll::Ready(Ok(taken)) => {
                assert_eq!(taken.cost, cost, "seed {seed}");
                // It may have paid again, and what came back is not all.
                self.rates_are_exact &= !self.has_parked;
                self.record(taken, number);
            }
            Poll::Ready(Err(Refusal::Never { cost, most })) => {
                assert!(cost > most && self.epochs.len() > 1, "seed {seed}: {cost} of {most} will never be");
            }
            Poll::Ready(Err(refusal)) => {
                let turn = match refusal {
                    Refusal::NotYet { retry_after } => self.now + clock::nanos(retry_after),
                    _ => self.now,
                };
                assert!(turn > latest, "seed {seed}: {refusal:?} for a wait that may take longer");
            }
        }
        drop(self.line.remove(index));
        true
    }

    /// Polls all who were woken, until nothing more happens.
    fn run(&mut self) {
        let mut index = 0;
        while index < self.line.len() {
            let waiting = &self.line[index];
            let is_due = waiting.flag.0.load(Relaxed) || waiting.timer <= self.now;
            if is_due && !waiting.is_parked {
                // Somebody ahead may have been woken by it.
                let has_ended = self.poll(index);
                index = if has_ended || self.line[index].flag.0.load(Relaxed) { 0 } else { index + 1 };
                if self.line.iter().take(index).any(|waiting| waiting.flag.0.load(Relaxed) && !waiting.is_parked) {
                    index = 0;
                }
            } else {
                index += 1;
            }
        }
    }

    /// Lets time pass, event by event.
    fn advance(&mut self, time: u64) {
        let target = self.now.saturating_add(time);
        self.run();
        while let Some(next) = self.next_timer().filter(|next| *next <= target) {
            self.set_clock(next.max(self.now));
            self.run();
        }
        self.set_clock(target);
    }

    fn next_timer(&self) -> Option<u64> {
        self.line.iter().filter(|waiting| !waiting.is_parked).map(|waiting| waiting.timer).min()
    }

    fn cancel(&mut self) {
        if !self.line.is_empty() {
            let gone = self.dice.below(self.line.len() as u64) as usize;
            drop(self.line.remove(gone));
            self.rates_are_exact = false;
        }
    }

    /// An attempt ends; it may have used more or less than it took.
    fn end(&mut self) {
        let running: Vec<usize> = (0..self.grants.len()).filter(|index| !self.grants[*index].has_ended).collect();
        if running.is_empty() {
            return;
        }
        let index = running[self.dice.below(running.len() as u64) as usize];
        self.grants[index].has_ended = true;
        let Granted { taken, cost, .. } = self.grants[index];
        self.limiter.release(taken.flight());
        if self.dice.one_in(4) {
            let used = self.dice.below(u64::from(cost) + 3) as u32;
            self.limiter.settle(taken.at(), cost, used);
            self.rates_are_exact = false;
            // A charge holds the others back, and may itself be too much.
            self.grants[index].cost = cost.min(used);
            if used > cost {
                self.charged = self.now;
            }
        }
    }

    fn pause(&mut self) {
        let until = self.now + self.dice.below(2_000) * MS;
        self.limiter.pause(until);
        self.pauses.push((self.now, until));
        self.paused_until = self.paused_until.max(until);
        self.rates_are_exact = false;
    }

    fn configure(&mut self) {
        let (old, settings) = (*self.settings(), settings(&mut self.dice, self.max_wait));
        // After all that was granted, by whatever clock: the model tells the epochs by their instants.
        self.set_clock(self.latest + BACK);
        self.limiter.configure(&old, &settings);
        self.epochs.push(Epoch { since: self.now, settings });
        self.rates_are_exact = false;
    }

    fn step(&mut self) {
        match self.dice.below(40) {
            0..=7 => self.take(),
            8..=17 => self.wait(),
            18..=20 => self.cancel(),
            21..=26 => self.end(),
            27 => self.pause(),
            28 => self.configure(),
            29..=31 => {
                let time = self.dice.below(1_000) * MS;
                self.advance(time);
            }
            32 => {
                // Nobody runs for a while; who was granted before pays again.
                self.has_parked |= self.line.iter().any(|waiting| waiting.flag.0.load(Relaxed));
                let time = if self.dice.one_in(4) { 30 * DAY } else { self.dice.below(500) * MS };
                self.set_clock(self.now + time);
            }
            33 => {
                // The clock steps back, as between two processors.
                let back = self.latest.saturating_sub(self.dice.below(BACK));
                let since = self.epochs[self.epochs.len() - 1].since;
                self.set_clock(back.max(since));
                self.rates_are_exact = false;
            }
            34 if self.seed % 4 == 0 && !self.line.is_empty() => {
                let index = self.dice.below(self.line.len() as u64) as usize;
                self.line[index].is_parked = !self.line[index].is_parked;
                self.has_parked = true;
            }
            _ => {
                let time = self.dice.below(20 * MS);
                self.advance(time);
            }
        }
        // Between a grant and the poll that finds it anything may happen.
        if self.dice.below(4) > 0 {
            self.run();
        }
        if !self.rates_are_exact && self.limiter.is_full() {
            self.rates_are_exact = true;
            self.exact_from = self.grants.len();
        }
    }

    /// Never more than `burst + rate x (t + 2 ms)` in any time `t` under the same settings.
    fn check_rates(&self) {
        for (index, Epoch { since, settings }) in self.epochs.iter().enumerate() {
            let until = self.epochs.get(index + 1).map_or(u64::MAX, |next| next.since);
            // What was granted at the instant of a change came before it or after it.
            let mut inside: Vec<_> = self.grants.iter().filter(|grant| *since < grant.at && grant.at < until).collect();
            inside.sort_by_key(|grant| grant.at);
            for rate in settings.rates() {
                for first in 0..inside.len() {
                    let mut taken = 0;
                    for grant in &inside[first..] {
                        taken += u128::from(grant.cost);
                        // By two clocks a window may seem shorter than it was.
                        let time = grant.at.saturating_sub(inside[first].at) + LATE + BACK;
                        let is_kept = taken * rate.period().as_nanos() <= allowed(rate, time);
                        assert!(is_kept, "seed {}: {taken} in {time} ns of {rate}", self.seed);
                    }
                }
            }
        }
    }

    /// Never more than N in any half-open window, what was granted under earlier quotas included as far as these were as long.
    fn check_quotas(&self) {
        for (index, Epoch { since, settings }) in self.epochs.iter().enumerate() {
            let until = self.epochs.get(index + 1).map_or(u64::MAX, |next| next.since);
            for quota in settings.quotas() {
                let is_known = |epoch: &&Epoch| epoch.settings.quotas().any(|other| other.window() >= quota.window());
                let known =
                    self.epochs[..index].iter().rev().take_while(is_known).last().map_or(*since, |epoch| epoch.since);
                for last in self.grants.iter().filter(|grant| *since < grant.at && grant.at < until) {
                    let after = last.at.checked_sub(clock::nanos(quota.window()));
                    let inside = self.grants.iter().filter(|grant| {
                        grant.at <= last.at && grant.at > known && after.is_none_or(|after| grant.at > after)
                    });
                    let taken: u64 = inside.map(|grant| u64::from(grant.cost)).sum();
                    assert!(taken <= u64::from(quota.count()), "seed {}: {taken} in a window of {quota}", self.seed);
                }
            }
        }
    }

    /// Whoever came first was granted first.
    fn check_order(&self) {
        if !self.has_parked {
            let mut in_order: Vec<_> = self.grants.iter().map(|grant| (grant.number, grant.at)).collect();
            in_order.sort_unstable();
            let is_ordered = in_order.windows(2).all(|pair| pair[0].1 <= pair[1].1 + BACK);
            assert!(is_ordered, "seed {}: {in_order:?}", self.seed);
        }
    }

    /// In the time that all limits together take, everybody is served and all has come back.
    fn finish(&mut self) {
        let settings = *self.settings();
        let owed: u32 = self.line.iter().map(|waiting| waiting.cost).sum();
        let charged = self.grants.len() as u32 * 3;
        let regain = |tokens: u32| {
            let rates = settings.rates().map(|rate| rate.period() * (tokens + rate.capacity()) / rate.count());
            let quotas = settings.quotas().map(|quota| quota.window() * (2 + 2 * tokens / quota.count()));
            clock::nanos(rates.sum::<Duration>() + quotas.sum::<Duration>() + ms(100 + u64::from(tokens)))
        };
        for index in 0..self.line.len() {
            self.line[index].is_parked = false;
        }
        let end = self.now.max(self.paused_until).saturating_add(regain(owed + charged));
        self.run();
        while !self.line.is_empty() {
            let seed = self.seed;
            if let Some(grant) = self.grants.iter_mut().find(|grant| !grant.has_ended) {
                grant.has_ended = true;
                let flight = grant.taken.flight();
                self.limiter.release(flight);
            } else if let Some(next) = self.next_timer() {
                assert!(next <= end, "seed {seed}: {} not served of {settings}", self.line.len());
                self.set_clock(next.max(self.now));
            }
            self.run();
        }
        for grant in &mut self.grants {
            if !std::mem::replace(&mut grant.has_ended, true) {
                self.limiter.release(grant.taken.flight());
            }
        }
        let full_at = self.now.max(self.paused_until).saturating_add(regain(charged));
        self.set_clock(full_at);
        let full = settings.limits_tokens().then(|| settings.most_tokens());
        let in_flight = settings.concurrency_limit().map(|_| 0);
        let stands = (self.limiter.available(), self.limiter.waiting(), self.limiter.in_flight());
        assert_eq!(stands, (full, 0, in_flight), "seed {}", self.seed);
        assert!(self.limiter.is_full(), "seed {}: not full under {settings}", self.seed);
    }
}

/// What a rate allows in a time: in tokens times its period, so that nothing is rounded.
fn allowed(rate: &Rate, time: u64) -> u128 {
    u128::from(rate.capacity()) * rate.period().as_nanos() + u128::from(time) * u128::from(rate.count())
}

fn history(seed: u64) {
    let mut dice = Dice(seed);
    let max_wait = if dice.one_in(4) { ms(dice.below(2_000)) } else { Duration::from_secs(36_000) };
    let settings = settings(&mut dice, max_wait);
    let limiter = Limiter::unchecked(&settings);
    let mut world = World {
        seed,
        dice,
        now: 0,
        latest: 0,
        limiter: &limiter,
        epochs: vec![Epoch { since: 0, settings }],
        max_wait,
        line: Vec::new(),
        grants: Vec::new(),
        arrivals: 0,
        paused_until: 0,
        charged: 0,
        pauses: Vec::new(),
        rates_are_exact: true,
        exact_from: 0,
        has_parked: false,
    };
    // Shortly after the start, or years later.
    let start = if world.dice.one_in(4) { DAY * world.dice.below(4_000) } else { 2_000 };
    world.set_clock(start);
    for _ in 0..60 {
        world.step();
    }
    world.finish();
    world.check_rates();
    world.check_quotas();
    world.check_order();
}

#[test]
fn the_contract_holds_whatever_happens() {
    for seed in histories(200_000).0 {
        history(seed);
    }
    manual::set(None);
}
