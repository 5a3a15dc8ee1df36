//! The state of a bucket: one atomic word, `full_at` and a bit that closes the fast path.
//!
//! The decision, for `cost` at `now` (all in the units of [`Scale`](super::scale::Scale)):
//!
//! ```text
//! base  = full_at, or now if that has passed (a full bucket regains nothing)
//! admit   if base + cost <= now + capacity, and full_at becomes base + cost
//! else    the turn comes at base + cost - capacity
//! ```
//!
//! A timer wakes a waiter up to 2 ms after its turn. With a bucket of one token those 2 ms would be lost for ever: by
//! then the bucket is full and regains nothing. So a late grant counts from its turn (`base` may lie up to 2 ms in the
//! past), and its lateness is kept as credit for whoever comes next without a pause. Every grant then has a turn of its
//! own, turns are spaced by the rate, and a grant is never before its turn nor more than 2 ms after it: hence at most
//! `burst + rate x (t + 2 ms)` grants in any time `t`, however many use the credit. (A task that the executor runs late
//! after its grant starts late; one that is run over 50 ms late pays again, see `turn`.)
//!
//! The rate may change while it is used. Then the word is closed, and opened again in another generation: a take that has
//! read the rate before fails at its compare-exchange (unless four changes come between its two steps and leave the same
//! `full_at`).
//!
//! Orderings: the word carries nothing but itself and the rate. Whoever finds it open has acquired the rate that was stored
//! before it was opened ([`open`](Word::open) releases); a take releases, and closing acquires, so that a new rate is not stored
//! before the takes that come before it in the word's order have read the old one. What the line holds is under its lock.

use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use crate::sync::AtomicU64;

/// Set while somebody waits, and while the lock's owner changes the word: the fast path is closed.
const CLOSED: u64 = 1;
/// The generation.
const GENERATION: u64 = 0b110;
const NEXT_GENERATION: u64 = 0b010;
const SHIFT: u32 = 3;
/// `full_at` is no later than this; instants are below half of it.
pub(super) const LATEST_FULL: u64 = (1 << 61) - 1;

pub(super) struct Word {
    /// `full_at << 3 | generation << 1 | CLOSED`.
    state: AtomicU64,
    /// How late the last grant was, at most [`LATENESS`](super::scale::LATENESS).
    credit: AtomicU64,
}

/// An open word.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

/// Where a grant counts from.
#[inline]
fn base(full_at: u64, now: u64, credit: u64) -> u64 {
    // `full_at + credit >= now` keeps the schedule; both are below 2^62.
    if full_at + credit >= now { full_at } else { now }
}

/// `full_at` after `cost` is taken of a bucket, if it is there.
#[inline]
pub(super) fn taken(full_at: u64, now: u64, credit: u64, cost: u64, capacity: u64) -> Option<u64> {
    let full_at = base(full_at, now, credit) + cost;
    (full_at <= now + capacity).then_some(full_at)
}

impl Word {
    /// A full bucket.
    pub(super) const fn new() -> Word {
        Word { state: AtomicU64::new(0), credit: AtomicU64::new(0) }
    }

    /// A full bucket whose fast path is closed.
    pub(super) const fn closed() -> Word {
        Word { state: AtomicU64::new(CLOSED), credit: AtomicU64::new(0) }
    }

    /// The word as it is, if the fast path is open.
    #[inline]
    pub(super) fn seen(&self) -> Option<Seen> {
        let state = self.state.load(Acquire);
        (state & CLOSED == 0).then_some(Seen(state))
    }

    /// Takes `cost` if it is there and the fast path is open; returns `full_at` after it. The cost is that of the rate that holds
    /// since the word was [`seen`](Word::seen).
    #[inline]
    pub(super) fn take(&self, Seen(mut state): Seen, now: u64, cost: u64, capacity: u64) -> Option<u64> {
        let generation = state & GENERATION;
        loop {
            if state & (CLOSED | GENERATION) != generation {
                return None;
            }
            let full_at = taken(state >> SHIFT, now, self.credit.load(Relaxed), cost, capacity)?;
            match self.state.compare_exchange_weak(state, full_at << SHIFT | generation, Release, Relaxed) {
                Ok(_) => return Some(full_at),
                Err(changed) => state = changed,
            }
        }
    }

    /// `full_at`.
    pub(super) fn full_at(&self) -> u64 {
        self.state.load(Relaxed) >> SHIFT
    }

