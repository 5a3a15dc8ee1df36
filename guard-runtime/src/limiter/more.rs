//! The limits beside the first rate: other rates, quotas, attempts in flight. All under the lock of the line.

use guard_spec::{Concurrency, Rate, Settings};

use super::quota::Log;
use super::scale::Scale;
use super::word::Word;

/// As many rates beside the first one.
pub(super) const RATES: usize = Settings::MOST_LIMITS - 1;

#[derive(Default)]
pub(super) struct More {
    rates: Vec<Meter>,
    quotas: Vec<Log>,
    limit: Option<u32>,
    in_flight: u32,
}

/// One rate.
pub(super) struct Meter {
    pub(super) word: Word,
    pub(super) scale: Scale,
    pub(super) burst: u32,
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// An instant, in nanoseconds.
    Until(u64),
    /// The end of an attempt.
    Full,
}

impl Meter {
    /// For a rate that has been checked.
    pub(super) const fn new(rate: &Rate) -> Meter {
        Meter { word: Word::new(), scale: Scale::of(rate), burst: rate.capacity() }
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.scale.cost(self.burst)
    }

    /// The turn of somebody behind `promised` tokens, its own included, in nanoseconds.
    pub(super) fn turn(&self, now: u64, promised: u64) -> u64 {
        let turn = self.word.turn(self.scale.units(now), self.scale.costs(promised), self.capacity());
        self.scale.nanos(turn)
    }

    /// Whether `cost` is there. `late` is for the first in the line: a turn that came a little while ago counts from then.
    pub(super) fn decide(&self, now: u64, cost: u32, late: bool) -> Result<(), Blocked> {
        let (now, cost, capacity) = (self.scale.units(now), self.scale.cost(cost), self.capacity());
        let decided = if late {
            self.word.decide_late(now, cost, capacity, self.scale.lateness())
        } else {
            self.word.decide(now, cost, capacity)
        };
        decided.map_err(|turn| Blocked::Until(self.scale.nanos(turn)))
    }

    /// Takes what [`decide`](Meter::decide) found to be there; `full_at` after it.
    pub(super) fn advance(&self, now: u64, cost: u32, late: bool) -> u64 {
        let (now, cost) = (self.scale.units(now), self.scale.cost(cost));
        if late { self.word.advance_late(now, cost, self.scale.lateness()) } else { self.word.advance(now, cost) }
    }

    /// Takes back a grant that left `full_at` behind it.
    ///
    /// Exact while nobody took more since; otherwise never too much: what the bucket has regained since they were taken
    /// it would not have regained had they stayed (it may have been full).
    pub(super) fn undo(&self, full_at: u64, cost: u32, now: u64) {
        let cost = self.scale.cost(cost);
        let before = full_at.saturating_sub(cost);
        let lost = self.scale.units(now).saturating_sub(before);
        self.word.undo(full_at, cost, cost.saturating_sub(lost));
    }

    /// Whether it is as if nothing had ever been taken.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.word.read().0 <= self.scale.units(now)
    }

    /// Nothing before an instant, and then one token and what is regained.
    pub(super) fn pause(&self, until: u64) {
        self.word.at_least(self.scale.units(until).saturating_add(self.capacity()).saturating_sub(self.scale.cost(1)));
    }

    /// Ends what a pause has put off.
    pub(super) fn resume(&self, now: u64) {
        self.word.at_most(self.scale.units(now).saturating_add(self.capacity()));
    }

    /// Takes tokens that were used without having been taken, at most so many that they are paid off in `most` nanoseconds.
    pub(super) fn charge(&self, now: u64, tokens: u32, most: u64) {
        let latest = self.scale.units(now.saturating_add(most)).saturating_add(self.capacity());
        self.word.charge(self.scale.units(now), self.scale.costs(u64::from(tokens)), latest);
    }

    /// Gives back tokens of an attempt's `cost` that were taken at an instant and not used: no more than what has not been
    /// regained since, or a bucket that has been full could give more than its capacity.
    pub(super) fn refund(&self, at: u64, cost: u32, unused: u32, now: u64) {
        let regained = self.scale.units(now).saturating_sub(self.scale.units(at));
        let rest = self.scale.cost(cost.min(self.burst)).saturating_sub(regained);
        self.word.undo(0, 0, rest.min(self.scale.cost(unused.min(self.burst))));
    }
}

