//! [`Window`]: a quota alone.

use std::fmt;
use std::time::Duration;

use guard_spec::{Problem, Quota, Settings};

use super::{Limiter, Refused};

/// A quota: never more than so many tokens in **any** window of a length, as fast as wanted until then.
///
/// A window is half-open: what was taken comes back one window later, at the instant. It is counted exactly up to 250 tokens;
/// above, tokens that were taken shortly after one another come back together, up to 0.4 % of the quota later than they
/// might. On the clock that ships a window is 0.01 % longer than declared, for servers whose clock is slower. It takes 8 KiB
/// at most, whatever the quota. Those who wait are served in the order in which they came.
///
/// ```
/// use apiguard::Window;
/// use std::time::Duration;
///
/// let window = Window::new(100, Duration::from_secs(60))?;
/// for _ in 0..100 {
///     assert!(window.try_acquire(1).is_ok());
/// }
/// assert!(window.try_acquire(1).is_err());
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct Window {
    limiter: Limiter,
}

impl Window {
    /// At most `count` tokens in any `window` of 1 ms to 365 days.
    ///
    /// # Errors
    /// When the count is 0, or the window is out of range.
    pub fn new(count: u32, window: Duration) -> Result<Window, Problem> {
        Window::with_quota(Quota::new(count, window))
    }

    /// For a [`Quota`].
    ///
    /// # Errors
    /// When the quota is out of range.
    pub fn with_quota(quota: Quota) -> Result<Window, Problem> {
        let settings = Settings::new().quota(quota);
        match settings.problems().first() {
            Some(problem) => Err(problem),
            None => Ok(Window { limiter: Limiter::ready(&settings) }),
        }
    }

    /// Takes `n` tokens if they are there now and nobody waits for them.
    ///
    /// # Errors
    /// [`Refused::NotYet`] with the time after which they would be there, [`Refused::Never`] when `n` is above the quota.
    /// Nothing is taken then.
    pub fn try_acquire(&self, n: u32) -> Result<(), Refused> {
        self.limiter.try_acquire(n).map_err(Refused::from)
    }

    /// Takes `n` tokens, waiting for them in the order of arrival, at most the quota's `max_wait` (default 30 s).
    ///
    /// # Errors
    /// At once, without waiting (later only where the limit was changed meanwhile): [`Refused::NotYet`] when the wait would be longer, [`Refused::Never`] when `n` is above the
    /// quota.
    ///
    /// # Panics
    /// When it has to wait in a tokio runtime without timers (`enable_time`).
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place, and the tokens if they had been granted; those behind move up.
    pub async fn acquire(&self, n: u32) -> Result<(), Refused> {
        self.limiter.acquire(n).await.map_err(Refused::from)
    }

    /// Holds another quota from now on: what was taken before counts, as far as the old window reaches back; those who wait keep
    /// their order, and their patience.
    ///
    /// # Errors
    /// When the quota is out of range; then nothing has changed.
    pub fn configure(&self, quota: Quota) -> Result<(), Problem> {
        self.limiter.configure_alone(&Settings::new().quota(quota))
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

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("quota", &self.limiter.most())
            .field("available", &self.available())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
