//! The three waits of a call: for the turn of an attempt, for its end, and before the next one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Rejected;
use crate::clock::{Slot, Timer};
use crate::context;

/// A wait for the turn of an attempt.
#[must_use = "an attempt that does not wait for its turn has not been admitted"]
pub struct Wait<'c>(pub(super) Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send + 'c>>);

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wait")
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Rejected>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// The pause before a retry. Holds nothing.
#[derive(Debug)]
#[must_use = "a retry without its pause hammers the service"]
pub struct Pause {
    pub(super) until: u64,
    pub(super) timer: Option<Pin<Box<Timer>>>,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let timer = self.timer.get_or_insert_with(|| Box::pin(Timer::at(until)));
        timer.as_mut().poll_end(until, cx)
    }
}

/// A timeout of the policy ended the attempt.
#[derive(Clone, Copy, Debug)]
pub struct TimedOut(
    /// When it had to end.
    pub(super) u64,
);

pin_project! {
    /// An attempt with an end: its timer is set when the body first has to wait.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timed<F, T> {
        #[pin]
        pub(super) body: F,
        // `u64::MAX` for none.
        pub(super) limit: u64,
        #[pin]
        pub(super) timer: Option<T>,
    }
}

impl<F: Future, T: Slot> Future for Timed<F, T> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let limit = *this.limit;
        // What runs inside has to end by then, too.
        let polled = if limit == u64::MAX { this.body.poll(cx) } else { context::until(limit, || this.body.poll(cx)) };
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        if limit == u64::MAX {
            return Poll::Pending;
        }
        if this.timer.is_none() {
            this.timer.set(Some(T::at(limit)));
        }
        match this.timer.as_pin_mut().map(|timer| timer.poll_end(limit, cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(TimedOut(limit))),
            _ => Poll::Pending,
        }
    }
}
