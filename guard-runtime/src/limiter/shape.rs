//! A rate in its own units, and the maths of a bucket on it: `full_at` in, `full_at` out. No clock, no lock.

use guard_spec::Rate;

use super::LONGEST_DEBT;
use super::scale::Scale;
use super::word::{LATEST_FULL, taken};

/// A rate in the units of its word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(super) scale: Scale,
    pub(super) burst: u32,
}

/// How a rate stands when it is replaced.
#[derive(Clone, Copy)]
pub(super) struct Stand {
    scale: Scale,
    /// What is there of its tokens, and by how much it is overdrawn, in its units.
    there: u64,
    debt: u64,
    /// For how long it has been full, in nanoseconds; `u64::MAX` if nothing was ever taken.
    full_for: u64,
}

impl Shape {
    pub(super) const fn of(rate: &Rate) -> Shape {
        Shape { scale: Scale::of(rate), burst: rate.capacity() }
    }

    #[inline]
    pub(super) const fn capacity(self) -> u64 {
        self.scale.cost(self.burst)
    }

    /// The most tokens that one attempt can have.
    pub(crate) const fn burst(self) -> u32 {
        self.burst
    }

    /// Takes `n` tokens of a bucket with this `full_at`, if they are there; `full_at` after it.
    #[inline]
    pub(crate) fn take(self, full_at: u64, n: u32, now: u64) -> Option<u64> {
        if n > self.burst {
            return None;
        }
        taken(full_at, self.scale.units(now), 0, self.scale.cost(n), self.capacity())
    }

    /// When `n` tokens, at most the burst, are there if nobody else takes any: in nanoseconds.
    pub(crate) fn turn(self, full_at: u64, n: u32, now: u64) -> u64 {
        let base = full_at.max(self.scale.units(now));
        self.scale.nanos((base + self.scale.cost(n)).saturating_sub(self.capacity()))
    }

    /// An instant in units: a bucket whose `full_at` is no later is full.
    #[inline]
    pub(crate) const fn units(self, now: u64) -> u64 {
        self.scale.units(now)
    }

    /// The `full_at` with which another rate begins at an instant.
    pub(crate) fn renewed(self, full_at: u64, other: Shape, at: u64) -> u64 {
        other.begin(Some(self.stand(full_at, at)), at, LONGEST_DEBT).min(LATEST_FULL)
    }

    /// How it will stand at an instant if nothing is taken until then.
    pub(super) fn stand(self, full_at: u64, at: u64) -> Stand {
        let missing = full_at.saturating_sub(self.scale.units(at));
        Stand {
            scale: self.scale,
            there: self.capacity().saturating_sub(missing),
            debt: missing.saturating_sub(self.capacity()),
            full_for: if full_at == 0 { u64::MAX } else { at.saturating_sub(self.scale.nanos(full_at)) },
        }
    }

    /// `full_at` of a bucket that begins at an instant, in the place of another one. It has the tokens that the old one would have had,
    /// as far as it holds so many, and what it would have regained if it had been there since the old one was full; what was
    /// overdrawn still is, but is paid off in `most` nanoseconds. So no sequence of changes makes a token.
    pub(super) fn begin(self, old: Option<Stand>, at: u64, most: u64) -> u64 {
        let Shape { scale, .. } = self;
        let missing = old.map_or(0, |old| {
            let regained = scale.units(old.full_for).min(self.capacity());
            let missing = self.capacity().saturating_sub(scale.convert(old.there, old.scale) + regained);
            missing + scale.convert(old.debt, old.scale).min(scale.units(most))
        });
        scale.units(at).saturating_add(missing)
    }
}
