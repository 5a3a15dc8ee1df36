//! [`TokenBucket`]: a rate limit alone.

use std::fmt;
use std::time::Duration;

use guard_spec::{Problem, Rate, Settings};

use super::{Entry, Limiter, Refusal, Turn};
use crate::clock;

/// A rate limit: a bucket of tokens that refills evenly.
///
/// In any time `t` at most `burst + rate x t` tokens leave it. (What timers are late, at most 2 ms, is made up, so that
/// the rate is not lost: as if `t` were up to 2 ms longer.) Those who wait are served in the order in which they came,
/// whatever they ask for; one who is not polled when its turn comes holds nobody up for long, and pays again when it is polled
/// over 50 ms late. Rates from 1 per 365 days to 10^9 per second are kept without rounding; the CPU's counter, which
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
    limiter: Limiter,
}

/// Why tokens were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There are too few now.
    #[error("too few tokens now; enough in {}", guard_spec::InWords::about(*retry_after))]
    NotYet {
        /// The same request would be granted after this time, had nobody else come.
        retry_after: Duration,
    },
    /// More were asked for than there can ever be.
    #[error("{cost} tokens are more than there ever are ({burst})")]
    Never {
        /// What was asked for.
        cost: u32,
        /// The most that there can be at once.
        burst: u32,
    },
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        match refusal {
            Refusal::NotYet { retry_after } => Refused::NotYet { retry_after },
            // Neither a bucket nor a window limits what is in flight.
            Refusal::Full | Refusal::LetGo => Refused::NotYet { retry_after: Duration::ZERO },
            Refusal::Never { cost, most } => Refused::Never { cost, burst: most },
        }
    }
}

impl TokenBucket {
    /// A full bucket of `capacity` tokens that regains `per_second` tokens each second.
    ///
    /// # Errors
    /// When either is 0, `per_second` is above 10^9, or the capacity takes over 365 days to refill.
    pub fn new(capacity: u32, per_second: u32) -> Result<TokenBucket, Problem> {
        TokenBucket::with_rate(Rate::per_second(per_second).burst(capacity))
    }

    /// A full bucket for a [`Rate`].
    ///
    /// # Errors
    /// When the rate is out of range.
    pub fn with_rate(rate: Rate) -> Result<TokenBucket, Problem> {
        let settings = Settings::new().rate(rate);
        match settings.problems().first() {
            Some(problem) => Err(problem),
            None => Ok(TokenBucket { limiter: Limiter::ready(&settings) }),
        }
    }

    /// Takes `n` tokens if they are there now and nobody waits for them.
    ///
    /// # Errors
    /// [`Refused::NotYet`] with the time after which they would be there, [`Refused::Never`] when `n` is above the
    /// capacity. Nothing is taken then.
    pub fn try_acquire(&self, n: u32) -> Result<(), Refused> {
        self.limiter.try_acquire(n).map_err(Refused::from)
    }

    /// Takes `n` tokens, waiting for them in the order of arrival, at most the rate's `max_wait` (default 30 s).
    ///
    /// # Errors
    /// At once, without waiting (later only where the limit was changed meanwhile): [`Refused::NotYet`] when the wait would be longer, [`Refused::Never`] when `n` is
    /// above the capacity.
    ///
    /// # Panics
    /// When it has to wait in a tokio runtime without timers (`enable_time`).
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place, and the tokens if they had been granted; those behind move up.
    pub async fn acquire(&self, n: u32) -> Result<(), Refused> {
        self.limiter.acquire(n).await.map_err(Refused::from)
    }

    /// Holds another rate from now on: the tokens that are there stay, as far as the new bucket holds so many; those who wait keep
    /// their order, and their patience.
    ///
    /// # Errors
    /// When the rate is out of range; then nothing has changed.
    pub fn configure(&self, rate: Rate) -> Result<(), Problem> {
        self.limiter.configure_alone(&Settings::new().rate(rate))
    }

    /// How many tokens are there for the taking, those already promised to waiters not counted.
    pub fn available(&self) -> u32 {
        self.limiter.available().unwrap_or(u32::MAX)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.limiter.is_full()
    }

    /// How many tasks wait for tokens.
    pub fn waiting(&self) -> usize {
        self.limiter.waiting()
    }
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("burst", &self.limiter.most())
            .field("available", &self.available())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Limiter {
    /// For settings that have been checked; it needs them no more.
    pub(super) fn ready(settings: &Settings) -> Limiter {
        let limiter = Limiter::unchecked(settings);
        limiter.prepare(settings);
        limiter
    }

    /// Holds settings of the same kind from now on, if nothing is wrong with them.
    pub(super) fn configure_alone(&self, settings: &Settings) -> Result<(), Problem> {
        if let Some(problem) = settings.problems().first() {
            return Err(problem);
        }
        self.configure(settings, settings);
        Ok(())
    }

    /// Takes tokens that are there, for what has no end.
    pub(super) fn try_acquire(&self, n: u32) -> Result<(), Refusal> {
        let now = clock::now();
        match self.enter(Settings::new, n, now, now)? {
            Entry::Taken(_) => Ok(()),
            // Its turn has come, and others are before it: it gives the place up.
            Entry::Turn(ticket) => {
                drop(Turn::new(self, ticket));
                Err(Refusal::NotYet { retry_after: Duration::ZERO })
            }
        }
    }

    /// Waits for tokens, for what has no end.
    pub(super) async fn acquire(&self, n: u32) -> Result<(), Refusal> {
        let now = clock::now();
        match self.enter(Settings::new, n, now, now.saturating_add(self.patience()))? {
            Entry::Taken(_) => Ok(()),
            Entry::Turn(ticket) => Turn::new(self, ticket).await.map(|_| ()),
        }
    }
}
