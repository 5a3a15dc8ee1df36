//! Waiting for a turn.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::line::{End, Place};
use super::scale::LATENESS;
use super::{Inner, Limiter, Refusal, Taken, wake};
use crate::clock::{self, Timer};

/// Who takes what was granted later than this after the grant pays again: many of them would otherwise start all at once. (A
/// grant that was not taken by then is no attempt; tasks are run late, but seldom so late.)
const PARKED: u64 = 50_000_000;

/// A place in the line, to be made a [`Turn`] of at once.
#[must_use = "a place that nobody holds blocks those behind it"]
#[derive(Debug)]
pub struct Ticket {
    pub(super) place: Place,
    pub(super) due: u64,
    pub(super) latest: u64,
}

/// A place in the line of the limiter that `L` leads to. Dropped early, it gives up the place, or the tokens if they had been
/// granted.
pub(crate) struct Turn<L: Deref<Target = Limiter>> {
    limiter: L,
    spot: Spot,
    /// With the instant that it is set for.
    timer: Option<(u64, Pin<Box<Timer>>)>,
}

struct Spot {
    /// `None` once the turn has come or the place was given up.
    place: Option<Place>,
    due: u64,
    latest: u64,
    /// When to look again.
    look_at: u64,
    drives: bool,
    /// Whether it lets others run that were granted before it, which it does once.
    yields: bool,
    has_yielded: bool,
}

// Nothing in it is pinned in place.
impl<L: Deref<Target = Limiter>> Unpin for Turn<L> {}

impl<L: Deref<Target = Limiter>> Turn<L> {
    /// Takes over a place in the limiter's line.
    pub(crate) fn new(limiter: L, Ticket { place, due, latest }: Ticket) -> Turn<L> {
        Turn {
            limiter,
            spot: Spot {
                place: Some(place),
                due,
                latest,
                look_at: due,
                drives: false,
                yields: false,
                has_yielded: false,
            },
            timer: None,
        }
    }

    /// When to look again.
    #[cfg(test)]
    pub(super) fn look_at(&self) -> u64 {
        self.spot.look_at
    }

    /// One look at the line: the tokens, a refusal, or when to look again.
    pub(super) fn look(&mut self, waker: &Waker) -> Poll<Result<Taken, Refusal>> {
        let Some(place) = self.spot.place else {
            return Poll::Pending; // polled again after it was ready
        };
        let limiter = &*self.limiter;
        let waker = waker.clone();
        let mut inner = limiter.lock();
        let now = clock::now();
        // Taken out, so that a grant to itself does not wake it.
        let old = inner.line.take_waker(place);
        let mut woken = limiter.grant(&mut inner, now);
        // Whoever is granted by its own look runs at once; those before it were woken only now, and are to run before it.
        self.spot.yields = !self.spot.has_yielded && inner.line.is_behind(place);
        if self.spot.yields {
            self.spot.has_yielded = true;
            limiter.unlock(inner, now);
            drop(old);
            woken.push(waker);
            wake(woken);
            return Poll::Pending;
        }
        let end = inner.line.take_end(place);
        self.spot.place = end.is_none().then_some(place);
        let most = inner.limits.most;
        let ready = match end {
            Some(End::Granted(taken, mark)) if now.saturating_sub(taken.at()) > PARKED => {
                let paid = if taken.cost > most {
                    limiter.undo(&mut inner, taken, now);
                    Some(Err(Refusal::Never { cost: taken.cost, most }))
                } else {
                    limiter.pay_again(&mut inner, taken, now).map(Ok)
                };
                if paid.is_none() {
                    self.spot.place = Some(inner.line.rejoin(taken.cost, mark));
                }
                woken.extend(limiter.grant(&mut inner, now));
                paid
            }
            Some(End::Granted(taken, _)) => Some(Ok(taken)),
            Some(End::Refused { cost, most }) => Some(Err(Refusal::Never { cost, most })),
            None => None,
        };
        let result = match (ready, self.spot.place) {
            (Some(ready), _) => Poll::Ready(ready),
            (None, Some(place)) => self.spot.wait_on(place, limiter, &mut inner, now, waker, &mut woken).map(Err),
            (None, None) => Poll::Pending,
        };
        limiter.unlock(inner, now);
        drop(old);
        wake(woken);
        result
    }
}

impl Spot {
    /// Waits on, or gives up.
    fn wait_on(
        &mut self,
        place: Place,
        limiter: &Limiter,
        inner: &mut Inner,
        now: u64,
        waker: Waker,
        woken: &mut Vec<Waker>,
    ) -> Poll<Refusal> {
        if inner.lets_go {
            inner.line.leave(place);
            self.place = None;
            return Poll::Ready(Refusal::LetGo);
        }
        // Its turn has passed, and somebody ahead of it has not looked for theirs: from now on it looks for them. (Not more
        // often than that, since after a pause of the runtime there are many.)
        self.drives |= now >= self.due;
        let promised = inner.line.promised_until(place);
        self.due = limiter.turn(inner, now, promised);
        let is_first = inner.line.is_first(place);
        // Of the first the turn is known; for the others it may be overestimated, and only the clock decides.
        let last = self.latest.saturating_add(LATENESS);
        if now > last || is_first && self.due > last {
            inner.line.leave(place);
            self.place = None;
            woken.extend(limiter.grant(inner, now));
            // When time is no obstacle, what is in flight is.
            let retry_after = Duration::from_nanos(self.due.saturating_sub(now));
            return Poll::Ready(if self.due > now { Refusal::NotYet { retry_after } } else { Refusal::Full });
        }
        // When it waits for the end of an attempt it is woken: by no timer but that of its patience.
        let mut look_at = if self.due > now { self.due } else { u64::MAX };
        if self.drives && !is_first {
            look_at = look_at.min(limiter.turn_of_first(inner, now).max(now.saturating_add(PARKED)));
        }
        self.look_at = look_at.min(last.saturating_add(1));
        inner.line.wait(place, waker, self.look_at);
        Poll::Pending
    }
}

impl<L: Deref<Target = Limiter>> Future for Turn<L> {
    type Output = Result<Taken, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Poll::Ready(result) = self.look(cx.waker()) {
                return Poll::Ready(result);
            }
            if self.spot.yields {
                return Poll::Pending;
            }
            let look_at = self.spot.look_at;
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

impl<L: Deref<Target = Limiter>> Drop for Turn<L> {
    fn drop(&mut self) {
        let Some(place) = self.spot.place else { return };
        let limiter = &*self.limiter;
        let mut inner = limiter.lock();
        // Not before: what is regained while the lock is waited for is not to be given back, too.
        let now = clock::now();
        let old = inner.line.take_waker(place);
        let woken = match inner.line.take_end(place) {
            Some(End::Granted(taken, _)) => limiter.take_back(&mut inner, taken, now),
            Some(End::Refused { .. }) => Vec::new(),
            None => {
                inner.line.leave(place);
                limiter.grant(&mut inner, now)
            }
        };
        limiter.unlock(inner, now);
        drop(old);
        wake(woken);
    }
}
