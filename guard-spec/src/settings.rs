//! Everything that a policy may declare.

use core::time::Duration;

use crate::text::nanos;
use crate::{Breaker, Rate, Retry};

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
    pub(crate) rate: Option<Rate>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) retries: Option<Retry>,
    pub(crate) timeout: Option<u64>,
    pub(crate) attempt_timeout: Option<u64>,
}

impl Settings {
    /// No limit, no breaker, no retries, no timeout.
    pub const fn new() -> Settings {
        Settings { rate: None, breaker: None, retries: None, timeout: None, attempt_timeout: None }
    }

    /// Limits the rate of attempts.
    pub const fn rate(mut self, rate: Rate) -> Settings {
        self.rate = Some(rate);
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

    /// Bounds one attempt: 1 ms to `timeout`.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Settings {
        self.attempt_timeout = Some(nanos(timeout));
        self
    }

    /// The limit of the rate of attempts.
    pub const fn rate_limit(&self) -> Option<&Rate> {
        self.rate.as_ref()
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