    /// Whether a take may still come within the lateness of the last grant, by `latest`.
    pub(super) fn has_credit(&self, now: u64, latest: u64) -> bool {
        let (full_at, credit) = (self.full_at(), self.credit.load(Relaxed));
        credit > 0 && full_at <= latest && full_at + credit >= now
    }

    // The rest is for the owner of the line's lock. Between `close` and `open` nobody else changes the word: the fast
    // path's compare-exchange expects the bit to be unset.

    /// Closes the fast path.
    pub(super) fn close(&self) {
        self.state.fetch_or(CLOSED, Acquire);
    }

    /// Opens the fast path.
    pub(super) fn open(&self) {
        self.state.fetch_and(!CLOSED, Release);
    }

    fn set(&self, full_at: u64) {
        let generation = self.state.load(Relaxed) & GENERATION;
        self.state.store(full_at.min(LATEST_FULL) << SHIFT | generation | CLOSED, Relaxed);
    }

    /// Begins anew under another rate, with this `full_at`.
    pub(super) fn renew(&self, full_at: u64) {
        let generation = self.state.load(Relaxed).wrapping_add(NEXT_GENERATION) & GENERATION;
        self.credit.store(0, Relaxed);
        self.state.store(full_at.min(LATEST_FULL) << SHIFT | generation | CLOSED, Relaxed);
    }

    /// The turn of somebody behind `promised` units, its own included.
    pub(super) fn turn(&self, now: u64, promised: u64, capacity: u64) -> u64 {
        let base = base(self.full_at(), now, self.credit.load(Relaxed));
        base.saturating_add(promised).saturating_sub(capacity)
    }

    /// Whether `cost` is there for somebody who comes now; else the turn.
    pub(super) fn decide(&self, now: u64, cost: u64, capacity: u64) -> Result<(), u64> {
        let turn = self.turn(now, cost, capacity);
        if turn <= now { Ok(()) } else { Err(turn) }
    }

    /// Takes what [`decide`](Word::decide) found to be there.
    pub(super) fn advance(&self, now: u64, cost: u64) -> u64 {
        let full_at = base(self.full_at(), now, self.credit.load(Relaxed)) + cost;
        self.set(full_at);
        full_at
    }

    /// Whether the turn of the first in the line has come; else the turn. A turn that came at most `lateness` ago
    /// counts from then.
    pub(super) fn decide_late(&self, now: u64, cost: u64, capacity: u64, lateness: u64) -> Result<(), u64> {
        let turn = (self.full_at().max(now.saturating_sub(lateness)) + cost).saturating_sub(capacity);
        if turn <= now { Ok(()) } else { Err(turn) }
    }

    /// Takes what [`decide_late`](Word::decide_late) found to be there.
    pub(super) fn advance_late(&self, now: u64, cost: u64, lateness: u64) -> u64 {
        let base = self.full_at().max(now.saturating_sub(lateness));
        // Zero for a bucket that was not full: then nothing was lost.
        self.credit.store(now.saturating_sub(base), Relaxed);
        self.set(base + cost);
        base + cost
    }

    /// Moves `full_at` to an instant, unless it is later already.
    pub(super) fn at_least(&self, full_at: u64) {
        self.set(self.full_at().max(full_at));
    }

    /// Takes `cost`, there or not, as far as `full_at` does not come to lie beyond `latest` by it.
    pub(super) fn charge(&self, now: u64, cost: u64, latest: u64) {
        let full_at = self.full_at();
        self.set(full_at.max(now).saturating_add(cost).min(latest).max(full_at));
    }

    /// Moves `full_at` to an instant, unless it is earlier already.
    pub(super) fn at_most(&self, full_at: u64) {
        self.set(self.full_at().min(full_at));
    }

