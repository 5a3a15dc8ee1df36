//! The limits of a policy: rates, quotas, attempts in flight, and a line for those who have to wait.
//!
//! ```text
//! scale   a rate's own unit of time, in which one token is a power of two: no rounding, hence no drift
//! word    the instant at which a bucket would be full again, and the decision (GCRA) on it: one atomic word
//! quota   what was taken in the last window
//! more    what there is beside the first rate, decided upon together: all or nothing is taken
//! line    who waits, in the order of arrival
//! turn    the wait of one of them
//! here    all of it together: take, wait, give back
//! bucket, window   a rate and a quota, each usable alone
//! ```
//!
//! A bucket holds `burst` tokens and regains `rate` of them per second. `full_at`, the instant at which it would be
//! full again, says how many it has: taking `n` moves it `n` tokens later, and may do so while the bucket is not
//! overdrawn by it, `full_at + n <= now + burst`. When it may not, `full_at + n - burst` is the instant at which it may.
//! Source: the generic cell rate algorithm, ITU-T I.371 (its "theoretical arrival time" is `full_at` here).
//!
//! With one rate and nothing else the fast path is the word alone: one compare-exchange. While someone waits, a bit in the
//! word sends everybody to the line, so that nobody overtakes; with other limits beside it the bit is always set, and every
//! decision is made under the line's lock. Whoever waits has a timer of its own; who comes first after an instant grants to
//! all whose time has come.

mod bucket;
mod line;
mod more;
mod quota;
mod scale;
mod turn;
mod window;
mod word;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use guard_spec::Settings;

pub use self::bucket::{Refused, TokenBucket};
use self::line::Line;
use self::more::{Blocked, Meter, More, RATES};
pub(crate) use self::turn::{Ticket, Turn};
pub use self::window::Window;
use self::word::Word;
use crate::clock;

/// A moved-up waiter is woken to set its timer anew when that would fire this much after its turn.
const LATE_TIMER: u64 = 500_000;
/// The most that a charge for what was used, but not taken, puts off the next attempt: one hour.
const LONGEST_DEBT: u64 = 3_600_000_000_000;

/// All limits of one policy.
#[allow(clippy::struct_excessive_bools)] // each is one question, asked by itself
pub struct Limiter {
    /// The first rate; of no use without one.
    first: Meter,
    has_rate: bool,
    /// Whether there is nothing beside it.
    is_alone: bool,
    limits_flight: bool,
    limits_tokens: bool,
    /// The most that one attempt can ask for.
    most: u32,
    /// The longest that a call waits for its turn, in nanoseconds.
    patience: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    line: Line,
    /// Made when the first attempt comes.
    more: Option<Box<More>>,
    /// Until then nothing is granted.
    paused_until: u64,
}

/// Why an attempt was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its turn would come too late.
    NotYet { retry_after: Duration },
    /// All that may be in flight is, and nobody knows for how long.
    Full,
    /// It asks for more than there ever is.
    Never { cost: u32, most: u32 },
}

/// What a grant took: enough to give it back exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    cost: u32,
    grant: Grant,
}

