//! A limit of the attempts in flight.

use core::time::Duration;

use crate::text::nanos;

/// At most `limit` attempts at a time. A retry that pauses is not in flight.
///
/// ```
/// use apiguard::Concurrency;
///
/// const LIMIT: Concurrency = Concurrency::new(64);
/// assert_eq!(LIMIT.to_string(), "64 at a time, max_wait 30s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Concurrency {
    pub(crate) limit: u32,
    pub(crate) max_wait: u64,
}

impl Concurrency {
    /// How long a call waits for its turn unless told otherwise: 30 s.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// At most `limit` attempts at a time: at least 1.
    pub const fn new(limit: u32) -> Concurrency {
        Concurrency { limit, max_wait: nanos(Self::MAX_WAIT) }
    }

    /// How long a call may wait for its turn: 0 (reject instead of waiting) to 365 days, default 30 s.
    pub const fn max_wait(mut self, max_wait: Duration) -> Concurrency {
        self.max_wait = nanos(max_wait);
        self
    }

    /// Attempts at a time.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The longest wait.
    pub const fn longest_wait(&self) -> Duration {
        Duration::from_nanos(self.max_wait)
    }
}
