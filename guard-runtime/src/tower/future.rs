//! A guarded call of a service: the loop at the head of `call`, as a state machine, so that the future has a name and no box.
//!
//! ```text
//! Before -- admitted --> Runs -- the last outcome, or a timeout --> Ended
//!   |  ^                  |
//!   |  +----- Pauses <----+   to be repeated, and there is a spare request
//!   +-- rejected --> Ended
//! ```
//!
//! The request and the service that was ready are in it from the start and are used once admitted, so a call that is dropped
//! while it waits has sent nothing. A wait is boxed together with the call that it borrows, and comes back with it.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::options::{Answer, Judge, Keying, Repeat};
use crate::call::{Call, Decision, Part, Pause, Timed};
use crate::clock::Timer;
use crate::context::{Heard, Watched};
use crate::{Policy, Rejected};

pin_project! {
    /// The future of a [`Guard`](super::Guard) whose policy is a `static`. Allocates nothing while its attempts are admitted
    /// at once.
    ///
    /// # Cancel safety
    /// Dropping it at any point gives back what it holds: a place among the waiters, tokens whose attempt has not begun, a permit.
    /// Before its attempt begins the inner service has not been called.
    #[must_use = "futures do nothing unless polled"]
    pub struct GuardFuture<'p, S, Req, K, J, R, A>
    where
        S: Service<Req>,
        K: Keying<Req>,
        R: Repeat<S, Req>,
    {
        // Before the call, for those who drop it: an attempt is over before its permit is given back.
        #[pin]
        step: Step<'p, S, Req, S::Future, K::Part>,
        // `None` while it waits, while it is polled, and after the end.
        call: Option<Call<'p, K::Part>>,
        spare: R::Spare,
        heard: Heard,
        policy: &'p Policy,
        judge: J,
        repeat: R,
        answer: A,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<'p, S, Req, F, P>
    where
        P: Part<'p>,
    {
        Before { parts: Option<(S, Req)>, is_ready: bool, wait: Option<Waiting<'p, P>> },
        Runs { #[pin] attempt: Timed<Attempt<S, Req, F>, Timer> },
        Pauses { pause: Pause },
        Ended,
    }
}

/// A call that waits for its turn.
type Waiting<'p, P> = Pin<Box<dyn Future<Output = (Call<'p, P>, Result<(), Rejected>)> + Send + 'p>>;

impl<'p, S, Req, K, J, R, A> GuardFuture<'p, S, Req, K, J, R, A>
where
    S: Service<Req>,
    K: Keying<Req>,
    R: Repeat<S, Req>,
{
    /// `ready` is a service that has said so.
    pub(super) fn new(policy: &'p Policy, ready: S, request: Req, keying: &K, judge: J, repeat: R, answer: A) -> Self {
        GuardFuture {
            call: Some(keying.call(policy, &request)),
            step: Step::Before { parts: Some((ready, request)), is_ready: true, wait: None },
            spare: R::Spare::default(),
            heard: Heard::default(),
            policy,
            judge,
            repeat,
            answer,
        }
    }
}

const IS_HERE: &str = "a call that does not wait is here until its end";
const ONE_FOR_EACH: &str = "each attempt has a service and a request";

impl<S, Req, K, J, R, A> Future for GuardFuture<'_, S, Req, K, J, R, A>
where
    S: Service<Req>,
    K: Keying<Req>,
    J: Judge<S::Response, A::Kept, A>,
    R: Repeat<S, Req>,
    A: Answer<S::Response, S::Error>,
{
    type Output = Result<S::Response, A::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let ended = loop {
            match this.step.as_mut().project() {
                StepProjection::Before { parts, is_ready, wait: waiting } => {
                    if let Some(waiting) = waiting {
                        let (call, admitted) = ready!(waiting.as_mut().poll(cx));
                        *this.call = Some(call);
                        if let Err(rejected) = admitted {
                            break this.answer.rejected(rejected);
                        }
                    } else if !this.call.as_mut().expect(IS_HERE).admit_costing() {
                        let mut call = this.call.take().expect(IS_HERE);
                        match call.decide() {
                            Decision::Admitted => *this.call = Some(call),
                            Decision::Rejected(rejected) => break this.answer.rejected(rejected),
                            Decision::Waits(turn, since) => {
                                *waiting = Some(Box::pin(async move {
                                    let admitted = call.wait(turn, since).await;
                                    (call, admitted)
                                }));
                                continue;
                            }
                        }
                    }
                    let call = this.call.as_ref().expect(IS_HERE);
                    let (service, request) = parts.take().expect(ONE_FOR_EACH);
                    *this.spare = this.repeat.spare(call.policy(), call.attempts(), &service, &request);
                    *this.heard = Heard::default();
                    let parts = Some((service, request));
                    let attempt = call.timed(Attempt::Begins { parts, is_ready: *is_ready });
                    this.step.set(Step::Runs { attempt });
                }
                StepProjection::Runs { attempt } => {
                    // Out of its place while others' code runs: a panic ends it there and then, whoever catches that.
                    let mut call = this.call.take().expect(IS_HERE);
                    let watched = Watched { body: attempt, attempt: call.attempts(), heard: this.heard };
                    let Poll::Ready(ended) = pin!(watched).poll(cx) else {
                        *this.call = Some(call);
                        return Poll::Pending;
                    };
                    // The attempt is over before its permit is given back.
                    this.step.set(Step::Ended);
                    call.heard(this.heard);
                    let repeats = R::is_there(this.spare);
                    let pause = match ended {
                        Ok(outcome) => {
                            let outcome = outcome.map_err(A::keep);
                            let judged = this.judge.judge(&outcome);
                            let pause = if call.succeeded(&judged) {
                                None
                            } else if repeats {
                                call.settle(&judged)
                            } else {
                                call.end(&judged);
                                None
                            };
                            let Some(pause) = pause else {
                                break outcome.map_err(|source| A::failed(source, call.attempts()));
                            };
                            pause
                        }
                        Err(timed_out) if repeats => match call.settle_timed_out(timed_out) {
                            Ok(pause) => pause,
                            Err(rejected) => break this.answer.rejected(rejected),
                        },
                        Err(timed_out) => break this.answer.rejected(call.end_timed_out(timed_out)),
                    };
                    *this.call = Some(call);
                    this.step.set(Step::Pauses { pause });
                }
                StepProjection::Pauses { pause } => {
                    ready!(Pin::new(pause).poll(cx));
                    this.step.set(Step::Before { parts: R::take(this.spare), is_ready: false, wait: None });
                }
                StepProjection::Ended => ended_before(),
            }
        };
        this.step.set(Step::Ended);
        *this.spare = R::Spare::default();
        *this.call = None;
        Poll::Ready(ended)
    }
}

#[cold]
#[allow(clippy::panic)] // as async blocks do
fn ended_before() -> ! {
    panic!("`GuardFuture` polled after it has ended")
}

impl<S, Req, K, J, R, A> fmt::Debug for GuardFuture<'_, S, Req, K, J, R, A>
where
    S: Service<Req>,
    K: Keying<Req>,
    R: Repeat<S, Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").field("policy", &self.policy.name()).finish_non_exhaustive()
    }
}