impl Taken {
    /// When it was granted.
    pub(crate) fn at(&self) -> u64 {
        self.grant.at
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grant {
    /// When.
    at: u64,
    /// `full_at` of each rate after it.
    first: u64,
    rest: [u64; RATES],
}

impl Limiter {
    /// For settings that have been checked.
    pub(crate) const fn unchecked(settings: &Settings) -> Limiter {
        let rate = match settings.rate_limit() {
            Some(rate) => *rate,
            None => guard_spec::Rate::per_second(1),
        };
        let is_alone = !settings.has_more_limits();
        let word = if is_alone { Word::new() } else { Word::closed() };
        let first = Meter { word, ..Meter::new(&rate) };
        Limiter {
            first,
            has_rate: settings.rate_limit().is_some(),
            is_alone,
            limits_flight: settings.concurrency_limit().is_some(),
            limits_tokens: settings.limits_tokens(),
            most: settings.most_tokens(),
            patience: settings.patience(),
            inner: Mutex::new(Inner { line: Line::new(), more: None, paused_until: 0 }),
        }
    }

    pub(crate) const fn patience(&self) -> u64 {
        self.patience
    }

    /// Takes the tokens if nothing stands in the way: the fast path, one compare-exchange.
    #[inline]
    pub(crate) fn take_now(&self, n: u32, now: u64) -> Option<Taken> {
        if !self.has_rate {
            // Without a limit there is nothing to take, unless there is one of another kind, or a pause.
            let is_open = !self.first.word.read().1;
            return is_open.then_some(Taken { cost: n, grant: Grant { at: now, first: 0, rest: [0; RATES] } });
        }
        if n > self.most {
            return None;
        }
        let first =
            self.first.word.take(self.first.scale.units(now), self.first.scale.cost(n), self.first.capacity())?;
        Some(Taken { cost: n, grant: Grant { at: now, first, rest: [0; RATES] } })
    }

    /// Takes the tokens, or a place in the line if the turn may come by `latest`. The settings are those that it was made for.
    pub(crate) fn enter(&self, settings: &Settings, n: u32, now: u64, latest: u64) -> Result<Entry, Refusal> {
        if let Some(taken) = self.take_now(n, now) {
            return Ok(Entry::Taken(taken));
        }
        self.enter_slowly(settings, n, now, latest)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, settings: &Settings, n: u32, now: u64, latest: u64) -> Result<Entry, Refusal> {
        if n > self.most {
            return Err(Refusal::Never { cost: n, most: self.most });
        }
        let mut inner = self.lock();
        if !self.is_alone {
            inner.more.get_or_insert_with(|| Box::new(More::of(settings)));
        }
        // A quota counts at the instant of admission, which is not before the lock was had.
        let now = if self.is_alone { now } else { clock::now() };
        let woken = self.grant(&mut inner, now);
        let decided = if inner.line.is_empty() { self.decide(&mut inner, now, n, false) } else { Ok(()) };
        let result = if inner.line.is_empty() && decided.is_ok() {
            let grant = self.advance(&mut inner, now, n, false);
            Ok(Entry::Taken(Taken { cost: n, grant }))
        } else {
            let promised = inner.line.promised().saturating_add(u64::from(n));
            let turn_at = self.turn(&mut inner, now, promised);
            if turn_at > latest {
                Err(Refusal::NotYet { retry_after: Duration::from_nanos(turn_at.saturating_sub(now)) })
            } else if latest <= now && decided == Err(Blocked::Full) {
                Err(Refusal::Full)
            } else {
                let place = inner.line.join(n, turn_at);
                Ok(Entry::Turn(Ticket { place, due: turn_at, latest }))
            }
        };
        self.unlock(inner, now);
        wake(woken);
        result
    }

    // ---- under the lock

    /// The most tokens that one attempt can ask for.
    pub(super) const fn most(&self) -> u32 {
        self.most
    }

    /// Makes what the limits beside the first rate need.
    pub(super) fn prepare(&self, settings: &Settings) {
        if !self.is_alone {
            self.lock().more.get_or_insert_with(|| Box::new(More::of(settings)));
        }
    }

    /// Takes the lock and closes the fast path.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is in there is consistent at every point where a panic could start.
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.first.word.close();
        inner
    }

    /// Gives the lock back; if the first rate alone decides about the next one, the fast path is open again.
    fn unlock(&self, inner: MutexGuard<'_, Inner>, now: u64) {
        if self.is_alone && inner.line.is_empty() && inner.paused_until <= now {
            self.first.word.open();
        }
        drop(inner);
    }

    /// Whether all limits let an attempt through now.
    fn decide(&self, inner: &mut Inner, now: u64, cost: u32, late: bool) -> Result<(), Blocked> {
        let mut until = inner.paused_until;
        if self.has_rate {
            if let Err(Blocked::Until(turn)) = self.first.decide(now, cost, late) {
                until = until.max(turn);
            }
        }
        let more = match &mut inner.more {
            Some(more) => more.decide(now, cost, late),
            None => Ok(()),
        };
        match more {
            Err(Blocked::Until(turn)) => until = until.max(turn),
            Err(Blocked::Full) if until <= now => return Err(Blocked::Full),
            _ => {}
        }
        if until > now { Err(Blocked::Until(until)) } else { Ok(()) }
    }

    /// Takes what [`decide`](Limiter::decide) found to be there.
    fn advance(&self, inner: &mut Inner, now: u64, cost: u32, late: bool) -> Grant {
        let first = if self.has_rate { self.first.advance(now, cost, late) } else { 0 };
        let rest = inner.more.as_mut().map(|more| more.advance(now, cost, late)).unwrap_or_default();
        Grant { at: now, first, rest }
    }

    /// The turn of somebody behind `promised` tokens, its own included, as far as time alone decides. By each limit alone it is
    /// the earliest that it can be; several together, and a quota of which several are taken at a time, may make it later.
    fn turn(&self, inner: &mut Inner, now: u64, promised: u64) -> u64 {
        let first = if self.has_rate { self.first.turn(now, promised) } else { 0 };
        let more = inner.more.as_mut().map_or(0, |more| more.turn(now, promised));
        first.max(more).max(inner.paused_until)
    }

    /// Grants to all whose turn has come; returns whom to wake.
    fn grant(&self, inner: &mut Inner, now: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(cost) = inner.line.first_cost() {
            match self.decide(inner, now, cost, true) {
                Ok(()) => {
                    let grant = self.advance(inner, now, cost, true);
                    woken.extend(inner.line.grant_first(grant));
                }
                Err(Blocked::Until(turn)) => {
                    // Those ahead of it may have left: its timer may be set for a turn much later than the one it has.
                    woken.extend(inner.line.wake_first_if_later(turn.saturating_add(LATE_TIMER)));
                    break;
                }
                // It is granted when an attempt ends.
                Err(Blocked::Full) => break,
            }
        }
        woken
    }

    fn take_back(&self, inner: &mut Inner, taken: Taken, now: u64) -> Vec<Waker> {
        self.undo(inner, taken, now);
        self.grant(inner, now)
    }

    /// Takes back a grant that was not used in time, and makes another one if one can be made now.
    fn pay_again(&self, inner: &mut Inner, taken: Taken, now: u64) -> Option<Taken> {
        self.undo(inner, taken, now);
        self.decide(inner, now, taken.cost, true).ok()?;
        let grant = self.advance(inner, now, taken.cost, true);
        Some(Taken { cost: taken.cost, grant })
    }

    /// The turn of the first in the line; never while it waits for the end of an attempt.
    fn turn_of_first(&self, inner: &mut Inner, now: u64) -> u64 {
        let Some(cost) = inner.line.first_cost() else { return u64::MAX };
        match self.decide(inner, now, cost, true) {
            Ok(()) => now,
            Err(Blocked::Until(turn)) => turn,
            Err(Blocked::Full) => u64::MAX,
        }
    }

    fn undo(&self, inner: &mut Inner, taken: Taken, now: u64) {
        let Taken { cost, grant } = taken;
        if self.has_rate {
            self.first.undo(grant.first, cost, now);
        }
        if let Some(more) = &mut inner.more {
            more.undo(&grant.rest, grant.at, cost, now);
        }
        self.keep_pause(inner, now);
    }

    /// What comes back during a pause is not there when it ends: then there is one token.
    fn keep_pause(&self, inner: &Inner, now: u64) {
        if inner.paused_until > now {
            if self.has_rate {
                self.first.pause(inner.paused_until);
            }
            if let Some(more) = &inner.more {
                more.pause(inner.paused_until);
            }
        }
    }

    // ---- after a grant

    /// Gives back what was taken for an attempt that did not start.
    pub(crate) fn give_back(&self, taken: Taken, now: u64) {
        self.change(now, |limiter, inner| limiter.take_back(inner, taken, now));
    }

    /// An attempt that was let through has ended.
    #[inline]
    pub(crate) fn release(&self) {
        if self.limits_flight {
            self.release_slowly();
        }
    }

    #[cold]
    fn release_slowly(&self) {
        let now = clock::now();
        self.change(now, |limiter, inner| {
            if let Some(more) = &mut inner.more {
                more.release();
            }
            limiter.grant(inner, now)
        });
    }

    /// Grants nothing before an instant; one before that of an earlier pause changes nothing. It ends with one token of each
    /// rate, and what is regained from then on.
    pub(crate) fn pause(&self, until: u64) {
        let now = clock::now();
        if until <= now {
            return;
        }
        self.change(now, |limiter, inner| {
            inner.paused_until = inner.paused_until.max(until);
            limiter.keep_pause(inner, now);
            // Nobody has to be woken: whose timer ends too early looks again.
            Vec::new()
        });
    }

    /// Ends a pause; what the first attempt after it finds is an empty bucket.
    pub(crate) fn resume(&self) {
        let now = clock::now();
        self.change(now, |limiter, inner| {
            if std::mem::take(&mut inner.paused_until) > now {
                limiter.first.resume(now);
                inner.more.iter().for_each(|more| more.resume(now));
            }
            limiter.grant(inner, now)
        });
    }

    /// Corrects what an attempt that was let through at an instant has taken to what it has used.
    #[cold]
    pub(crate) fn settle(&self, at: u64, taken: u32, used: u32) {
        let now = clock::now();
        self.change(now, |limiter, inner| {
            if used > taken {
                let more = used - taken;
                if limiter.has_rate {
                    limiter.first.charge(now, more, LONGEST_DEBT);
                }
                if let Some(others) = &mut inner.more {
                    others.charge(now, more, LONGEST_DEBT);
                }
            } else if used < taken {
                if limiter.has_rate {
                    limiter.first.refund(at, taken, taken - used, now);
                }
                if let Some(others) = &mut inner.more {
                    others.refund(at, taken, taken - used, now);
                }
            }
            limiter.keep_pause(inner, now);
            limiter.grant(inner, now)
        });
    }

    fn change(&self, now: u64, change: impl FnOnce(&Limiter, &mut Inner) -> Vec<Waker>) {
        let mut inner = self.lock();
        let woken = change(self, &mut inner);
        self.unlock(inner, now);
        wake(woken);
    }

    // ---- how it stands

    /// How many tokens are there for the taking, those promised to waiters not counted; `None` without a limit in tokens.
    pub(crate) fn available(&self) -> Option<u32> {
        if !self.limits_tokens {
            return None;
        }
        let now = clock::now();
        let mut inner = self.lock();
        let mut free = if self.has_rate {
            let units = self.first.scale.units(now);
            let full_at = self.first.word.read().0.max(units);
            self.first.scale.tokens((units + self.first.capacity()).saturating_sub(full_at))
        } else {
            u64::from(self.most)
        };
        if let Some(more) = &mut inner.more {
            free = free.min(more.free(now));
        }
        free = free.min(u64::from(self.most));
        if inner.paused_until > now {
            free = 0;
        }
        let free = free.saturating_sub(inner.line.promised());
        self.unlock(inner, now);
        // At most the capacity, which is a `u32`.
        Some(u32::try_from(free).unwrap_or(u32::MAX))
    }

    /// When somebody who came now would have its turn, as far as time alone decides.
    pub(crate) fn turn_of(&self, cost: u32, now: u64) -> u64 {
        if self.is_alone && !self.has_rate && !self.first.word.read().1 {
            return now;
        }
        let mut inner = self.lock();
        let promised = inner.line.promised().saturating_add(u64::from(cost));
        let turn = self.turn(&mut inner, now, promised);
        self.unlock(inner, now);
        turn.max(now)
    }

    /// Whether it is as if nothing had ever been taken, and nobody waits.
    pub(crate) fn is_full(&self) -> bool {
        let now = clock::now();
        let mut inner = self.lock();
        let mut is_full = inner.line.is_unused() && inner.paused_until <= now;
        is_full &= !self.has_rate || self.first.is_full(now);
        if let Some(more) = &mut inner.more {
            is_full &= more.is_full(now);
        }
        self.unlock(inner, now);
        is_full
    }

    /// How many tasks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).line.len()
    }

    /// How many attempts are in flight, where that is limited.
    pub(crate) fn in_flight(&self) -> Option<u32> {
        if !self.limits_flight {
            return None;
        }
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Some(inner.more.as_ref().map_or(0, |more| more.in_flight()))
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("most", &self.most).finish_non_exhaustive()
    }
}

/// Wakers run code of the executor: never under the lock.
fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

/// The way in: tokens at once, or a turn to wait for.
pub(crate) enum Entry {
    Taken(Taken),
    Turn(Ticket),
}

#[cfg(test)]
mod tests;
