//! A quota: at most so many attempts in any window of a given length.

use core::time::Duration;

use crate::text::nanos;

/// At most `count` attempts in **any** window of the given length, as fast as wanted until then.
///
/// Where a [`Rate`](crate::Rate) spaces attempts, a quota only counts them: this is what a vendor means who publishes
/// "5000 requests per hour" and counts over a sliding hour. A window is half-open: an attempt at its very end is in the next
/// one. A call waits at most `max_wait` (default 30 s) and is rejected at once when it would have to wait longer.
///
/// ```
/// use apiguard::Quota;
/// use std::time::Duration;
///
/// const QUOTA: Quota = Quota::per_hour(5_000).max_wait(Duration::ZERO);
/// assert_eq!(QUOTA.to_string(), "5000/h, max_wait 0s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Quota {
    pub(crate) count: u32,
    pub(crate) window: u64,
    pub(crate) max_wait: u64,
}

impl Quota {
    /// How long a call waits for its turn unless told otherwise: 30 s.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// `count` attempts, at least 1, in any `window` of 1 ms to 365 days.
    pub const fn new(count: u32, window: Duration) -> Quota {
        Quota { count, window: nanos(window), max_wait: nanos(Self::MAX_WAIT) }
    }

    /// `count` attempts in any second.
    pub const fn per_second(count: u32) -> Quota {
        Quota::new(count, Duration::from_secs(1))
    }

    /// `count` attempts in any minute.
    pub const fn per_minute(count: u32) -> Quota {
        Quota::new(count, Duration::from_secs(60))
    }

    /// `count` attempts in any hour.
    pub const fn per_hour(count: u32) -> Quota {
        Quota::new(count, Duration::from_secs(3_600))
    }

    /// `count` attempts in any 24 hours.
    pub const fn per_day(count: u32) -> Quota {
        Quota::new(count, Duration::from_secs(86_400))
    }

    /// How long a call may wait for its turn: 0 (reject instead of waiting) to 365 days, default 30 s.
    pub const fn max_wait(mut self, max_wait: Duration) -> Quota {
        self.max_wait = nanos(max_wait);
        self
    }

    /// Attempts in a window.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The length of the window.
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// The longest wait.
    pub const fn longest_wait(&self) -> Duration {
        Duration::from_nanos(self.max_wait)
    }
}
