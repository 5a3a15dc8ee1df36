//! Waiting for a turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::line::Place;
use super::scale::LATENESS;
use super::{Refused, Taken, TokenBucket, wake};
use crate::clock::{self, Timer};

/// A place in the line. Dropped early, it gives up the place, or the tokens if they had been granted.
pub(crate) struct Turn<'a> {
    pub(super) bucket: &'a TokenBucket,
    /// `None` once the turn has come or the place was given up.
    pub(super) place: Option<Place>,
    pub(super) due: u64,
    pub(super) latest: u64,
    /// When to look again.
    pub(super) look_at: u64,
    /// With the instant that it is set for.
    pub(super) timer: Option<(u64, Pin<Box<Timer>>)>,
}

impl Turn<'_> {
    /// How long until the turn, as things stand.
    pub(crate) fn remaining(&self, now: u64) -> Duration {
        Duration::from_nanos(self.due.saturating_sub(now))
    }

    /// One look at the line: the tokens, a refusal, or when to look again.
    fn look(&mut self, waker: &Waker) -> Poll<Result<Taken, Refused>> {
        let Some(place) = self.place else {
            return Poll::Pending; // polled again after it was ready
        };
        let bucket = self.bucket;
        let waker = waker.clone();
        let now = clock::now();
        let units = bucket.scale.units(now);
        let mut line = bucket.lock();
        bucket.word.close();
        // Taken out, so that a grant to itself does not wake it.
        let old = line.take_waker(place);
        let mut woken = bucket.grant(&mut line, units);
        let result = if let Some((full_at, cost)) = line.take_granted(place) {
            self.place = None;
            Poll::Ready(Ok(Taken { full_at, cost }))
        } else {
            let promised = line.promised_until(place);
            self.due = bucket.scale.nanos(bucket.word.turn(units, promised, bucket.capacity()));
            // Of the first the turn is known; for the others it may be overestimated, and only the clock decides.
            let last = self.latest.saturating_add(LATENESS);
            if now > last || line.is_first(place) && self.due > last {
                line.leave(place);
                self.place = None;
                woken.extend(bucket.grant(&mut line, units));
                Poll::Ready(Err(Refused::NotYet { retry_after: self.remaining(now) }))
            } else {
                self.look_at = self.due.min(last.saturating_add(1));
                line.wait(place, waker, self.look_at);
                Poll::Pending
            }
        };
        bucket.reopen(line);
        drop(old);
        wake(woken);
        result
    }
}

impl Future for Turn<'_> {
    type Output = Result<Taken, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Poll::Ready(result) = self.look(cx.waker()) {
                return Poll::Ready(result);
            }
            let look_at = self.look_at;
            let timer = match &mut self.timer {
                Some((set_for, timer)) => {
                    if *set_for != look_at {
                        timer.as_mut().reset(look_at);
                        *set_for = look_at;
                    }
                    timer
                }
                none => &mut none.insert((look_at, Box::pin(Timer::at(look_at)))).1,
            };
            // A timer that has ended already asks for another look.
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // It has ended, so the next look sets it anew.
            self.timer = None;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let bucket = self.bucket;
        let now = bucket.scale.units(clock::now());
        let mut line = bucket.lock();
        bucket.word.close();
        let old = line.take_waker(place);
        let woken = if let Some((full_at, cost)) = line.take_granted(place) {
            bucket.give_back_locked(&mut line, Taken { full_at, cost }, now)
        } else {
            line.leave(place);
            bucket.grant(&mut line, now)
        };
        bucket.reopen(line);
        drop(old);
        wake(woken);
    }
}
