//! The limits of a policy: rates, quotas, attempts in flight, and a line for those who have to wait.
//!
//! ```text
//! scale   a rate's own unit of time, in which one token is a power of two: no rounding, hence no drift
//! word    the instant at which a bucket would be full again, and the decision (GCRA) on it: one atomic word
//! quota   what was taken in the last window
//! shape   a rate in its units, and the maths of a bucket on it
//! meter   a rate: word and shape
//! more    what there is beside the first rate, decided upon together: all or nothing is taken
//! line    who waits, in the order of arrival
//! turn    the wait of one of them
//! here    all of it together: take, wait, give back
//! change  other settings while it runs
//! compact all of it as one number, where that is enough
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
mod change;
mod compact;
mod line;
mod meter;
mod more;
mod quota;
mod scale;
mod shape;
mod turn;
mod window;
mod word;

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::time::Duration;

use guard_spec::Settings;

pub use self::bucket::{Refused, TokenBucket};
use self::line::Line;
use self::meter::Meter;
pub(crate) use self::more::Flight;
use self::more::{Blocked, More, RATES};
pub(crate) use self::shape::Shape;
pub(crate) use self::turn::{Ticket, Turn};
pub use self::window::Window;
use self::word::Word;
use crate::clock;
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// A moved-up waiter is woken to set its timer anew when that would fire this much after its turn.
const LATE_TIMER: u64 = 500_000;
/// The most that a charge for what was used, but not taken, puts off the next attempt: one hour.
const LONGEST_DEBT: u64 = 3_600_000_000_000;

/// All limits of one policy.
pub struct Limiter {
    /// The first rate, or none.
    first: Meter,
    /// The longest that a call waits for its turn, in nanoseconds.
    patience: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    limits: Limits,
    /// Whether nobody is to wait (`shadow`).
    lets_go: bool,
    line: Line,
    /// Made when the first attempt comes.
    more: Option<Box<More>>,
    /// Until then nothing is granted.
    paused_until: u64,
    /// The rates hold what was taken from then on.
    since: u64,
    /// Nothing was given back to them from then on.
    lowered: u64,
}

/// What the rates owe for a grant that is taken back.
#[derive(Clone, Copy, PartialEq)]
enum Owed {
    /// They hold nothing of it: they are others.
    Nothing,
    /// What they cannot have regained since.
    Rest,
    /// What they have not regained since: the grant knows how it left them.
    All,
}

/// What is limited.
#[derive(Clone, Copy)]
struct Limits {
    /// Whether there is nothing beside the first rate.
    rate_alone: bool,
    in_flight: bool,
    in_tokens: bool,
    /// The most that one attempt can ask for.
    most: u32,
}

impl Inner {
    fn owed(&self, at: u64) -> Owed {
        match at {
            at if at < self.since => Owed::Nothing,
            at if at < self.lowered => Owed::Rest,
            _ => Owed::All,
        }
    }

    /// Whether no attempt has come yet that needs what there is beside the first rate.
    fn lacks_more(&self) -> bool {
        !self.limits.rate_alone && self.more.is_none()
    }
}

impl Limits {
    const fn of(settings: &Settings) -> Limits {
        Limits {
            rate_alone: !settings.has_more_limits(),
            in_flight: settings.concurrency_limit().is_some(),
            in_tokens: settings.limits_tokens(),
            most: settings.most_tokens(),
        }
    }
}

/// Why an attempt was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its turn would come too late.
    NotYet { retry_after: Duration },
    /// All that may be in flight is, and nobody knows for how long.
    Full,
    /// It asks for more than there ever is.
    Never { cost: u32, most: u32 },
    /// Nobody waits any more: the policy has begun to watch only.
    LetGo,
}

/// What a grant took: enough to give it back exactly.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    cost: u32,
    grant: Grant,
}

impl Taken {
    /// When it was granted.
    pub(crate) fn at(&self) -> u64 {
        self.grant.at
    }

