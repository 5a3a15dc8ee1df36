//! The rate limit: a token bucket as one atomic word, and a line for those who have to wait.
//!
//! ```text
//! scale   the bucket's own unit of time, in which one token is a power of two: no rounding, hence no drift
//! word    the instant at which the bucket would be full again, and the decision (GCRA) on it
//! line    who waits, in the order of arrival
//! turn    the wait of one of them
//! here    all of it together: take, wait, give back
//! ```
//!
//! The bucket holds `burst` tokens and regains `rate` of them per second. `full_at`, the instant at which it would be
//! full again, says how many it has: taking `n` moves it `n` tokens later, and may do so while the bucket is not
//! overdrawn by it, `full_at + n <= now + burst`. When it may not, `full_at + n - burst` is the instant at which it may.
//! Source: the generic cell rate algorithm, ITU-T I.371 (its "theoretical arrival time" is `full_at` here).
//!
//! While someone waits, a bit in the word sends everybody to the line, so that nobody overtakes. Whoever waits has a
//! timer of its own; who comes first after an instant grants to all whose time has come.

mod line;
mod scale;
mod turn;
mod word;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use guard_spec::{Problem, Rate, Settings};

use self::line::Line;
use self::scale::Scale;
pub(crate) use self::turn::Turn;
use self::word::Word;
use crate::clock;

/// A moved-up waiter is woken to set its timer anew when that would fire this much after its turn.
const LATE_TIMER: u64 = 500_000;

/// A rate limit: a bucket of tokens that refills evenly.
///
/// In any time `t` at most `burst + rate x t` tokens leave it. (What timers are late, at most 2 ms, is made up, so that
/// the rate is not lost: as if `t` were up to 2 ms longer.) Those who wait are served in the order in which they came,
/// whatever they ask for. Rates from 1 per 365 days to 10^9 per second are kept without rounding; the CPU's counter, which
/// is measured once, may be off by some 10 ppm.
///
/// ```
/// use apiguard::TokenBucket;
///
/// let bucket = TokenBucket::new(10, 5)?; // 10 at once, 5 more each second
/// assert!(bucket.try_acquire(10).is_ok());
/// assert!(bucket.try_acquire(1).is_err());
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct TokenBucket {
    word: Word,
    scale: Scale,
    burst: u32,
    max_wait: u64,
    line: Mutex<Line>,
}

/// Why tokens were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There are too few now.
    #[error("too few tokens now; enough in {}", guard_spec::InWords::duration(*retry_after))]
    NotYet {
        /// The same request would be granted after this time, had nobody else come.
        retry_after: Duration,
    },
    /// More were asked for than the bucket can hold.
    #[error("{cost} tokens are more than the bucket ever holds ({burst})")]
    Never {
        /// What was asked for.
        cost: u32,
        /// The capacity.
        burst: u32,
    },
}

/// What a grant took: enough to give it back exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// `full_at` after it.
    full_at: u64,
    cost: u64,
}

impl TokenBucket {
    /// A full bucket of `capacity` tokens that regains `per_second` tokens each second.
    ///
    /// # Errors
    /// When either is 0, or the capacity takes over 365 days to refill.
    pub fn new(capacity: u32, per_second: u32) -> Result<TokenBucket, Problem> {
        TokenBucket::with_rate(Rate::per_second(per_second).burst(capacity))
    }

