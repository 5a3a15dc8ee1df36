//! The circuit breaker.
//!
//! ```text
//!            `failures` failures in a row
//!   closed ------------------------------> open <---------+
//!      ^                                     |            | one failure
//!      |                                     | `recovery` |
//!      +---------- half-open <---------------+            |
//!  `successes` good   |                                   |
//!  probes in a row    +-----------------------------------+
//! ```
//!
//! An answer that is the caller's own mistake ends a row of failures and decides no probe; a throttled call and an attempt
//! that was dropped early say nothing; all of them free a probe's place. A probe that does not end (its permit was leaked,
//! or the service is slow) is written off after `recovery`, at least 60 s: another one takes its place. If it ends after
//! all its result counts, and as long as both ran one more than `probes` may have run.
//!
//! Source of the pattern: Michael Nygard, "Release It!", 2007; of the generations: Sony's gobreaker.

mod core;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use guard_spec::{Breaker, Problem, Settings};

pub(crate) use self::core::Core;
pub use self::state::BreakerState;
pub(crate) use self::state::{Change, Pass, Sign};
use crate::clock;

/// A circuit breaker: stops calling a service that is down, and finds out when it is well again.
///
/// ```
/// use apiguard::{Breaker, BreakerState, CircuitBreaker};
///
/// let breaker = CircuitBreaker::new(Breaker::consecutive(2))?;
/// for _ in 0..2 {
///     breaker.try_acquire().unwrap().failure();
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// assert!(breaker.try_acquire().is_err());
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct CircuitBreaker {
    core: Core,
    settings: Breaker,
}

/// The breaker lets nothing through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit is open; next probe in {}", guard_spec::InWords::duration(*retry_after))]
#[non_exhaustive]
pub struct CircuitOpen {
    /// When the next probe may be let through. While all probes are running nobody knows: then it is the recovery
    /// time, at most one second.
    pub retry_after: Duration,
}

/// The right to one attempt: say how it went, or drop it, which says nothing.
#[must_use = "dropped at once, a permit says nothing of the attempt"]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    pass: Pass,
}

impl CircuitBreaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(settings: Breaker) -> Result<CircuitBreaker, Problem> {
        match Settings::new().breaker(settings).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(CircuitBreaker { core: Core::new(), settings }),
        }
    }

    /// The right to one attempt.
    ///
    /// # Errors
    /// [`CircuitOpen`] while the breaker is open, or half-open with all its probes running.
    pub fn try_acquire(&self) -> Result<Permit<'_>, CircuitOpen> {
        let (pass, _) = self.admit(clock::now())?;
        Ok(Permit { breaker: self, pass })
    }

    /// Which way the breaker stands. Open becomes half-open when the recovery time has passed.
    pub fn state(&self) -> BreakerState {
        self.core.state()
    }

    /// Failures in a row; 0 unless closed.
    pub fn failures(&self) -> u32 {
        self.core.failures()
    }

    /// Lets nothing through until [`force_closed`](CircuitBreaker::force_closed) or [`reset`](CircuitBreaker::reset).
    pub fn force_open(&self) {
        self.core.force(BreakerState::ForcedOpen);
    }

    /// Lets everything through and counts nothing until [`force_open`](CircuitBreaker::force_open) or
    /// [`reset`](CircuitBreaker::reset).
    pub fn force_closed(&self) {
        self.core.force(BreakerState::ForcedClosed);
    }

    /// Closes it and forgets what it has counted; attempts that are running now do not count any more.
    pub fn reset(&self) {
        self.core.force(BreakerState::Closed);
    }

    fn admit(&self, now: u64) -> Result<(Pass, Option<Change>), CircuitOpen> {
        self.core.admit(now, &self.settings)
    }

    fn settle(&self, pass: Pass, sign: Sign, now: u64) -> Option<Change> {
        self.core.settle(pass, sign, now, &self.settings)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Permit<'_> {
    /// The attempt worked.
    pub fn success(self) {
        self.end(Sign::Good);
    }

    /// The service failed.
    pub fn failure(self) {
        self.end(Sign::Bad);
    }

    fn end(self, sign: Sign) {
        self.breaker.settle(self.pass, sign, clock::now());
        // The drop below would free the probe's place a second time.
        std::mem::forget(self);
    }
}

/// Gives the place back; says nothing of the service.
impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.settle(self.pass, Sign::None, clock::now());
    }
}
