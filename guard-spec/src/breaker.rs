//! When a breaker opens, how long it stays open, and how it closes again.

use core::time::Duration;

use crate::Ratio;
use crate::text::nanos;

/// A circuit breaker's settings.
///
/// Closed until it trips: after so many failed attempts in a row ([`consecutive`](Breaker::consecutive)), or when at least
/// a share of the calls in a window has failed ([`failure_rate`](Breaker::failure_rate)) or was slow
/// ([`slow_calls`](Breaker::slow_calls)). Then open for `recovery`; then half-open: at most `probes` attempts at a time are
/// let through, `successes` good ones in a row close it, one failure (or slow call) opens it again.
///
/// ```
/// use apiguard::Breaker;
/// use std::time::Duration;
///
/// const BREAKER: Breaker = Breaker::consecutive(5).recovery(Duration::from_secs(10));
/// assert_eq!(
///     BREAKER.to_string(),
///     "opens after 5 failures in a row, for 10s and up to 10% more; then 2 good probes close it, 1 at a time"
/// );
///
/// const WINDOWED: Breaker = Breaker::failure_rate(0.5)
///     .window(Duration::from_secs(30))
///     .min_calls(20)
///     .slow_call(Duration::from_secs(2))
///     .slow_rate(0.8);
/// assert_eq!(
///     WINDOWED.to_string(),
///     "opens when 50% of the calls in 30s have failed or 80% took at least 2s, of at least 20 calls, \
///      for 1m and up to 10% more; then 2 good probes close it, 1 at a time"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Breaker {
    /// `None` for a windowed one.
    pub(crate) failures: Option<u32>,
    pub(crate) failure_rate: Option<Ratio>,
    pub(crate) window: Option<Window>,
    pub(crate) min_calls: Option<u32>,
    pub(crate) slow_call: Option<u64>,
    pub(crate) slow_rate: Option<Ratio>,
    pub(crate) recovery: u64,
    pub(crate) recovery_jitter: Ratio,
    pub(crate) recovery_cap: Option<u64>,
    pub(crate) successes: u32,
    pub(crate) probes: u32,
}

/// What a windowed breaker looks back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    /// In nanoseconds.
    Time(u64),
    Calls(u32),
}

impl Breaker {
    const WINDOW: Window = Window::Time(30_000_000_000);
    const MIN_CALLS: u32 = 20;
    const SLOW_RATE: Ratio = Ratio::from_millionths(800_000);

    /// Windowed, opening by nothing yet.
    pub(crate) const WINDOWED: Breaker = Breaker {
        failures: None,
        failure_rate: None,
        window: None,
        min_calls: None,
        slow_call: None,
        slow_rate: None,
        recovery: 60_000_000_000,
        recovery_jitter: Ratio::from_millionths(100_000),
        recovery_cap: None,
        successes: 2,
        probes: 1,
    };

    /// Opens after this many failed attempts in a row: at least 1.
    pub const fn consecutive(failures: u32) -> Breaker {
        Breaker { failures: Some(failures), ..Breaker::WINDOWED }
    }

    /// Opens when at least this share of the calls in the window has failed: above 0, at most 1.
    ///
    /// The window is 30 s and says nothing before 20 calls are in it, unless [`window`](Breaker::window),
    /// [`window_calls`](Breaker::window_calls) and [`min_calls`](Breaker::min_calls) say otherwise.
    pub const fn failure_rate(rate: f64) -> Breaker {
        Breaker::failure_rate_ratio(Ratio::new(rate))
    }

    /// [`failure_rate`](Breaker::failure_rate) as a [`Ratio`].
    pub const fn failure_rate_ratio(rate: Ratio) -> Breaker {
        Breaker { failure_rate: Some(rate), ..Breaker::WINDOWED }
    }

    /// Opens when at least [`slow_rate`](Breaker::slow_rate) of the calls in the window took this long, whether they failed
    /// or not, and by nothing else: 1 ms to 365 days.
    pub const fn slow_calls(least: Duration) -> Breaker {
        Breaker::WINDOWED.slow_call(least)
    }

    /// The window, as a time: 1 s to 1 day, default 30 s. It is kept in 32 parts, so that it reaches back this long or up
    /// to 1/32 less, never more.
    pub const fn window(mut self, window: Duration) -> Breaker {
        self.window = Some(Window::Time(nanos(window)));
        self
    }

    /// The window, as the last calls: 1 to 10 000. After a day without a call it begins anew.
    pub const fn window_calls(mut self, calls: u32) -> Breaker {
        self.window = Some(Window::Calls(calls));
        self
    }

    /// How many calls must be in the window before it opens: at least 1 and at most a window in calls, default 20 or all of
    /// a window of fewer calls.
    pub const fn min_calls(mut self, calls: u32) -> Breaker {
        self.min_calls = Some(calls);
        self
    }

    /// A call that takes this long is slow, whether it fails or not: 1 ms to 365 days, default none is. A slow probe opens
    /// a half-open breaker again.
    pub const fn slow_call(mut self, least: Duration) -> Breaker {
        self.slow_call = Some(nanos(least));
        self
    }

    /// Opens when at least this share of the calls in the window was slow: above 0, at most 1, default 0.8 where
    /// [`slow_call`](Breaker::slow_call) is set.
    pub const fn slow_rate(self, rate: f64) -> Breaker {
        self.slow_rate_ratio(Ratio::new(rate))
    }

