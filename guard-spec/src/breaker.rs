//! When a breaker opens, how long it stays open, and how it closes again.

use core::time::Duration;

use crate::text::nanos;

/// A circuit breaker's settings.
///
/// Closed until `failures` attempts in a row have failed; then open for `recovery`; then half-open: at most `probes`
/// attempts at a time are let through, `successes` good ones in a row close it, one failure opens it again.
///
/// ```
/// use apiguard::Breaker;
/// use std::time::Duration;
///
/// const BREAKER: Breaker = Breaker::consecutive(5).recovery(Duration::from_secs(10));
/// assert_eq!(BREAKER.to_string(), "opens after 5 failures in a row, for 10s, then 2 good probes close it, 1 at a time");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Breaker {
    pub(crate) failures: u32,
    pub(crate) recovery: u64,
    pub(crate) successes: u32,
    pub(crate) probes: u32,
}

impl Breaker {
    /// Opens after this many failed attempts in a row: at least 1.
    pub const fn consecutive(failures: u32) -> Breaker {
        Breaker { failures, recovery: 60_000_000_000, successes: 2, probes: 1 }
    }

    /// How long it stays open before it lets probes through: 1 ms to 365 days, default 60 s.
    pub const fn recovery(mut self, recovery: Duration) -> Breaker {
        self.recovery = nanos(recovery);
        self
    }

    /// How many probes in a row must succeed for it to close: 1 to 1 000, default 2.
    pub const fn successes(mut self, successes: u32) -> Breaker {
        self.successes = successes;
        self
    }

    /// How many probes may run at a time in half-open: 1 to 1 000, default 1.
    pub const fn probes(mut self, probes: u32) -> Breaker {
        self.probes = probes;
        self
    }

    /// Failed attempts in a row that open it.
    pub const fn failure_threshold(&self) -> u32 {
        self.failures
    }

    /// How long it stays open.
    pub const fn recovery_time(&self) -> Duration {
        Duration::from_nanos(self.recovery)
    }

    /// Good probes in a row that close it.
    pub const fn success_threshold(&self) -> u32 {
        self.successes
    }

    /// Probes at a time.
    pub const fn probe_limit(&self) -> u32 {
        self.probes
    }
}
