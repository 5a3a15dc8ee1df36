//! What the calls of a policy share, or those of one of its keys: limits and breaker.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guard_spec::Settings;

use crate::breaker::{BreakerState, Change, Core, Pass};
use crate::keyed::Idle;
use crate::limiter::Limiter;

/// Limits and breaker.
pub struct State {
    pub(crate) limiter: Limiter,
    pub(crate) breaker: Core,
    /// Of the settings that it holds.
    pub(super) version: AtomicU32,
}

impl State {
    /// For settings that have been checked.
    pub(super) const fn unchecked(settings: &Settings) -> State {
        State {
            limiter: Limiter::unchecked(settings),
            breaker: Core::new(settings.circuit_breaker()),
            version: AtomicU32::new(0),
        }
    }

    /// Of the settings that it holds.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Relaxed)
    }

    /// `full_at` of its bucket, if that says all: the breaker is well and still of this generation, and the limits say no more.
    pub(crate) fn compact(&self, first: Pass, now: u64) -> Option<u64> {
        let is_first = self.breaker.pass_if_closed() == Some(first);
        let is_new = is_first && self.breaker.is_well() && self.breaker.is_idle();
        if is_new { self.limiter.compact(now) } else { None }
    }

    /// Holds other settings, once for each version; under the policy's lock for changes.
    pub(super) fn configure(&self, old: &Settings, new: &Settings, version: u32) -> Option<Change> {
        if self.version.swap(version, Relaxed) == version {
            return None;
        }
        self.limiter.configure(old, new);
        let is_forced = matches!(self.breaker.state(), BreakerState::ForcedOpen | BreakerState::ForcedClosed);
        let breaker = new.circuit_breaker();
        if is_forced || old.circuit_breaker() == breaker && self.breaker.fits(breaker) {
            return None;
        }
        self.breaker.force(BreakerState::Closed, breaker)
    }
}

impl Idle for State {
    fn is_idle(&self) -> bool {
        self.limiter.is_full() && self.breaker.is_idle()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