pin_project! {
    /// One attempt: a spare service gets ready first, then it is called.
    #[project = AttemptProjection]
    enum Attempt<S, Req, F> {
        Begins { parts: Option<(S, Req)>, is_ready: bool },
        Runs { #[pin] future: F },
    }
}

impl<S: Service<Req>, Req> Future for Attempt<S, Req, S::Future> {
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                AttemptProjection::Begins { parts, is_ready } => {
                    if let Some((service, _)) = parts.as_mut().filter(|_| !*is_ready) {
                        ready!(service.poll_ready(cx))?;
                    }
                    let (mut service, request) = parts.take().expect(ONE_FOR_EACH);
                    let future = service.call(request);
                    self.set(Attempt::Runs { future });
                }
                AttemptProjection::Runs { future } => return future.poll(cx),
            }
        }
    }
}

/// The future of a [`Guard`](super::Guard) that shares its policy by an `Arc`: one box for each call.
///
/// # Cancel safety
/// As [`GuardFuture`].
#[must_use = "futures do nothing unless polled"]
pub struct SharedGuardFuture<Res, E>(pub(super) Pin<Box<dyn Future<Output = Result<Res, E>> + Send>>);

impl<Res, E> Future for SharedGuardFuture<Res, E> {
    type Output = Result<Res, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<Res, E> fmt::Debug for SharedGuardFuture<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedGuardFuture")
    }
}
