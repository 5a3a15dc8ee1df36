//! One guarded request: all its attempts. [`Client`](super::Client) and the middleware both send through here.
//!
//! ```text
//! for attempt in 1.. {
//!     the guard lets it through, makes it wait, or rejects it      (`Call`)
//!     if it may have to be sent again: keep what it is made of
//!     send it, at most attempt_timeout and never past the deadline: until the headers of the response are there
//!     the response or the error is judged by what it says          (`Classify`)
//!     may it be repeated after that, and does the guard repeat it? -> drop the outcome, pause, again
//!     otherwise return the outcome as it is
//! }
//! ```

use std::future::Future;

use ::reqwest::{Request, Response};

use super::guard::Guard;
use super::repeat::{Idempotent, Kept, Repeat};
use crate::call::{Call, Part};
use crate::context::Heard;
use crate::event::EventKind;
use crate::verdict::Judged;
use crate::{Policy, Rejected, Retry, Statuses, Verdict, telemetry};

/// What requests are sent by.
pub(crate) trait Transport {
    type Error: Failure;

    /// Whether requests may have extensions.
    const EXTENSIBLE: bool;

    /// Sends it, as the attempt of this number; `heard` is for what code of the user's that runs in it says.
    fn send(
        &mut self,
        request: Request,
        attempt: u32,
        heard: &Heard,
    ) -> impl Future<Output = Result<Response, Self::Error>> + Send;
}

/// Why there is no response.
pub(crate) trait Failure {
    fn judge(&self) -> Judged;

    /// Whether no connection was made.
    fn is_connect(&self) -> bool;
}

impl Failure for ::reqwest::Error {
    fn judge(&self) -> Judged {
        Judged::of(self)
    }

    fn is_connect(&self) -> bool {
        ::reqwest::Error::is_connect(self)
    }
}

/// Sends a request under a guard. It is taken out of its place at once: a request is large, and every future that it is handed to
/// would copy it.
///
/// # Cancel safety
/// As [`Policy::call`].
pub(crate) async fn run<T: Transport>(
    guard: &Guard,
    request: &mut Option<Request>,
    mark: Option<Idempotent>,
    mut transport: T,
) -> Result<Result<Response, T::Error>, Rejected> {
    let here = guard.policy().here();
    let policy: &Policy = &here;
    let repeat = request.as_ref().map_or(Repeat::Never, |request| Repeat::of(request, mark, guard.unmarked()));
    let key = request.as_ref().and_then(|request| guard.key(request.url()));
    match key.map(|key| Call::keyed(policy, None, &*key)) {
        Some(mut call) => attempts(policy, &mut call, request, repeat, &mut transport).await,
        None => attempts(policy, &mut Call::new(policy, None), request, repeat, &mut transport).await,
    }
}

async fn attempts<'p, S: Part<'p>, T: Transport>(
    policy: &'p Policy,
    call: &mut Call<'p, S>,
    request: &mut Option<Request>,
    repeat: Repeat,
    transport: &mut T,
) -> Result<Result<Response, T::Error>, Rejected> {
    loop {
        call.admitted().await?;
        let retries = policy.with_settings(|settings| settings.retry().map_or(0, Retry::max));
        let wanted = repeat != Repeat::Never && call.attempts() <= retries;
        let kept = if wanted { request.as_ref().and_then(|request| Kept::of(request, T::EXTENSIBLE)) } else { None };
        let heard = Heard::default();
        let ended = call.timed(transport.send(taken(request), call.attempts(), &heard)).await;
        call.heard(&heard);
        let (next, pause) = match ended {
            Ok(outcome) => {
                let judged = judge(&outcome);
                if call.succeeded(&judged) {
                    return Ok(outcome);
                }
                let may_repeat = wanted && repeat.after(&outcome);
                if may_repeat && kept.is_none() {
                    tell_of_stream(policy, &judged);
                }
                let Some(next) = again(kept.filter(|_| may_repeat)) else {
                    call.end(&judged);
                    return Ok(outcome);
                };
                // The outcome that is repeated is dropped here: its connection is not held during the pause.
                match call.settle(&judged) {
                    Some(pause) => (next, pause),
                    None => return Ok(outcome),
                }
            }
            Err(timed_out) => match again(kept.filter(|_| repeat == Repeat::Always)) {
                Some(next) => (next, call.settle_timed_out(timed_out)?),
                None => return Err(call.end_timed_out(timed_out)),
            },
        };
        *request = Some(next);
        pause.await;
    }
}

#[inline]
fn taken(request: &mut Option<Request>) -> Request {
    request.take().expect("there is a request before each attempt")
}

fn again(kept: Option<Kept>) -> Option<Request> {
    kept.and_then(Kept::into_request)
}

impl Repeat {
    fn after<E: Failure>(self, outcome: &Result<Response, E>) -> bool {
        match self {
            Repeat::Always => true,
            Repeat::Unsent => matches!(outcome, Err(error) if error.is_connect()),
            Repeat::Never => false,
        }
    }
}

fn judge<E: Failure>(outcome: &Result<Response, E>) -> Judged {
    match outcome {
        Ok(response) => Judged::of(response),
        Err(error) => error.judge(),
    }
}

fn with_statuses<R>(policy: &Policy, read: impl FnOnce(&Statuses) -> R) -> R {
    policy.with_settings(|settings| read(settings.retry().map_or(&Statuses::RETRIED, Retry::retried_statuses)))
}

/// A request that would be repeated is not, for its body is gone.
#[cold]
fn tell_of_stream(policy: &Policy, judged: &Judged) {
    let verdict = with_statuses(policy, |statuses| judged.under(statuses));
    if matches!(verdict, Verdict::Transient { .. } | Verdict::Throttled { .. }) {
        telemetry::tell(policy, policy.is_shadow(), EventKind::NotReplayable);
    }
}