impl More {
    pub(super) fn of(settings: &Settings) -> More {
        More {
            rates: settings.rates().skip(1).map(Meter::new).collect(),
            quotas: settings
                .quotas()
                .map(|quota| Log::new(quota.count(), crate::clock::nanos(quota.window())))
                .collect(),
            limit: settings.concurrency_limit().map(Concurrency::limit),
            in_flight: 0,
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The turn of somebody behind `promised` tokens, its own included, as far as time alone decides.
    pub(super) fn turn(&mut self, now: u64, promised: u64) -> u64 {
        let rates = self.rates.iter().map(|rate| rate.turn(now, promised)).max().unwrap_or(0);
        let quotas = self.quotas.iter_mut().map(|quota| quota.turn(now, promised)).max().unwrap_or(0);
        rates.max(quotas)
    }

    /// Whether all limits let this attempt through now.
    pub(super) fn decide(&mut self, now: u64, cost: u32, late: bool) -> Result<(), Blocked> {
        let mut until = 0;
        for rate in &self.rates {
            if let Err(Blocked::Until(turn)) = rate.decide(now, cost, late) {
                until = until.max(turn);
            }
        }
        for quota in &mut self.quotas {
            until = until.max(quota.turn(now, u64::from(cost)));
        }
        if until > now {
            return Err(Blocked::Until(until));
        }
        match self.limit {
            Some(limit) if self.in_flight >= limit => Err(Blocked::Full),
            _ => Ok(()),
        }
    }

    /// Takes what [`decide`](More::decide) found to be there; `full_at` of each rate after it.
    pub(super) fn advance(&mut self, now: u64, cost: u32, late: bool) -> [u64; RATES] {
        let mut full_at = [0; RATES];
        for (rate, full_at) in self.rates.iter().zip(&mut full_at) {
            *full_at = rate.advance(now, cost, late);
        }
        for quota in &mut self.quotas {
            quota.take(now, cost);
        }
        self.in_flight = self.in_flight.saturating_add(1);
        full_at
    }

    /// Takes back what was taken at an instant for an attempt that did not start.
    pub(super) fn undo(&mut self, full_at: &[u64; RATES], at: u64, cost: u32, now: u64) {
        for (rate, full_at) in self.rates.iter().zip(full_at) {
            rate.undo(*full_at, cost, now);
        }
        for quota in &mut self.quotas {
            quota.give_back(at, cost);
        }
        self.release();
    }

    /// An attempt has ended.
    pub(super) fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn pause(&self, until: u64) {
        self.rates.iter().for_each(|rate| rate.pause(until));
    }

    pub(super) fn resume(&self, now: u64) {
        self.rates.iter().for_each(|rate| rate.resume(now));
    }

    pub(super) fn charge(&mut self, now: u64, tokens: u32, most: u64) {
        self.rates.iter().for_each(|rate| rate.charge(now, tokens, most));
        self.quotas.iter_mut().for_each(|quota| quota.take(now, tokens));
    }

    pub(super) fn refund(&mut self, at: u64, cost: u32, unused: u32, now: u64) {
        self.rates.iter().for_each(|rate| rate.refund(at, cost, unused, now));
        self.quotas.iter_mut().for_each(|quota| quota.give_back(at, unused));
    }

    /// Whether it is as if nothing had ever been taken, and nothing is in flight.
    pub(super) fn is_full(&mut self, now: u64) -> bool {
        self.in_flight == 0
            && self.rates.iter().all(|rate| rate.is_full(now))
            && self.quotas.iter_mut().all(|quota| quota.is_full(now))
    }

    /// What could be taken now, by the limits here.
    pub(super) fn free(&mut self, now: u64) -> u64 {
        let rates = self.rates.iter().map(|rate| {
            let units = rate.scale.units(now);
            let full_at = rate.word.read().0;
            rate.scale.tokens((units + rate.capacity()).saturating_sub(full_at.max(units)))
        });
        rates.chain(self.quotas.iter_mut().map(|quota| quota.free(now))).min().unwrap_or(u64::MAX)
    }
}
