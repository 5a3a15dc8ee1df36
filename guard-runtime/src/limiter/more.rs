//! The limits beside the first rate: other rates, quotas, attempts in flight. All under the lock of the line.

use guard_spec::{Concurrency, Settings};

use super::meter::Meter;
use super::quota::Log;
use super::shape::Stand;
use super::word::Word;
use super::{Grant, LONGEST_DEBT, Owed};
use crate::clock;

/// As many rates beside the first one.
pub(super) const RATES: usize = Settings::MOST_LIMITS - 1;

#[derive(Default)]
pub(super) struct More {
    rates: Vec<Meter>,
    quotas: Vec<Log>,
    limit: Option<u32>,
    in_flight: u32,
    /// Of those who are counted in flight: attempts that were let through while nobody counted are not.
    flight: Flight,
}

/// A time in which attempts in flight are counted; 0 when they are not. It moves on when counting begins again, so that the end of
/// an attempt counts only where its beginning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flight(pub(crate) u8);

impl Flight {
    pub(crate) const UNCOUNTED: Flight = Flight(0);

    fn next(self) -> Flight {
        Flight(self.0.checked_add(1).unwrap_or(1))
    }
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// An instant, in nanoseconds.
    Until(u64),
    /// The end of an attempt.
    Full,
}

impl More {
    pub(super) fn of(settings: &Settings) -> More {
        let mut more = More::default();
        more.renew_rates(settings, &[None; RATES], 0);
        more.renew(settings, 0);
        more
    }

    /// Whether the rates are those of the settings, all but the first.
    pub(super) fn holds(&self, settings: &Settings) -> bool {
        let mut rates = self.rates.iter();
        settings.rates().skip(1).all(|rate| rates.next().is_some_and(|meter| meter.holds(Some(rate))))
            && rates.next().is_none()
    }

    /// Holds other rates, which will stand at an instant as those that they come from.
    pub(super) fn renew_rates(&mut self, settings: &Settings, stands: &[Option<Stand>; RATES], at: u64) {
        let renewed = settings.rates().skip(1).zip(stands).map(|(rate, stand)| {
            let meter = Meter::new(Some(rate), Word::closed());
            if stand.is_some() {
                meter.renew(Some(rate), *stand, at, LONGEST_DEBT);
            }
            meter
        });
        self.rates = renewed.collect();
    }

    /// Holds other quotas and another limit of what is in flight since an instant: what was taken still counts.
    pub(super) fn renew(&mut self, settings: &Settings, since: u64) {
        let quotas = settings.quotas().map(|quota| {
            let window = clock::at_least(clock::nanos(quota.window()));
            // What reaches back for a whole window and not much longer, or else what reaches furthest.
            let whole = self.quotas.iter().filter(|log| log.window() >= window).min_by_key(|log| log.window());
            let known = whole.or(self.quotas.iter().max_by_key(|log| log.window()));
            known.map_or_else(|| Log::new(quota.count(), window, since), |log| log.with(quota.count(), window))
        });
        self.quotas = quotas.collect();
        let limit = settings.concurrency_limit().map(Concurrency::limit);
        if self.limit.is_none() && limit.is_some() {
            self.flight = self.flight.next();
        }
        if self.limit.is_none() || limit.is_none() {
            self.in_flight = 0;
        }
        self.limit = limit;
    }

    /// How one of the rates will stand at an instant.
    pub(super) fn stand(&self, index: usize, at: u64) -> Option<Stand> {
        self.rates.get(index)?.stand(at)
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

    /// Takes what [`decide`](More::decide) found to be there.
    pub(super) fn advance(&mut self, grant: &mut Grant, cost: u32, late: bool) {
        for (rate, full_at) in self.rates.iter().zip(&mut grant.rest) {
            *full_at = rate.advance(grant.at, cost, late);
        }
        for quota in &mut self.quotas {
            quota.take(grant.at, cost);
        }
        if self.limit.is_some() {
            self.in_flight = self.in_flight.saturating_add(1);
            grant.flight = self.flight;
        }
    }

    /// Takes back what was taken for an attempt that did not start; of the rates what they owe.
    pub(super) fn undo(&mut self, grant: &Grant, cost: u32, now: u64, owed: Owed) {
        for (rate, full_at) in self.rates.iter().zip(&grant.rest) {
            match owed {
                Owed::Nothing => {}
                Owed::Rest => rate.refund(grant.at, cost, cost, now),
                Owed::All => rate.undo(*full_at, cost, now),
            }
        }
        for quota in &mut self.quotas {
            quota.give_back(grant.at, cost);
        }
        self.release(grant.flight);
    }

    /// An attempt has ended.
    pub(super) fn release(&mut self, flight: Flight) {
        if flight == self.flight {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
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

    pub(super) fn refund(&mut self, at: u64, cost: u32, unused: u32, now: u64, owed: Owed) {
        if owed != Owed::Nothing {
            self.rates.iter().for_each(|rate| rate.refund(at, cost, unused, now));
        }
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
        let rates = self.rates.iter().map(|rate| rate.free(now));
        rates.chain(self.quotas.iter_mut().map(|quota| quota.free(now))).min().unwrap_or(u64::MAX)
    }
}