    /// In which it is counted.
    pub(crate) fn flight(&self) -> Flight {
        self.grant.flight
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grant {
    /// When.
    at: u64,
    /// `full_at` of each rate after it.
    first: u64,
    rest: [u64; RATES],
    /// In which it is counted.
    flight: Flight,
}

impl Grant {
    fn at(at: u64) -> Grant {
        Grant { at, first: 0, rest: [0; RATES], flight: Flight::UNCOUNTED }
    }
}

impl Limiter {
    /// For settings that have been checked.
    pub(crate) const fn unchecked(settings: &Settings) -> Limiter {
        let limits = Limits::of(settings);
        let word = if limits.rate_alone { Word::new() } else { Word::closed() };
        Limiter {
            first: Meter::new(settings.rate_limit(), word),
            patience: AtomicU64::new(settings.patience()),
            inner: Mutex::new(Inner {
                limits,
                lets_go: settings.is_shadow(),
                line: Line::new(),
                more: None,
                paused_until: 0,
                since: 0,
                lowered: 0,
            }),
        }
    }

    pub(crate) fn patience(&self) -> u64 {
        self.patience.load(Relaxed)
    }

    /// Takes the tokens if nothing stands in the way: the fast path, one compare-exchange. What is in flight is not limited then.
    #[inline]
    pub(crate) fn take_now(&self, n: u32, now: u64) -> Option<Taken> {
        let first = self.first.take(n, now)?;
        Some(Taken { cost: n, grant: Grant { first, ..Grant::at(now) } })
    }

    /// Takes the tokens, or a place in the line if the turn may come by `latest`. The settings are those that it holds; they are
    /// asked for once.
    pub(crate) fn enter(
        &self,
        settings: impl Fn() -> Settings,
        n: u32,
        now: u64,
        latest: u64,
    ) -> Result<Entry, Refusal> {
        match self.take_now(n, now) {
            Some(taken) => Ok(Entry::Taken(taken)),
            None => self.enter_slowly(&settings, n, now, latest),
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, settings: &dyn Fn() -> Settings, n: u32, now: u64, latest: u64) -> Result<Entry, Refusal> {
        let mut inner = self.lock();
        if inner.lacks_more() {
            // The settings are not asked for under the lock.
            self.unlock(inner, now);
            self.prepare(&settings());
            inner = self.lock();
        }
        let most = inner.limits.most;
        if n > most {
            self.unlock(inner, now);
            return Err(Refusal::Never { cost: n, most });
        }
        // A quota counts at the instant of admission, which is not before the lock was had.
        let now = if inner.limits.rate_alone { now } else { clock::now() };
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
    pub(super) fn most(&self) -> u32 {
        self.peek().limits.most
    }

    /// Makes what the limits beside the first rate need.
    pub(super) fn prepare(&self, settings: &Settings) {
        let mut inner = self.peek();
        // Settings that changed since have made it, or need none.
        if inner.lacks_more() {
            inner.more = Some(Box::new(More::of(settings)));
        }
    }

    /// Takes the lock to look, and leaves the fast path open.
    fn peek(&self) -> MutexGuard<'_, Inner> {
        // What is in there is consistent at every point where a panic could start.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock and closes the fast path.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let inner = self.peek();
        self.first.word.close();
        inner
    }

    /// Gives the lock back; if the first rate alone decides about the next one, the fast path is open again.
    fn unlock(&self, inner: MutexGuard<'_, Inner>, now: u64) {
        if inner.limits.rate_alone && inner.line.is_empty() && inner.paused_until <= now {
            self.first.word.open();
        }
        drop(inner);
    }

    /// Whether all limits let an attempt through now.
    fn decide(&self, inner: &mut Inner, now: u64, cost: u32, late: bool) -> Result<(), Blocked> {
        let mut until = inner.paused_until;
        if let Err(Blocked::Until(turn)) = self.first.decide(now, cost, late) {
            until = until.max(turn);
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
        let mut grant = Grant { first: self.first.advance(now, cost, late), ..Grant::at(now) };
        if let Some(more) = &mut inner.more {
            more.advance(&mut grant, cost, late);
        }
        grant
    }

    /// The turn of somebody behind `promised` tokens, its own included, as far as time alone decides. By each limit alone it is
    /// the earliest that it can be; several together, and a quota of which several are taken at a time, may make it later.
    fn turn(&self, inner: &mut Inner, now: u64, promised: u64) -> u64 {
        let first = self.first.turn(now, promised);
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
        let owed = inner.owed(grant.at);
        match owed {
            Owed::Nothing => {}
            Owed::Rest => self.first.refund(grant.at, cost, cost, now),
            Owed::All => self.first.undo(grant.first, cost, now),
        }
        if let Some(more) = &mut inner.more {
            more.undo(&grant, cost, now, owed);
        }
        inner.lowered = now.saturating_add(1);
        self.keep_pause(inner, now);
    }

    /// What comes back during a pause is not there when it ends: then there is one token.
    fn keep_pause(&self, inner: &Inner, now: u64) {
        if inner.paused_until > now {
            self.first.pause(inner.paused_until);
            if let Some(more) = &inner.more {
                more.pause(inner.paused_until);
            }
        }
    }

    // ---- after a grant

    /// Gives back what was taken for an attempt that did not start.
    pub(crate) fn give_back(&self, taken: Taken) {
        self.change(|limiter, inner, now| limiter.take_back(inner, taken, now));
    }

    /// An attempt that was let through has ended.
    #[inline]
    pub(crate) fn release(&self, flight: Flight) {
        if flight != Flight::UNCOUNTED {
            self.release_slowly(flight);
        }
    }

    #[cold]
    fn release_slowly(&self, flight: Flight) {
        self.change(|limiter, inner, now| {
            if let Some(more) = &mut inner.more {
                more.release(flight);
            }
            limiter.grant(inner, now)
        });
    }

    /// Grants nothing before an instant; one before that of an earlier pause changes nothing. It ends with one token of each
    /// rate, and what is regained from then on.
    pub(crate) fn pause(&self, until: u64) {
        if until <= clock::now() {
            return;
        }
        self.change(|limiter, inner, now| {
            inner.paused_until = inner.paused_until.max(until);
            limiter.keep_pause(inner, now);
            // Nobody has to be woken: whose timer ends too early looks again.
            Vec::new()
        });
    }

    /// Ends a pause; what the first attempt after it finds is an empty bucket.
    pub(crate) fn resume(&self) {
        self.change(|limiter, inner, now| {
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
        self.change(|limiter, inner, now| {
            if used > taken {
                let more = used - taken;
                limiter.first.charge(now, more, LONGEST_DEBT);
                if let Some(others) = &mut inner.more {
                    others.charge(now, more, LONGEST_DEBT);
                }
            } else if used < taken {
                let owed = inner.owed(at);
                if owed != Owed::Nothing {
                    limiter.first.refund(at, taken, taken - used, now);
                }
                if let Some(others) = &mut inner.more {
                    others.refund(at, taken, taken - used, now, owed);
                }
                inner.lowered = now.saturating_add(1);
            }
            limiter.keep_pause(inner, now);
            limiter.grant(inner, now)
        });
    }

    fn change(&self, change: impl FnOnce(&Limiter, &mut Inner, u64) -> Vec<Waker>) {
        let mut inner = self.lock();
        // Not before: what is regained while the lock is waited for is not to be given back, too.
        let now = clock::now();
        let woken = change(self, &mut inner, now);
        self.unlock(inner, now);
        wake(woken);
    }

    // ---- how it stands

    /// How many tokens are there for the taking, those promised to waiters not counted; `None` without a limit in tokens.
    pub(crate) fn available(&self) -> Option<u32> {
        let now = clock::now();
        let mut inner = self.lock();
        let limits = inner.limits;
        let mut free = self.first.free(now);
        if let Some(more) = &mut inner.more {
            free = free.min(more.free(now));
        }
        // What the others hold when no attempt has come yet.
        free = free.min(u64::from(limits.most));
        if inner.paused_until > now {
            free = 0;
        }
        let free = free.saturating_sub(inner.line.promised());
        self.unlock(inner, now);
        // At most the capacity, which is a `u32`.
        limits.in_tokens.then(|| u32::try_from(free).unwrap_or(u32::MAX))
    }

    /// When somebody who came now would have its turn, as far as time alone decides.
    pub(crate) fn turn_of(&self, cost: u32, now: u64) -> u64 {
        if self.first.is_free() {
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
        is_full &= self.first.is_full(now);
        if let Some(more) = &mut inner.more {
            is_full &= more.is_full(now);
        }
        self.unlock(inner, now);
        is_full
    }

    /// How many tasks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.peek().line.len()
    }

    /// How many attempts are in flight, where that is limited.
    pub(crate) fn in_flight(&self) -> Option<u32> {
        let inner = self.peek();
        inner.limits.in_flight.then(|| inner.more.as_ref().map_or(0, |more| more.in_flight()))
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

/// Wakers run code of the executor: never under the lock.
fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

/// The way in: tokens at once, or a turn to wait for.
#[derive(Debug)]
pub enum Entry {
    Taken(Taken),
    Turn(Ticket),
}

impl Entry {
    /// Tokens of one rate alone, taken without its limiter.
    pub(crate) fn taken(cost: u32, now: u64, full_at: u64) -> Entry {
        Entry::Taken(Taken { cost, grant: Grant { first: full_at, ..Grant::at(now) } })
    }
}

#[cfg(test)]
mod edges;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