    /// A full bucket for a [`Rate`].
    ///
    /// # Errors
    /// When the rate is out of range.
    pub fn with_rate(rate: Rate) -> Result<TokenBucket, Problem> {
        match Settings::new().rate(rate).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(TokenBucket::unchecked(&rate)),
        }
    }

    /// For a rate that has been checked.
    pub(crate) const fn unchecked(rate: &Rate) -> TokenBucket {
        TokenBucket {
            word: Word::new(),
            scale: Scale::of(rate),
            burst: rate.capacity(),
            max_wait: clock::nanos(rate.longest_wait()),
            line: Mutex::new(Line::new()),
        }
    }

    /// Takes `n` tokens if they are there now and nobody waits for them.
    ///
    /// # Errors
    /// [`Refused::NotYet`] with the time after which they would be there, [`Refused::Never`] when `n` is above the
    /// capacity. Nothing is taken then.
    pub fn try_acquire(&self, n: u32) -> Result<(), Refused> {
        let now = clock::now();
        match self.enter(n, now, now)? {
            Entry::Taken(_) => Ok(()),
            // A turn that has come by `now` is given at once.
            Entry::Turn(turn) => Err(Refused::NotYet { retry_after: turn.remaining(now) }),
        }
    }

    /// Takes `n` tokens, waiting for them in the order of arrival, at most the rate's `max_wait` (default 30 s).
    ///
    /// # Errors
    /// At once, without waiting: [`Refused::NotYet`] when the wait would be longer, [`Refused::Never`] when `n` is
    /// above the capacity.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place, and the tokens if they had been granted; those behind move up.
    pub async fn acquire(&self, n: u32) -> Result<(), Refused> {
        let now = clock::now();
        match self.enter(n, now, now.saturating_add(self.max_wait))? {
            Entry::Taken(_) => Ok(()),
            Entry::Turn(turn) => turn.await.map(|_| ()),
        }
    }

    /// How many tokens are there for the taking, those already promised to waiters not counted.
    pub fn available(&self) -> u32 {
        let now = self.scale.units(clock::now());
        let (full_at, waiting) = self.word.read();
        let promised = if waiting { self.lock().promised() } else { 0 };
        let free = (now + self.capacity()).saturating_sub(full_at.max(now).saturating_add(promised));
        // At most the capacity, which is a `u32`.
        self.scale.tokens(free) as u32
    }

    /// How many tasks wait for tokens.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    pub(crate) const fn max_wait(&self) -> u64 {
        self.max_wait
    }

    #[inline]
    fn capacity(&self) -> u64 {
        self.scale.cost(self.burst)
    }

    /// Takes the tokens if nothing stands in the way: the fast path, one compare-exchange.
    #[inline]
    pub(crate) fn take_now(&self, n: u32, now: u64) -> Option<Taken> {
        if n > self.burst {
            return None;
        }
        let cost = self.scale.cost(n);
        let full_at = self.word.take(self.scale.units(now), cost, self.capacity())?;
        Some(Taken { full_at, cost })
    }

    /// Takes the tokens, or a place in the line if the turn comes by `latest`.
    pub(crate) fn enter(&self, n: u32, now: u64, latest: u64) -> Result<Entry<'_>, Refused> {
        if let Some(taken) = self.take_now(n, now) {
            return Ok(Entry::Taken(taken));
        }
        self.enter_slowly(n, now, latest)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, n: u32, now: u64, latest: u64) -> Result<Entry<'_>, Refused> {
        if n > self.burst {
            return Err(Refused::Never { cost: n, burst: self.burst });
        }
        let (units, cost) = (self.scale.units(now), self.scale.cost(n));
        let mut line = self.lock();
        self.word.close();
        let woken = self.grant(&mut line, units);
        let result = if line.is_empty() && self.word.decide(units, cost, self.capacity()).is_ok() {
            let full_at = self.word.advance(units, cost);
            Ok(Entry::Taken(Taken { full_at, cost }))
        } else {
            let promised = line.promised().saturating_add(cost);
            let turn_at = self.scale.nanos(self.word.turn(units, promised, self.capacity()));
            if turn_at <= latest {
                let place = line.join(cost, turn_at);
                Ok(Entry::Turn(Turn {
                    bucket: self,
                    place: Some(place),
                    due: turn_at,
                    latest,
                    look_at: turn_at,
                    timer: None,
                }))
            } else {
                Err(Refused::NotYet { retry_after: Duration::from_nanos(turn_at.saturating_sub(now)) })
            }
        };
        self.reopen(line);
        wake(woken);
        result
    }

    /// Grants to all whose turn has come; returns whom to wake.
    fn grant(&self, line: &mut Line, now: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(cost) = line.first_cost() {
            let full_at = match self.word.decide_late(now, cost, self.capacity(), self.scale.lateness()) {
                Ok(()) => self.word.advance_late(now, cost, self.scale.lateness()),
                Err(turn) => {
                    // Those ahead of it may have left: its timer may be set for a turn much later than the one it has.
                    woken.extend(line.wake_first_if_later(self.scale.nanos(turn).saturating_add(LATE_TIMER)));
                    break;
                }
            };
            woken.extend(line.grant_first(full_at));
        }
        woken
    }

    /// Ends a time under the lock: without waiters the fast path is open again.
    fn reopen(&self, line: MutexGuard<'_, Line>) {
        if line.is_empty() {
            self.word.open();
        }
        drop(line);
    }

    /// Gives tokens back that were taken for an attempt that did not start.
    ///
    /// Exact while nobody took more since; otherwise never too much: what the bucket has regained since they were taken
    /// it would not have regained had they stayed (it may have been full).
    pub(crate) fn give_back(&self, taken: Taken, now: u64) {
        let mut line = self.lock();
        self.word.close();
        let woken = self.give_back_locked(&mut line, taken, self.scale.units(now));
        self.reopen(line);
        wake(woken);
    }

    fn give_back_locked(&self, line: &mut Line, taken: Taken, now: u64) -> Vec<Waker> {
        let before = taken.full_at - taken.cost;
        let lost = now.saturating_sub(before);
        self.word.undo(taken.full_at, taken.cost, taken.cost.saturating_sub(lost));
        self.grant(line, now)
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // The line is consistent at every point where a panic could start.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("burst", &self.burst)
            .field("available", &self.available())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// Wakers run code of the executor: never under the lock.
fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

/// The way in: tokens at once, or a turn to wait for.
pub(crate) enum Entry<'a> {
    Taken(Taken),
    Turn(Turn<'a>),
}

#[cfg(test)]
mod tests;
