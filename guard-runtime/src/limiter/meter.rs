//! One rate: its word, and the shape that turns instants and tokens into the word's units. The shape may change while takes run:
//! it is stored while the word is closed, and the word's generation tells takes that have read the old one.

use std::sync::atomic::Ordering::Relaxed;

use guard_spec::Rate;

use super::Blocked;
use super::scale::Scale;
use super::shape::{Shape, Stand};
use super::word::Word;
use crate::sync::AtomicU64;

/// The lateness of a grant is forgotten where the next one that it could matter to is this far: one second.
const FORGOTTEN: u64 = 1_000_000_000;

pub(super) struct Meter {
    pub(super) word: Word,
    factor: AtomicU64,
    /// `burst << 32 | shift << 1 | 1`; 0 without a rate.
    rest: AtomicU64,
}

/// `burst << 32 | shift << 1 | 1`: a shift is at most 55.
const fn packed(shape: Shape) -> u64 {
    (shape.burst as u64) << 32 | (shape.scale.shift() as u64) << 1 | 1
}

impl Meter {
    /// A full bucket, for a rate that has been checked, or none.
    pub(super) const fn new(rate: Option<&Rate>, word: Word) -> Meter {
        match rate {
            Some(rate) => {
                let shape = Shape::of(rate);
                Meter { word, factor: AtomicU64::new(shape.scale.factor()), rest: AtomicU64::new(packed(shape)) }
            }
            None => Meter { word, factor: AtomicU64::new(0), rest: AtomicU64::new(0) },
        }
    }

    /// The rate as it holds for a word that was seen open before, or for the owner of the lock.
    #[inline]
    pub(super) fn shape(&self) -> Option<Shape> {
        let rest = self.rest.load(Relaxed);
        let scale = Scale::from_parts(self.factor.load(Relaxed), (rest as u32) >> 1);
        (rest != 0).then_some(Shape { scale, burst: (rest >> 32) as u32 })
    }

    /// Takes `n` tokens if they are there and the fast path is open; `full_at` after it. Without a rate there is nothing to take.
    #[inline]
    pub(super) fn take(&self, n: u32, now: u64) -> Option<u64> {
        let seen = self.word.seen()?;
        let Some(shape) = self.shape() else { return Some(0) };
        if n > shape.burst {
            return None;
        }
        self.word.take(seen, shape.scale.units(now), shape.scale.cost(n), shape.capacity())
    }

    /// Whether there is no rate and nothing else to ask for.
    pub(super) fn is_free(&self) -> bool {
        self.word.seen().is_some() && self.shape().is_none()
    }

    // ---- under the lock

    /// Whether it is of this rate, or of none.
    pub(super) fn holds(&self, rate: Option<&Rate>) -> bool {
        self.shape() == rate.map(Shape::of)
    }

    /// The turn of somebody behind `promised` tokens, its own included, in nanoseconds.
    pub(super) fn turn(&self, now: u64, promised: u64) -> u64 {
        let Some(Shape { scale, burst }) = self.shape() else { return 0 };
        scale.nanos(self.word.turn(scale.units(now), scale.costs(promised), scale.cost(burst)))
    }

    /// Whether `cost` is there, which is at most the burst. `late` is for the first in the line: a turn that came a little while
    /// ago counts from then.
    pub(super) fn decide(&self, now: u64, cost: u32, late: bool) -> Result<(), Blocked> {
        let Some(Shape { scale, burst }) = self.shape() else { return Ok(()) };
        let (units, cost, capacity) = (scale.units(now), scale.cost(cost), scale.cost(burst));
        let decided = if late {
            self.word.decide_late(units, cost, capacity, scale.lateness())
        } else {
            self.word.decide(units, cost, capacity)
        };
        // A turn that is not there yet is later than now, where units have ended and instants have not, too.
        decided.map_err(|turn| Blocked::Until(scale.nanos(turn).max(now.saturating_add(1))))
    }

