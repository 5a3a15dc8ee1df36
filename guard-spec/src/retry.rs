//! How often an attempt is repeated, after which outcomes, and with which delays.

use core::fmt;
use core::time::Duration;

use crate::Ratio;
use crate::text::nanos;

/// Retries after the first attempt and the delays before them.
///
/// Delay `n` (from 1) is `min(cap, base x factor^(n-1) x (1 + random x jitter))`, `random` being uniform in 0..1.
/// A server's own delay (`Retry-After`) replaces it; one longer than `cap` means that no retry is made.
///
/// ```
/// use apiguard::{Jitter, Retry};
/// use std::time::Duration;
///
/// const RETRY: Retry = Retry::new(3).base(Duration::from_millis(200)).jitter(Jitter::Full);
/// assert_eq!(RETRY.attempts(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Retry {
    pub(crate) max: u32,
    pub(crate) base: u64,
    pub(crate) factor: Ratio,
    pub(crate) cap: u64,
    pub(crate) jitter: Jitter,
    pub(crate) budget: Budget,
    pub(crate) statuses: Statuses,
}

impl Retry {
    /// `max` attempts after the first, with the default delays (base 1 s, factor 2, cap 60 s, jitter 0.5) and budget (20 %).
    pub const fn new(max: u32) -> Retry {
        Retry {
            max,
            base: 1_000_000_000,
            factor: Ratio::from_millionths(2_000_000),
            cap: 60_000_000_000,
            jitter: Jitter::Proportional(Ratio::from_millionths(500_000)),
            budget: Budget::DEFAULT,
            statuses: Statuses::RETRIED,
        }
    }

    /// The first delay before jitter: 1 ms to `cap`, default 1 s.
    pub const fn base(mut self, base: Duration) -> Retry {
        self.base = nanos(base);
        self
    }

    /// What each delay is of the one before it: 1 to 1 000 000, default 2.
    pub const fn factor(mut self, factor: f64) -> Retry {
        self.factor = Ratio::new(factor);
        self
    }

    /// The factor as a [`Ratio`].
    pub const fn factor_ratio(mut self, factor: Ratio) -> Retry {
        self.factor = factor;
        self
    }

    /// The longest delay, jitter included: `base` to 365 days, default 60 s.
    pub const fn cap(mut self, cap: Duration) -> Retry {
        self.cap = nanos(cap);
        self
    }

    /// The randomness of the delays, default [`Jitter::Proportional`] 0.5.
    pub const fn jitter(mut self, jitter: Jitter) -> Retry {
        self.jitter = jitter;
        self
    }

    /// How many retries the policy makes for each attempt that works, all its calls together; default [`Budget::DEFAULT`].
    pub const fn budget(mut self, budget: Budget) -> Retry {
        self.budget = budget;
        self
    }

    /// The HTTP statuses that are retried, default [`Statuses::RETRIED`].
    pub const fn statuses(mut self, statuses: Statuses) -> Retry {
        self.statuses = statuses;
        self
    }

    /// Attempts after the first.
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// All attempts of a call: one more than the retries.
    pub const fn attempts(&self) -> u32 {
        self.max.saturating_add(1)
    }

    /// The first delay before jitter.
    pub const fn first_delay(&self) -> Duration {
        Duration::from_nanos(self.base)
    }

    /// The growth of the delays.
    pub const fn growth(&self) -> Ratio {
        self.factor
    }

    /// The longest delay.
    pub const fn longest_delay(&self) -> Duration {
        Duration::from_nanos(self.cap)
    }

    /// The randomness of the delays.
    pub const fn randomness(&self) -> Jitter {
        self.jitter
    }

    /// How many retries are made for each attempt that works.
    pub const fn retry_budget(&self) -> Budget {
        self.budget
    }

    /// The HTTP statuses that are retried.
    pub const fn retried_statuses(&self) -> &Statuses {
        &self.statuses
    }
}

/// The randomness of a delay `d`, so that clients that failed together do not come back together.
///
/// Source of full, equal and decorrelated: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// `d` to `d x (1 + ratio)`; the ratio is in 0..=1.
    Proportional(Ratio),
    /// 0 to `d`.
    Full,
    /// `d / 2` to `d`.
    Equal,
    /// `base` to three times the delay before.
    Decorrelated,
    /// Exactly `d`.
    None,
}

impl Jitter {
    /// `d` to `d x (1 + ratio)`; a ratio outside 0..=1 is a problem that the settings' check reports.
    pub const fn proportional(ratio: f64) -> Jitter {
        Jitter::Proportional(Ratio::new(ratio))
    }
}

