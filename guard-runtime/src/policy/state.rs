//! What the calls of a policy share, or those of one of its keys: limits and breaker.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Waker;

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

/// Who is to be told of changes when no lock is held any more: wakers and subscribers are code of the user's.
#[derive(Default)]
pub(crate) struct ToTell {
    pub(super) wakers: Vec<Waker>,
    pub(super) changes: Vec<Change>,
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

    /// Whether it can be done without where room is short: nothing is owed, nobody waits, and its breaker is not open.
    pub(crate) fn is_dispensable(&self, now: u64) -> bool {
        self.limiter.is_full() && !self.breaker.is_open(now)
    }

    /// Holds other settings, once for each version; under the policy's lock for changes.
    pub(super) fn configure(&self, old: &Settings, new: &Settings, version: u32, to_tell: &mut ToTell) {
        if self.version.swap(version, Relaxed) == version {
            return;
        }
        to_tell.wakers.extend(self.limiter.reconfigure(old, new));
        let is_forced = matches!(self.breaker.state(), BreakerState::ForcedOpen | BreakerState::ForcedClosed);
        let breaker = new.circuit_breaker();
        if is_forced || old.circuit_breaker() == breaker && self.breaker.fits(breaker) {
            return;
        }
        to_tell.changes.extend(self.breaker.force(BreakerState::Closed, breaker));
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
