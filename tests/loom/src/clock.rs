//! A clock that a model sets before it starts its threads; a timer that never ends, since nothing is polled a second time by it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

/// No part of the model: the same for all threads.
static NOW: AtomicU64 = AtomicU64::new(0);

pub(crate) fn set(now: u64) {
    NOW.store(now, Relaxed);
}

pub(crate) fn now() -> u64 {
    NOW.load(Relaxed)
}

pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

pub(crate) const fn at_least(nanos: u64) -> u64 {
    nanos
}

pub(crate) struct Timer;

impl Timer {
    pub(crate) fn at(_: u64) -> Timer {
        Timer
    }

    pub(crate) fn reset(self: Pin<&mut Self>, _: u64) {}
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
