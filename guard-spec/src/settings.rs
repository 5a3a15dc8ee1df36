//! Everything that a policy may declare.

use core::time::Duration;

use crate::text::nanos;
use crate::{Breaker, Concurrency, Quota, Rate, Retry};

/// Limits of one kind that hold all at once: at most [`Settings::MOST_LIMITS`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct List<T> {
    items: [Option<T>; Settings::MOST_LIMITS],
    /// How many were given, those too many included.
    given: usize,
}

impl<T: Copy> List<T> {
    pub(crate) const EMPTY: List<T> = List { items: [None; Settings::MOST_LIMITS], given: 0 };

    pub(crate) const fn of(item: T) -> List<T> {
        List::EMPTY.and(item)
    }

    pub(crate) const fn and(mut self, item: T) -> List<T> {
        if self.given < Settings::MOST_LIMITS {
            self.items[self.given] = Some(item);
        }
        self.given += 1;
        self
    }

    pub(crate) const fn get(&self, index: usize) -> Option<&T> {
        if index < Settings::MOST_LIMITS { self.items[index].as_ref() } else { None }
    }

    pub(crate) const fn given(&self) -> usize {
        self.given
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }
}

/// The declared values of a policy: plain data, made in a `const`, checked before it is used.
///
/// Nothing is limited, broken or retried until it is asked for.
///
/// ```
/// use apiguard::{Breaker, Rate, Retry, Settings};
/// use std::time::Duration;
///
/// const STRIPE: Settings = Settings::new()
///     .rate(Rate::per_second(100).burst(20))
///     .breaker(Breaker::consecutive(5))
///     .retries(Retry::new(3))
///     .timeout(Duration::from_secs(10));
/// assert!(STRIPE.problems().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Settings {
    pub(crate) rates: List<Rate>,
    pub(crate) quotas: List<Quota>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) retries: Option<Retry>,
    pub(crate) timeout: Option<u64>,
    pub(crate) attempt_timeout: Option<u64>,
    pub(crate) max_pause: u64,
    pub(crate) abandoned: u64,
    pub(crate) shadow: bool,
}

impl Settings {
    /// The most rates, and the most quotas, that one policy can have.
    pub const MOST_LIMITS: usize = 4;

    /// How long a server's word holds back the calls of a policy unless told otherwise: at most one hour.
    pub const MAX_PAUSE: Duration = Duration::from_secs(3_600);

    /// How long an attempt runs, unless told otherwise, before dropping it counts as a failure: 5 s.
    pub const ABANDONED: Duration = Duration::from_secs(5);

    /// No limit, no breaker, no retries, no timeout.
    pub const fn new() -> Settings {
        Settings {
            rates: List::EMPTY,
            quotas: List::EMPTY,
            concurrency: None,
            breaker: None,
            retries: None,
            timeout: None,
            attempt_timeout: None,
            max_pause: nanos(Settings::MAX_PAUSE),
            abandoned: nanos(Settings::ABANDONED),
            shadow: false,
        }
    }

    /// Limits the rate of attempts: by this rate alone.
    pub const fn rate(mut self, rate: Rate) -> Settings {
        self.rates = List::of(rate);
        self
    }

    /// Limits the rate of attempts by one rate more: an attempt needs tokens of all of them.
    pub const fn and_rate(mut self, rate: Rate) -> Settings {
        self.rates = self.rates.and(rate);
        self
    }

    /// Limits the attempts in any window: by this quota alone.
    pub const fn quota(mut self, quota: Quota) -> Settings {
        self.quotas = List::of(quota);
        self
    }

    /// Limits the attempts in any window by one quota more: an attempt counts in all of them.
    pub const fn and_quota(mut self, quota: Quota) -> Settings {
        self.quotas = self.quotas.and(quota);
        self
    }

    /// Limits the attempts in flight.
    pub const fn concurrency(mut self, concurrency: Concurrency) -> Settings {
        self.concurrency = Some(concurrency);
        self
    }

    /// Stops calling while the service is down.
    pub const fn breaker(mut self, breaker: Breaker) -> Settings {
        self.breaker = Some(breaker);
        self
    }

    /// Repeats attempts that failed in a way that may pass.
    pub const fn retries(mut self, retries: Retry) -> Settings {
        self.retries = Some(retries);
        self
    }

    /// Bounds a whole call, waits and retries included: 1 ms to 365 days. A call waits for its turn at most half of the
    /// time that is left, so that the attempt has the other half.
    pub const fn timeout(mut self, timeout: Duration) -> Settings {
        self.timeout = Some(nanos(timeout));
        self
    }

    /// Bounds one attempt: 1 ms to `timeout` (365 days without one).
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Settings {
        self.attempt_timeout = Some(nanos(timeout));
        self
    }

    /// Bounds a pause that a server asks for (a 429 with `Retry-After`): 0, which ignores them, to 365 days; default 1 h. A call
    /// that is itself retried waits as long as its `cap` allows.
    pub const fn max_pause(mut self, max_pause: Duration) -> Settings {
        self.max_pause = nanos(max_pause);
        self
    }

    /// How long an attempt has to have run for the breaker to count it as failed when its caller drops it: 1 ms to 365 days;
    /// default 5 s. So a service that hangs, and that callers give up on, opens the breaker; one that is dropped earlier says
    /// nothing.
    pub const fn abandoned(mut self, after: Duration) -> Settings {
        self.abandoned = nanos(after);
        self
    }

