//! A rate: a token bucket's refill, its capacity and how long a call may wait for it.

use core::time::Duration;

use crate::text::nanos;

/// At most `count` attempts `per` period in the long run, and at most `burst` at once.
///
/// In any time `t` a bucket lets at most `burst + count x t / per` attempts pass. The default burst is 1, which spaces
/// the attempts evenly; a call waits at most `max_wait` (default 30 s) for its turn and is rejected at once when it
/// would have to wait longer.
///
/// ```
/// use apiguard::Rate;
/// use std::time::Duration;
///
/// const LIMIT: Rate = Rate::per_second(100).burst(20).max_wait(Duration::from_secs(2));
/// assert_eq!(LIMIT.to_string(), "100/s, burst 20, max_wait 2s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Rate {
    pub(crate) count: u32,
    pub(crate) per: u64,
    pub(crate) burst: u32,
    pub(crate) max_wait: u64,
}

impl Rate {
    /// How long a call waits for its turn unless told otherwise: 30 s.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// `count` attempts `per` period: 1 per 365 days to 1 000 000 000 per second.
    pub const fn new(count: u32, per: Duration) -> Rate {
        Rate { count, per: nanos(per), burst: 1, max_wait: nanos(Self::MAX_WAIT) }
    }

    /// `count` attempts per second.
    pub const fn per_second(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(1))
    }

    /// `count` attempts per minute.
    pub const fn per_minute(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(60))
    }

    /// `count` attempts per hour.
    pub const fn per_hour(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(3_600))
    }

    /// `count` attempts per day.
    pub const fn per_day(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(86_400))
    }

    /// How many attempts may leave at once after a pause: at least 1 (the default), and no more than the rate refills
    /// in 365 days.
    pub const fn burst(mut self, burst: u32) -> Rate {
        self.burst = burst;
        self
    }

    /// How long a call may wait for its turn: 0 (reject instead of waiting) to 365 days, default 30 s.
    pub const fn max_wait(mut self, max_wait: Duration) -> Rate {
        self.max_wait = nanos(max_wait);
        self
    }

    /// Attempts per period.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The period.
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.per)
    }

    /// The capacity of the bucket.
    pub const fn capacity(&self) -> u32 {
        self.burst
    }

    /// The longest wait.
    pub const fn longest_wait(&self) -> Duration {
        Duration::from_nanos(self.max_wait)
    }
}
