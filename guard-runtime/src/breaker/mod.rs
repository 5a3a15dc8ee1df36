//! The circuit breaker.
//!
//! ```text
//!            trips
//!   closed ----------> open <---------+
//!      ^                 |            | one failure or slow call
//!      |                 | `recovery` |
//!      +-- half-open <---+            |
//!  `successes` good |                 |
//!  probes in a row  +-----------------+
//! ```
//!
//! It trips after `failures` failed attempts in a row; or, windowed, when with at least `min_calls` in the window the
//! failures among them reach `failure_rate` or the slow calls `slow_rate`. A call may be both. Then it is open for
//! `recovery`, or as long as a server asked for with the attempt that opened it (at most an hour), and up to
//! `recovery_jitter` longer at random. Where `recovery_cap` is set the recovery doubles, up to that, each time that it opens
//! before it was closed for as long as the last one.
//!
//! An answer that is the caller's own mistake is a good call among others (it ends a row of failures) and decides no probe;
//! a throttled call says nothing, nor does an attempt that was dropped early; one that was slow by then is a slow call. All of
//! them free a probe's place. A probe that does not end (its permit was leaked, or the service is slow) is written off
//! after `recovery`, at least 60 s: another one takes its place. If it ends after all its result counts, and as long as
//! both ran one more than `probes` may have run.
//!
//! `state` and `window` are the maths, `core` holds the state.
//!
//! Source of the pattern: Michael Nygard, "Release It!", 2007; of the generations: Sony's gobreaker; of slow calls:
//! resilience4j.

mod core;
#[cfg(test)]
mod histories;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::time::Duration;

use guard_spec::{Breaker, Problem, Settings};

pub(crate) use self::core::Core;
pub use self::state::BreakerState;
pub(crate) use self::state::{Change, Ended, Pass, Sign};
pub(crate) use self::window::Counts;
use crate::clock;
use crate::keyed::Idle;

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
///
/// With a window it opens by the share of failures, or of slow calls, among the last ones:
///
/// ```
/// use apiguard::{Breaker, BreakerState, CircuitBreaker};
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::new(Breaker::failure_rate(0.5).window(Duration::from_secs(30)).min_calls(10))?;
/// for call in 0..10 {
///     let permit = breaker.try_acquire().unwrap();
///     if call % 2 == 0 { permit.success() } else { permit.failure() }
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct CircuitBreaker {
    core: Core,
    settings: Breaker,
}

/// The breaker lets nothing through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit is open; next probe in {}", guard_spec::InWords::about(*retry_after))]
#[non_exhaustive]
pub struct CircuitOpen {
    /// When the next probe may be let through. While all probes are running nobody knows: then it is the recovery
    /// time, at most one second. Forced open it is the recovery time, though it stays so until somebody says otherwise.
    pub retry_after: Duration,
}

/// The right to one attempt: say how it went, or drop it, which says nothing, unless it was slow by then. How long it took is
/// measured from when it was given.
#[must_use = "dropped at once, a permit says nothing of the attempt"]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    pass: Pass,
    since: u64,
}

impl CircuitBreaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(settings: Breaker) -> Result<CircuitBreaker, Problem> {
        match Settings::new().breaker(settings).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(CircuitBreaker { core: Core::new(Some(&settings)), settings }),
        }
    }

    /// The right to one attempt.
    ///
    /// # Errors
    /// [`CircuitOpen`] while the breaker is open, or half-open with all its probes running.
    pub fn try_acquire(&self) -> Result<Permit<'_>, CircuitOpen> {
        match self.core.pass_if_closed() {
            // Without a window it does not matter how long an attempt takes.
            Some(pass) if !self.settings.is_windowed() => Ok(Permit { breaker: self, pass, since: 0 }),
            _ => self.try_acquire_slowly(),
        }
    }

    #[cold]
    fn try_acquire_slowly(&self) -> Result<Permit<'_>, CircuitOpen> {
        let now = clock::now();
        let (pass, _) = self.core.admit(now, &self.settings)?;
        Ok(Permit { breaker: self, pass, since: now })
    }

    /// Which way the breaker stands. Open becomes half-open when the recovery time has passed.
    pub fn state(&self) -> BreakerState {
        self.core.state()
    }

    /// Failures in a row, or in the window; 0 unless closed.
    pub fn failures(&self) -> u32 {
        if self.settings.is_windowed() {
            u32::try_from(self.core.counts().failures).unwrap_or(u32::MAX)
        } else {
            self.core.failures_in_a_row()
        }
    }

    /// Calls in the window that were slow; 0 unless closed, and without a window.
    pub fn slow_calls(&self) -> u64 {
        self.core.counts().slow
    }

    /// Calls in the window; 0 unless closed, and without a window.
    pub fn calls_in_window(&self) -> u64 {
        self.core.counts().calls
    }

    /// Lets nothing through until [`force_closed`](CircuitBreaker::force_closed) or [`reset`](CircuitBreaker::reset).
    pub fn force_open(&self) {
        self.core.force(BreakerState::ForcedOpen, Some(&self.settings));
    }

    /// Lets everything through and counts nothing until [`force_open`](CircuitBreaker::force_open) or
    /// [`reset`](CircuitBreaker::reset).
    pub fn force_closed(&self) {
        self.core.force(BreakerState::ForcedClosed, Some(&self.settings));
    }

    /// Closes it and forgets what it has counted; attempts that are running now do not count any more.
    pub fn reset(&self) {
        self.core.force(BreakerState::Closed, Some(&self.settings));
    }
}

impl Idle for CircuitBreaker {
    fn is_idle(&self) -> bool {
        self.core.is_idle()
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
        self.settle(sign);
        // The drop below would free the probe's place a second time.
        std::mem::forget(self);
    }

    #[inline]
    fn settle(&self, sign: Sign) {
        if sign == Sign::Good && self.breaker.core.is_well() {
            return;
        }
        self.settle_slowly(sign);
    }

    #[cold]
    fn settle_slowly(&self, sign: Sign) {
        let now = clock::now();
        let ended = Ended { sign, ran: now.saturating_sub(self.since), hold: 0 };
        self.breaker.core.settle(self.pass, ended, now, &self.breaker.settings);
    }
}

/// Gives the place back.
impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.settle(Sign::Dropped);
    }
}