    /// Takes back a grant that left `full_at` behind it: all of it if it was the last one, else `rest`.
    pub(super) fn undo(&self, full_at: u64, cost: u64, rest: u64) {
        let current = self.full_at();
        let undone = if current == full_at { cost } else { rest };
        self.set(current.saturating_sub(undone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units are nanoseconds here and a token is 100 of them.
    const TOKEN: u64 = 100;

    fn take(word: &Word, now: u64, cost: u64, capacity: u64) -> Option<u64> {
        word.take(word.seen()?, now, cost, capacity)
    }

    #[test]
    fn a_full_bucket_gives_its_capacity_and_then_the_rate() {
        let word = Word::new();
        let now = 1_000;
        for _ in 0..3 {
            assert!(take(&word, now, TOKEN, 3 * TOKEN).is_some());
        }
        assert!(take(&word, now + 99, TOKEN, 3 * TOKEN).is_none());
        assert!(take(&word, now + 100, TOKEN, 3 * TOKEN).is_some());
        assert!(take(&word, now + 100, TOKEN, 3 * TOKEN).is_none());
        assert_eq!(word.turn(now + 100, TOKEN, 3 * TOKEN), now + 200);
    }

    #[test]
    fn idle_time_earns_no_more_than_the_capacity() {
        let word = Word::new();
        let now = 1 << 59;
        let taken = (0..10).filter(|_| take(&word, now, TOKEN, 3 * TOKEN).is_some()).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn an_instant_later_than_the_word_holds_is_the_last_one_and_no_early_one() {
        let word = Word::new();
        word.close();
        for set in [Word::at_least, Word::renew, |word: &Word, full_at| word.charge(0, full_at, u64::MAX)] {
            word.renew(0);
            set(&word, u64::MAX);
            assert_eq!(word.full_at(), LATEST_FULL);
        }
    }

    #[test]
    fn a_clock_that_steps_back_takes_nothing_away() {
        let word = Word::new();
        assert!(take(&word, 1_000, TOKEN, TOKEN).is_some());
        assert!(take(&word, 0, TOKEN, TOKEN).is_none());
        assert!(take(&word, 1_100, TOKEN, TOKEN).is_some());
    }

    #[test]
    fn a_late_grant_counts_from_its_turn_and_leaves_its_lateness_as_credit() {
        let word = Word::new();
        assert!(take(&word, 1_000, TOKEN, TOKEN).is_some());
        word.close();
        assert_eq!(word.decide_late(1_099, TOKEN, TOKEN, 50), Err(1_100));
        assert_eq!(word.decide_late(1_130, TOKEN, TOKEN, 50), Ok(()));
        assert_eq!(word.advance_late(1_130, TOKEN, 50), 1_200);
        word.open();
        assert!(take(&word, 1_199, TOKEN, TOKEN).is_none());
        // 30 late, within the credit of 30: the schedule holds.
        assert_eq!(take(&word, 1_230, TOKEN, TOKEN), Some(1_300));
        // 31 late: a pause, and a schedule that starts anew.
        assert_eq!(take(&word, 1_331, TOKEN, TOKEN), Some(1_431));
    }

    #[test]
    fn a_late_grant_matters_until_the_credit_has_passed_and_where_the_next_one_is_near() {
        let word = Word::new();
        assert!(take(&word, 1_000, TOKEN, TOKEN).is_some());
        assert!(!word.has_credit(1_000, 2_000), "it was not late");
        word.close();
        assert_eq!(word.advance_late(1_130, TOKEN, 50), 1_200);
        assert!(word.has_credit(1_130, 1_200) && word.has_credit(1_230, 9_000));
        assert!(!word.has_credit(1_231, 9_000), "the credit has passed");
        assert!(!word.has_credit(1_130, 1_199), "the next one is far");
    }

    #[test]
    fn no_more_than_the_lateness_is_made_up() {
        let word = Word::new();
        assert!(take(&word, 1_000, TOKEN, TOKEN).is_some());
        word.close();
        // A runtime that stood still for ten tokens: one is granted, the schedule moves on by the rest.
        assert_eq!(word.advance_late(2_000, TOKEN, 50), 2_050);
        assert_eq!(word.decide_late(2_000, TOKEN, TOKEN, 50), Err(2_050));
    }

    #[test]
    fn what_is_taken_back_is_exact_or_less() {
        let word = Word::new();
        let taken = take(&word, 1_000, TOKEN, 2 * TOKEN).unwrap();
        word.close();
        word.undo(taken, TOKEN, 0);
        assert_eq!(word.full_at(), 1_000);
        word.advance(1_000, TOKEN);
        let second = word.advance(1_000, TOKEN);
        word.undo(taken, TOKEN, 40);
        assert_eq!(word.full_at(), second - 40);
    }

    #[test]
    fn a_take_under_a_rate_that_has_changed_fails() {
        let word = Word::new();
        let seen = word.seen().unwrap();
        word.close();
        assert!(word.seen().is_none());
        word.renew(0);
        word.open();
        assert_eq!(word.take(seen, 1_000, TOKEN, TOKEN), None);
        assert_eq!(take(&word, 1_000, TOKEN, TOKEN), Some(1_100));
        // Without a change the fast path may close and open again in between.
        let seen = word.seen().unwrap();
        word.close();
        word.open();
        assert_eq!(word.take(seen, 1_100, TOKEN, TOKEN), Some(1_200));
    }
}