    /// Takes what [`decide`](Meter::decide) found to be there; `full_at` after it.
    pub(super) fn advance(&self, now: u64, cost: u32, late: bool) -> u64 {
        let Some(Shape { scale, .. }) = self.shape() else { return 0 };
        let (now, cost) = (scale.units(now), scale.cost(cost));
        if late { self.word.advance_late(now, cost, scale.lateness()) } else { self.word.advance(now, cost) }
    }

    /// Takes back a grant that left `full_at` behind it, made under the present rate and with nothing given back since.
    ///
    /// Exact while nobody took more since; otherwise never too much: what the bucket has regained since it was as the grant found it
    /// it would not have regained without the grant (it may have been full).
    pub(super) fn undo(&self, full_at: u64, cost: u32, now: u64) {
        let Some(Shape { scale, .. }) = self.shape() else { return };
        let cost = scale.cost(cost);
        let before = full_at.saturating_sub(cost);
        let regained = scale.units(now).saturating_sub(before);
        self.word.undo(full_at, cost, cost.saturating_sub(regained));
    }

    /// Whether it is as if nothing had ever been taken.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.shape().is_none_or(|shape| self.word.full_at() <= shape.scale.units(now))
    }

    /// Whether a grant was late and who comes next may still count from its turn. What that gains in a second or more is too little
    /// to be remembered for.
    pub(super) fn has_credit(&self, now: u64) -> bool {
        let Some(Shape { scale, .. }) = self.shape() else { return false };
        self.word.has_credit(scale.units(now), scale.units(now.saturating_add(FORGOTTEN)))
    }

    /// The whole tokens that are there.
    pub(super) fn free(&self, now: u64) -> u64 {
        let Some(shape) = self.shape() else { return u64::MAX };
        let units = shape.scale.units(now);
        shape.scale.tokens((units + shape.capacity()).saturating_sub(self.word.full_at().max(units)))
    }

    /// Nothing before an instant, and then one token and what is regained.
    pub(super) fn pause(&self, until: u64) {
        let Some(shape) = self.shape() else { return };
        let Shape { scale, .. } = shape;
        self.word.at_least(scale.units(until).saturating_add(shape.capacity()).saturating_sub(scale.cost(1)));
    }

    /// Ends what a pause has put off.
    pub(super) fn resume(&self, now: u64) {
        let Some(shape) = self.shape() else { return };
        self.word.at_most(shape.scale.units(now).saturating_add(shape.capacity()));
    }

    /// Takes tokens that were used without having been taken, at most so many that they are paid off in `most` nanoseconds.
    pub(super) fn charge(&self, now: u64, tokens: u32, most: u64) {
        let Some(shape) = self.shape() else { return };
        let Shape { scale, .. } = shape;
        let latest = scale.units(now.saturating_add(most)).saturating_add(shape.capacity());
        self.word.charge(scale.units(now), scale.costs(u64::from(tokens)), latest);
    }

    /// Gives back tokens of an attempt's `cost` that were taken at an instant, under the present rate, and not used: no more than
    /// what cannot have been regained since, or a bucket that has been full could give more than its capacity.
    pub(super) fn refund(&self, at: u64, cost: u32, unused: u32, now: u64) {
        let Some(Shape { scale, burst }) = self.shape() else { return };
        let regained = scale.units(now).saturating_sub(scale.units(at));
        let rest = scale.cost(cost.min(burst)).saturating_sub(regained);
        self.word.undo(0, 0, rest.min(scale.cost(unused.min(burst))));
    }

    /// How it will stand at an instant if nothing is taken until then; `None` without a rate.
    pub(super) fn stand(&self, at: u64) -> Option<Stand> {
        Some(self.shape()?.stand(self.word.full_at(), at))
    }

    /// Holds another rate from now on, which begins with what the old one has ([`Shape::begin`]).
    pub(super) fn renew(&self, rate: Option<&Rate>, stand: Option<Stand>, at: u64, most: u64) {
        let Some(shape) = rate.map(Shape::of) else {
            self.rest.store(0, Relaxed);
            self.word.renew(0);
            return;
        };
        self.factor.store(shape.scale.factor(), Relaxed);
        self.rest.store(packed(shape), Relaxed);
        self.word.renew(shape.begin(stand, at, most));
    }
}