/// How many retries a policy makes, all its calls together: so that a service in trouble is not sent a multiple of its load.
///
/// Each attempt that works deposits a share of a retry, each retry withdraws a whole one; ten are there to begin with and come back
/// slowly (one in 5 min), so that a policy with few calls never notices. While nothing works, hardly more than the first attempts are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Budget {
    /// This share of a retry for each attempt that works: above 0 and at most 1.
    Share(Ratio),
    /// As many retries as the calls ask for.
    Off,
}

impl Budget {
    /// 20 %: one retry for five attempts that work.
    pub const DEFAULT: Budget = Budget::Share(Ratio::percent(20));

    /// A share in percents, 1 to 100; another one is a problem that the settings' check reports.
    pub const fn percent(percent: u32) -> Budget {
        Budget::Share(Ratio::percent(percent))
    }
}

/// A set of HTTP statuses in 100..=599.
///
/// ```
/// use apiguard::Statuses;
///
/// const STATUSES: Statuses = Statuses::NONE.with(429).with_range(500, 599);
/// assert!(STATUSES.contains(503) && !STATUSES.contains(404));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Statuses {
    bits: [u64; 8],
    /// The first status that was asked for and does not exist, 0 for none.
    pub(crate) unknown: u16,
}

impl Statuses {
    /// No status.
    pub const NONE: Statuses = Statuses { bits: [0; 8], unknown: 0 };
    /// What is retried unless told otherwise: 429, 500, 502, 503 and 504.
    pub const RETRIED: Statuses = Statuses::NONE.with(429).with(500).with_range(502, 504);

    const FIRST: u16 = 100;
    const LAST: u16 = 599;

    /// Adds a status; one outside 100..=599 is a problem that the settings' check reports.
    pub const fn with(mut self, status: u16) -> Statuses {
        if status < Self::FIRST || status > Self::LAST {
            if self.unknown == 0 {
                // 0 stands for "none", and is itself no status: it is kept as the largest number.
                self.unknown = if status == 0 { u16::MAX } else { status };
            }
            return self;
        }
        let index = status - Self::FIRST;
        self.bits[(index / 64) as usize] |= 1 << (index % 64);
        self
    }

    /// Adds the statuses from `first` to `last`, both included: none where `first` is the larger. One beyond 100 to 599 is a mistake of
    /// the settings.
    pub const fn with_range(mut self, first: u16, last: u16) -> Statuses {
        if last > Self::LAST {
            return self.with(last);
        }
        let mut status = first;
        while status <= last {
            self = self.with(status);
            status += 1;
        }
        self
    }

    /// Whether the status is in the set.
    pub const fn contains(&self, status: u16) -> bool {
        if status < Self::FIRST || status > Self::LAST {
            return false;
        }
        let index = status - Self::FIRST;
        self.bits[(index / 64) as usize] & (1 << (index % 64)) != 0
    }

    /// Whether a status is in the set that says nothing bad, one below 400.
    #[doc(hidden)]
    pub const fn has_good(&self) -> bool {
        let (words, bits) = ((400 - Self::FIRST) / 64, (400 - Self::FIRST) % 64);
        let mut index = 0;
        let mut found = self.bits[words as usize] & ((1 << bits) - 1);
        while index < words {
            found |= self.bits[index as usize];
            index += 1;
        }
        found != 0
    }

    /// The statuses in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (Self::FIRST..=Self::LAST).filter(|status| self.contains(*status))
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_whether_it_has_a_good_status() {
        for status in 100..=599 {
            assert_eq!(Statuses::NONE.with(status).has_good(), status < 400, "{status}");
        }
        assert!(!Statuses::RETRIED.has_good() && !Statuses::NONE.has_good());
    }

    #[test]
    fn a_set_of_statuses_holds_what_was_added() {
        let set = Statuses::NONE.with(100).with(599).with_range(502, 504);
        assert_eq!(set.iter().collect::<Vec<_>>(), [100, 502, 503, 504, 599]);
        assert_eq!(format!("{set:?}"), "{100, 502, 503, 504, 599}");
        for status in [0, 99, 101, 501, 505, 598, 600, u16::MAX] {
            assert!(!set.contains(status), "{status}");
        }
    }

    #[test]
    fn statuses_that_do_not_exist_are_remembered() {
        assert_eq!(Statuses::RETRIED.unknown, 0);
        assert_eq!(Statuses::NONE.with(42).with(600).unknown, 42);
        assert_eq!(Statuses::NONE.with_range(590, u16::MAX).unknown, u16::MAX);
        assert_ne!(Statuses::NONE.with(0).unknown, 0);
    }

    #[test]
    fn the_number_of_attempts_does_not_overflow() {
        assert_eq!(Retry::new(u32::MAX).attempts(), u32::MAX);
    }
}
