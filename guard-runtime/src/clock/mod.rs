//! Time: the only file that reads a clock.
//!
//! An instant is a `u64`: nanoseconds since the first reading in this process, which is 0. It is monotonic per thread;
//! between threads it may differ by some nanoseconds, so all arithmetic on it saturates.
//!
//! Source: the CPU's counter where that is constant and synchronised (`quanta`; about 10 ns a reading against 25-30 ns
//! for the system's clock), else the system's monotonic clock. With the feature `testing` it is tokio's clock instead,
//! which a test can pause.

#![allow(clippy::disallowed_methods)] // here and nowhere else

mod outside;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

/// The present instant.
#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub(crate) fn now() -> u64 {
    use std::sync::LazyLock;

    struct Counter {
        clock: quanta::Clock,
        start: u64,
        /// Nanoseconds per tick, times 2^32.
        scale: u64,
    }

    static COUNTER: LazyLock<Counter> = LazyLock::new(|| {
        // Measures the counter's frequency once, for about a millisecond.
        let clock = quanta::Clock::new();
        // One multiplication and a fixed shift are shorter than quanta's own conversion. Over 2^40 ticks (some minutes)
        // the scale has 31 significant bits: within a billionth.
        let scale = clock.delta_as_nanos(0, 1 << 40) >> 8;
        Counter { start: clock.raw(), clock, scale }
    });
    let counter = &*COUNTER;
    let ticks = counter.clock.raw().saturating_sub(counter.start);
    ((u128::from(ticks) * u128::from(counter.scale)) >> 32) as u64
}

/// The present instant of tokio's clock, which a test may have paused.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn now() -> u64 {
    use std::sync::LazyLock;
    use tokio::time::Instant;

    // An hour back, so that a runtime whose paused clock started a little before the first reading is not below zero. And by the
    // system's clock: the runtime that reads first may have slept for days by its own, which the others never come to.
    static START: LazyLock<Instant> = LazyLock::new(|| {
        let now = Instant::from_std(std::time::Instant::now());
        now.checked_sub(Duration::from_secs(3_600)).unwrap_or(now)
    });
    #[cfg(test)]
    if let Some(now) = manual::now() {
        return now;
    }
    #[cfg(feature = "testing")]
    if let Some(start) = crate::testing::simulation::start() {
        return nanos(Instant::now().saturating_duration_since(start));
    }
    nanos(Instant::now().saturating_duration_since(*START))
}

/// The present instant, for those who count from it.
#[cfg(feature = "testing")]
pub(crate) fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// A clock that a test sets by hand, for its own thread: to the nanosecond, to its ends, and back.
#[cfg(test)]
pub(crate) mod manual {
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(crate) fn set(now: Option<u64>) {
        NOW.set(now);
    }

    pub(super) fn now() -> Option<u64> {
        NOW.get()
    }
}

/// The time of day: what a server's dates are compared with when it does not send its own time.
#[cfg(feature = "http")]
pub(crate) fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// Nanoseconds that are over by every clock when they are by this one: a ten-thousandth longer, since the counter's frequency is
/// measured in a millisecond and may be off by some 30 ppm. (tokio's clock is the one that its tests know.)
pub(crate) const fn at_least(nanos: u64) -> u64 {
    if cfg!(any(test, feature = "testing")) { nanos } else { nanos.saturating_add(nanos / 10_000) }
}

/// The nanoseconds of a duration, at most `u64::MAX` (584 years).
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

pin_project! {
    /// A timer that ends at an instant: up to 1-2 ms late, and possibly some microseconds early, since it counts on
    /// another clock; [`poll_end`](Timer::poll_end) makes up for that.
    ///
    /// Inside a tokio runtime it is tokio's; elsewhere that of a thread for all of them, so that a wait works under any
    /// executor.
    #[derive(Debug)]
    #[project = TimerProjection]
    pub enum Timer {
        Tokio {
            #[pin]
            sleep: Sleep,
        },
        Thread { alarm: outside::Alarm },
    }
}

impl Timer {
    pub(crate) fn at(instant: u64) -> Timer {
        let delay = delay_until(instant);
        if tokio::runtime::Handle::try_current().is_ok() {
            Timer::Tokio { sleep: tokio::time::sleep(delay) }
        } else {
            Timer::Thread { alarm: outside::Alarm::after(delay) }
        }
    }

    /// Ends at another instant instead.
    pub(crate) fn reset(self: Pin<&mut Self>, instant: u64) {
        match self.project() {
            TimerProjection::Tokio { sleep } => sleep.reset(tokio_instant(delay_until(instant))),
            TimerProjection::Thread { alarm } => *alarm = outside::Alarm::after(delay_until(instant)),
        }
    }

    /// Ready when the instant, which the timer was made for, has come by [`now`].
    pub(crate) fn poll_end(mut self: Pin<&mut Self>, instant: u64, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if now() >= instant {
                return Poll::Ready(());
            }
            self.as_mut().reset(instant);
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project() {
            // Outside tokio's budget for a task: a body that uses that up would never be ended.
            TimerProjection::Tokio { sleep } => std::pin::pin!(tokio::task::unconstrained(sleep)).poll(cx),
            TimerProjection::Thread { alarm } => alarm.poll(cx),
        }
    }
}

/// Where a timer is kept: in its owner, which is larger for it and allocates nothing, or in a box when it is needed.
pub trait Slot: Sized {
    fn at(instant: u64) -> Self;
    fn poll_end(self: Pin<&mut Self>, instant: u64, cx: &mut Context<'_>) -> Poll<()>;
}

impl Slot for Timer {
    fn at(instant: u64) -> Timer {
        Timer::at(instant)
    }

    fn poll_end(self: Pin<&mut Self>, instant: u64, cx: &mut Context<'_>) -> Poll<()> {
        Timer::poll_end(self, instant, cx)
    }
}

impl Slot for Pin<Box<Timer>> {
    fn at(instant: u64) -> Pin<Box<Timer>> {
        Box::pin(Timer::at(instant))
    }

    fn poll_end(self: Pin<&mut Self>, instant: u64, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().as_mut().poll_end(instant, cx)
    }
}

/// How long until an instant.
pub(crate) fn delay_until(instant: u64) -> Duration {
    Duration::from_nanos(instant.saturating_sub(now()))
}

fn tokio_instant(delay: Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    // The longest wait that is ever asked for is 365 days, which any platform's clock can add.
    now.checked_add(delay).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_follows_the_paused_clock() {
        let start = now();
        Timer::at(start + 3_600_000_000_000).await;
        assert!(now() - start >= 3_600_000_000_000);
    }

    #[test]
    fn a_timer_works_outside_a_runtime() {
        use std::sync::mpsc;
        use std::task::Wake;

        struct Notify(mpsc::Sender<()>);
        impl Wake for Notify {
            fn wake(self: std::sync::Arc<Self>) {
                let _ = self.0.send(());
            }
        }
        let (sender, woken) = mpsc::channel();
        let waker = std::sync::Arc::new(Notify(sender)).into();
        let mut cx = Context::from_waker(&waker);
        // A real wait: there is no paused clock outside a runtime.
        let mut timer = Box::pin(Timer::at(now() + 2_000_000));
        assert!(timer.as_mut().poll(&mut cx).is_pending());
        woken.recv().unwrap();
        assert!(timer.as_mut().poll(&mut cx).is_ready());
    }
}