    /// [`slow_rate`](Breaker::slow_rate) as a [`Ratio`].
    pub const fn slow_rate_ratio(mut self, rate: Ratio) -> Breaker {
        self.slow_rate = Some(rate);
        self
    }

    /// How long it stays open before it lets probes through: 1 ms to 365 days, default 60 s.
    pub const fn recovery(mut self, recovery: Duration) -> Breaker {
        self.recovery = nanos(recovery);
        self
    }

    /// Which share of `recovery` may be added to it at random, each time anew, so that a fleet does not probe in step: 0 to
    /// 1, default 0.1. It never shortens.
    pub const fn recovery_jitter(self, share: f64) -> Breaker {
        self.recovery_jitter_ratio(Ratio::new(share))
    }

    /// [`recovery_jitter`](Breaker::recovery_jitter) as a [`Ratio`].
    pub const fn recovery_jitter_ratio(mut self, share: Ratio) -> Breaker {
        self.recovery_jitter = share;
        self
    }

    /// Lets `recovery` grow, up to this: `recovery` to 365 days, default it does not. It doubles each time that the breaker
    /// opens again before it was closed for as long as it was open the last time (jitter and a server's `Retry-After`
    /// aside).
    pub const fn recovery_cap(mut self, cap: Duration) -> Breaker {
        self.recovery_cap = Some(nanos(cap));
        self
    }

    /// How many probes in a row must succeed for it to close: 1 to 1 000, default 2.
    pub const fn successes(mut self, successes: u32) -> Breaker {
        self.successes = successes;
        self
    }

    /// How many probes may run at a time in half-open: 1 to 1 000, default 1.
    pub const fn probes(mut self, probes: u32) -> Breaker {
        self.probes = probes;
        self
    }

    /// Whether it opens by the calls in a window, not by failures in a row.
    pub const fn is_windowed(&self) -> bool {
        self.failures.is_none()
    }

    /// Failed attempts in a row that open it; `None` for a windowed one.
    pub const fn failure_threshold(&self) -> Option<u32> {
        self.failures
    }

    /// The share of failed calls that opens it, if one does.
    pub const fn failure_share(&self) -> Option<Ratio> {
        self.failure_rate
    }

    /// The window as a time; `None` for one in calls, and without a window.
    pub const fn window_time(&self) -> Option<Duration> {
        match self.looks_back() {
            Some(Window::Time(nanos)) => Some(Duration::from_nanos(nanos)),
            _ => None,
        }
    }

    /// The window in calls; `None` for one that is a time, and without a window.
    pub const fn window_size(&self) -> Option<u32> {
        match self.looks_back() {
            Some(Window::Calls(calls)) => Some(calls),
            _ => None,
        }
    }

    pub(crate) const fn looks_back(&self) -> Option<Window> {
        match (self.is_windowed(), self.window) {
            (false, _) => None,
            (true, None) => Some(Breaker::WINDOW),
            (true, window) => window,
        }
    }

    /// Calls that must be in the window before it opens.
    pub const fn least_calls(&self) -> u32 {
        match (self.min_calls, self.window) {
            (Some(calls), _) => calls,
            (None, Some(Window::Calls(calls))) if calls < Breaker::MIN_CALLS => calls,
            (None, _) => Breaker::MIN_CALLS,
        }
    }

    /// How long a call takes that is slow, if any is.
    pub const fn slow_call_time(&self) -> Option<Duration> {
        match self.slow_call {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }

    /// The share of slow calls that opens it, if one does.
    pub const fn slow_share(&self) -> Option<Ratio> {
        match (self.slow_call, self.slow_rate) {
            (None, _) => None,
            (Some(_), None) => Some(Breaker::SLOW_RATE),
            (Some(_), rate) => rate,
        }
    }

    /// How long it stays open, before jitter and growth.
    pub const fn recovery_time(&self) -> Duration {
        Duration::from_nanos(self.recovery)
    }

    /// The share of the recovery that may be added to it at random.
    pub const fn recovery_randomness(&self) -> Ratio {
        self.recovery_jitter
    }

    /// What the recovery grows to, if it does.
    pub const fn longest_recovery(&self) -> Option<Duration> {
        match self.recovery_cap {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }

    /// Good probes in a row that close it.
    pub const fn success_threshold(&self) -> u32 {
        self.successes
    }

    /// Probes at a time.
    pub const fn probe_limit(&self) -> u32 {
        self.probes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let breaker = Breaker::failure_rate(0.5);
        assert_eq!((breaker.window_time(), breaker.window_size()), (Some(Duration::from_secs(30)), None));
        assert_eq!((breaker.least_calls(), breaker.slow_share()), (20, None));
        let last = breaker.window_calls(100).slow_call(Duration::from_secs(2));
        assert_eq!((last.window_time(), last.window_size()), (None, Some(100)));
        assert_eq!((last.least_calls(), last.slow_share()), (20, Some(Ratio::percent(80))));
        assert_eq!(breaker.window_calls(5).least_calls(), 5, "all of a small window");
        let consecutive = Breaker::consecutive(5);
        assert_eq!((consecutive.window_time(), consecutive.window_size()), (None, None));
        assert_eq!(Breaker::slow_calls(Duration::from_secs(1)).failure_share(), None);
    }
}