    /// Watches only: calls run once, at once and to their end, as if there were no guard, and what it would have rejected,
    /// delayed or retried is counted and reported. Off by default.
    pub const fn shadow(mut self, shadow: bool) -> Settings {
        self.shadow = shadow;
        self
    }

    /// The limit of the rate of attempts; the first of several.
    pub const fn rate_limit(&self) -> Option<&Rate> {
        self.rates.get(0)
    }

    /// All limits of the rate.
    pub fn rates(&self) -> impl Iterator<Item = &Rate> {
        self.rates.iter()
    }

    /// All limits of the attempts in a window.
    pub fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.quotas.iter()
    }

    /// Whether there is a limit beside the first rate.
    #[doc(hidden)]
    pub const fn has_more_limits(&self) -> bool {
        self.rates.given() > 1 || self.quotas.given() > 0 || self.concurrency.is_some()
    }

    /// The limit of the attempts in flight.
    pub const fn concurrency_limit(&self) -> Option<&Concurrency> {
        self.concurrency.as_ref()
    }

    /// Whether there is a limit in tokens.
    #[doc(hidden)]
    pub const fn limits_tokens(&self) -> bool {
        self.rates.given() > 0 || self.quotas.given() > 0
    }

    /// The most tokens that one attempt can have; `u32::MAX` without a limit in tokens.
    #[doc(hidden)]
    pub const fn most_tokens(&self) -> u32 {
        let mut most = u32::MAX;
        let mut index = 0;
        while index < Settings::MOST_LIMITS {
            if let Some(rate) = self.rates.get(index) {
                most = if rate.burst < most { rate.burst } else { most };
            }
            if let Some(quota) = self.quotas.get(index) {
                most = if quota.count < most { quota.count } else { most };
            }
            index += 1;
        }
        most
    }

    /// The longest that a call waits for its turn: the shortest `max_wait` of its limits, in nanoseconds; without limits
    /// their default, which is then the longest wait for the end of a pause.
    #[doc(hidden)]
    pub const fn patience(&self) -> u64 {
        let mut shortest = u64::MAX;
        let mut index = 0;
        while index < Settings::MOST_LIMITS {
            if let Some(rate) = self.rates.get(index) {
                shortest = if rate.max_wait < shortest { rate.max_wait } else { shortest };
            }
            if let Some(quota) = self.quotas.get(index) {
                shortest = if quota.max_wait < shortest { quota.max_wait } else { shortest };
            }
            index += 1;
        }
        match &self.concurrency {
            Some(concurrency) if concurrency.max_wait < shortest => concurrency.max_wait,
            _ if shortest == u64::MAX => nanos(Rate::MAX_WAIT),
            _ => shortest,
        }
    }

    /// The breaker.
    pub const fn circuit_breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    /// The retries.
    pub const fn retry(&self) -> Option<&Retry> {
        self.retries.as_ref()
    }

    /// The bound of a whole call.
    pub const fn call_timeout(&self) -> Option<Duration> {
        match self.timeout {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }

    /// The bound of a pause that a server asks for.
    pub const fn longest_pause(&self) -> Duration {
        Duration::from_nanos(self.max_pause)
    }

    /// How long an attempt has to have run to count as failed when it is dropped.
    pub const fn abandoned_after(&self) -> Duration {
        Duration::from_nanos(self.abandoned)
    }

    /// Whether it only watches.
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The bound of one attempt.
    pub const fn single_attempt_timeout(&self) -> Option<Duration> {
        match self.attempt_timeout {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rates_and_quotas_are_limits_in_tokens() {
        let (rate, quota) = (Rate::per_second(7).burst(3), Quota::per_hour(5));
        let none = Settings::new().concurrency(Concurrency::new(1));
        let most = |settings: Settings| settings.limits_tokens().then(|| settings.most_tokens());
        assert_eq!((most(Settings::new()), most(none)), (None, None));
        assert_eq!((most(none.rate(rate)), most(none.quota(quota))), (Some(3), Some(5)));
        assert_eq!(most(none.rate(rate).quota(quota)), Some(3));
        assert_eq!(most(none.rate(rate).quota(Quota::per_hour(2))), Some(2));
    }

    #[test]
    fn a_call_waits_no_longer_than_each_of_its_limits_allows() {
        let secs = Duration::from_secs;
        let (rate, quota, concurrency) = (Rate::per_second(1), Quota::per_hour(5), Concurrency::new(1));
        let waits = |settings: Settings| Duration::from_nanos(settings.patience());
        assert_eq!(waits(Settings::new()), Rate::MAX_WAIT);
        assert_eq!(waits(Settings::new().rate(rate.max_wait(secs(7)))), secs(7));
        assert_eq!(waits(Settings::new().concurrency(concurrency.max_wait(secs(7)))), secs(7));
        assert_eq!(waits(Settings::new().concurrency(concurrency.max_wait(secs(70)))), secs(70));
        for (first, second, third) in [(1, 2, 3), (2, 1, 3), (3, 2, 1), (3, 1, 2), (9, 9, 1)] {
            let settings = Settings::new().rate(rate.max_wait(secs(first))).quota(quota.max_wait(secs(second)));
            assert_eq!(
                waits(settings.concurrency(concurrency.max_wait(secs(third)))),
                secs(1),
                "{first} {second} {third}"
            );
        }
    }
}
