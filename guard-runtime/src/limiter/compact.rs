//! A limiter that is one rate and nothing else, as one number: its `full_at`. So a key needs no more while nobody waits for it.

use super::{Limiter, Shape};

impl Limiter {
    /// Whether there is one rate and nothing else, or no limit at all.
    pub(crate) fn is_rate_alone(&self) -> bool {
        self.peek().limits.rate_alone
    }

    /// The first rate.
    pub(crate) fn rate(&self) -> Option<Shape> {
        let _fixed = self.peek();
        self.first.shape()
    }

    /// Begins with this `full_at`, the rates being those that hold since an instant. Nothing has been taken yet, and nobody else has it.
    pub(crate) fn begin(&self, full_at: u64, since: u64, now: u64) {
        let mut inner = self.lock();
        self.first.word.at_least(full_at);
        inner.since = since;
        // What was given back to it before is not known any more.
        inner.lowered = now.saturating_add(1);
        self.unlock(inner, now);
    }

    /// `full_at`, if that says all: there is one rate or none, nobody waits, nothing is paused, and no grant was so late that the
    /// next one may still count from its turn.
    pub(crate) fn compact(&self, now: u64) -> Option<u64> {
        let inner = self.peek();
        let is_all = inner.limits.rate_alone && inner.line.is_unused() && inner.paused_until <= now;
        (is_all && !self.first.has_credit(now)).then(|| self.first.word.full_at())
    }
}
