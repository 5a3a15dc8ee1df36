//! Failing statuses as errors, and what statuses mean to the guard.

use std::fmt;
use std::time::Duration;

use ::http::{Extensions, HeaderMap, Response, StatusCode};
use guard_spec::Statuses;

use super::Feedback;
use crate::verdict::Judged;
use crate::{Classify, Rejected, Verdict};

/// A server answered with a failing status.
///
/// It keeps the status and how long the server asked to wait, and nothing else of the exchange: no URL, no header
/// values and no body, so that it can be logged. It displays as `server answered 503 Service Unavailable`.
///
/// ```
/// use std::time::Duration;
/// use apiguard::{Classify, Verdict};
/// use apiguard::http::StatusError;
///
/// let wait = Some(Duration::from_secs(30));
/// let error = StatusError::new(http::StatusCode::TOO_MANY_REQUESTS, wait);
/// assert_eq!(error.to_string(), "server answered 429 Too Many Requests");
/// assert_eq!(error.classify(), Verdict::Throttled { retry_after: wait });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusError {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The name of the header that says so.
    header: Option<&'static str>,
    /// How long all calls are to wait, since the server's limits have nothing left.
    exhausted: Option<Duration>,
    /// Whether its response was made of a rejection by an inner guard.
    is_rejection: bool,
}

impl StatusError {
    /// A status, and how long the server asked to wait: for clients whose responses are not [`ResponseExt`].
    #[must_use]
    pub const fn new(status: StatusCode, retry_after: Option<Duration>) -> StatusError {
        StatusError { status, retry_after, header: None, exhausted: None, is_rejection: false }
    }

    /// A status, and the wait that its response's headers ask for: that of [`Feedback::wait`].
    #[must_use]
    pub fn from_headers(status: StatusCode, headers: &HeaderMap) -> StatusError {
        let feedback = Feedback::from_headers(headers);
        let Judged { pause: exhausted, .. } = judged(status, &feedback);
        let (retry_after, header) = feedback.wait().unzip();
        StatusError { status, retry_after, header, exhausted, is_rejection: false }
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// How long the server asked to wait, counted from its answer: at most
    /// [`RetryAfter::LONGEST`](super::RetryAfter::LONGEST) when it was read from headers.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server answered {}", self.status.as_str())?;
        match self.status.canonical_reason() {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StatusError {}

/// Turns failing responses into errors.
pub trait ResponseExt: Sized {
    /// The response as it is, or a [`StatusError`] when its status says that it failed: 400 and above.
    ///
    /// The body of a failing response is dropped unread; look at the status first where the body matters.
    ///
    /// # Errors
    ///
    /// [`StatusError`] with the status and the wait that the server asked for.
    ///
    /// ```
    /// use apiguard::http::ResponseExt;
    ///
    /// let response = http::Response::builder().status(503).header("retry-after", "2").body("try later");
    /// let error = response.expect("a valid response").checked().expect_err("503 is a failing status");
    /// assert_eq!(error.status(), 503);
    /// assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(2)));
    /// ```
    fn checked(self) -> Result<Self, StatusError>;
}

impl<B> ResponseExt for Response<B> {
    fn checked(self) -> Result<Self, StatusError> {
        check(self.status(), self.headers(), self.extensions())?;
        Ok(self)
    }
}

#[cfg(feature = "reqwest")]
impl ResponseExt for ::reqwest::Response {
    fn checked(self) -> Result<Self, StatusError> {
        check(self.status(), self.headers(), self.extensions())?;
        Ok(self)
    }
}

fn check(status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> Result<(), StatusError> {
    if failing(status) {
        let is_rejection = rejection(extensions).is_some();
        Err(StatusError { is_rejection, ..StatusError::from_headers(status, headers) })
    } else {
        Ok(())
    }
}

/// The rejection by an inner guard that a response was made of.
fn rejection(extensions: &Extensions) -> Option<&Rejected> {
    extensions.get()
}

/// Some servers answer beyond 599 (999 in the field): that is no success either.
fn failing(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    Feedback::from_headers(headers).wait().map(|(delay, _)| delay)
}

/// All that a response says, read once. A good one speaks of limits alone.
fn judged(status: StatusCode, feedback: &Feedback) -> Judged {
    let retry_after = feedback.wait().map(|(wait, _)| wait);
    let (asked, by) = if failing(status) { (retry_after, feedback.wait()) } else { (None, feedback.exhausted_by()) };
    // What a failing response asks for goes before what its limits say of how long; that they have nothing left holds for all calls.
    let asked_of_all = feedback.retry_after().filter(|_| failing(status));
    Judged {
        verdict: verdict(status, asked),
        status: Some(status.as_u16()),
        retry_after,
        pause: feedback.exhausted().map(|exhausted| asked_of_all.unwrap_or(exhausted)),
        header: by.map(|(_, header)| header),
    }
}

fn verdict(status: StatusCode, retry_after: Option<Duration>) -> Verdict {
    Verdict::of_status(status.as_u16(), retry_after, &Statuses::RETRIED)
}

fn whole(status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> Judged {
    match rejection(extensions) {
        Some(rejected) => Judged::by(rejected.classify()),
        None => judged(status, &Feedback::from_headers(headers)),
    }
}

impl Classify for StatusCode {
    fn classify(&self) -> Verdict {
        verdict(*self, None)
    }

    fn status(&self) -> Option<u16> {
        Some(self.as_u16())
    }
}

/// One of a response that was made of a rejection by an inner guard is permanent, whatever its status, as the rejection is.
impl Classify for StatusError {
    fn classify(&self) -> Verdict {
        if self.is_rejection { Verdict::Permanent } else { verdict(self.status, self.retry_after) }
    }

    fn status(&self) -> Option<u16> {
        (!self.is_rejection).then(|| self.status.as_u16())
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn pause(&self) -> Option<Duration> {
        self.exhausted
    }

    fn header(&self) -> Option<&'static str> {
        self.header
    }
}

/// What the types of responses have in common.
macro_rules! classify {
    ($(#[$meta:meta])* [$($body:ident)?] $response:ty) => {
        $(#[$meta])*
        impl<$($body)?> Classify for $response {
            fn classify(&self) -> Verdict {
                whole(self.status(), self.headers(), self.extensions()).verdict
            }

            fn status(&self) -> Option<u16> {
                rejection(self.extensions()).is_none().then(|| self.status().as_u16())
            }

            fn retry_after(&self) -> Option<Duration> {
                wait(self.headers())
            }

            fn pause(&self) -> Option<Duration> {
                whole(self.status(), self.headers(), self.extensions()).pause
            }

            fn header(&self) -> Option<&'static str> {
                whole(self.status(), self.headers(), self.extensions()).header
            }

            fn __judged(&self) -> Judged {
                whole(self.status(), self.headers(), self.extensions())
            }
        }
    };
}

classify! {
    /// One that is made of a rejection by an inner guard is permanent, whatever its status, as the rejection is.
    [B] Response<B>
}

#[cfg(feature = "reqwest")]
classify! {
    /// As for `http::Response`.
    [] ::reqwest::Response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_secs(7));

    fn response(status: u16) -> Response<&'static str> {
        Response::builder().status(status).header("retry-after", "7").body("canary").unwrap()
    }

    #[test]
    fn the_default_statuses_are_retried_and_no_others() {
        for code in 100..1_000 {
            let expected = match code {
                429 => Verdict::Throttled { retry_after: WAIT },
                500 | 502 | 503 | 504 => Verdict::Transient { retry_after: WAIT },
                100..=399 => Verdict::Success,
                400..=499 => Verdict::Permanent,
                _ => Verdict::Failure,
            };
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(response(code).classify(), expected, "{code}");
            assert_eq!(StatusError::new(status, WAIT).classify(), expected, "{code}");
            assert_eq!(Classify::status(&response(code)), Some(code));
            assert_eq!(Classify::status(&StatusError::new(status, WAIT)), Some(code));
            assert_eq!(Classify::status(&status), Some(code));
            assert_eq!(std::mem::discriminant(&status.classify()), std::mem::discriminant(&expected), "{code}");
            assert_eq!(status.classify().retry_after(), None);
        }
    }

    #[test]
    fn a_policys_own_statuses_keep_the_servers_wait() {
        // GitHub limits with 403, Azure answers 202 until a job is done.
        let retried = Statuses::NONE.with(403).with(202);
        for code in [403, 202] {
            let judged = Judged::of(&response(code));
            assert_eq!(judged.under(&retried), Verdict::Transient { retry_after: WAIT }, "{code}");
        }
        let error = response(403).checked().unwrap_err();
        assert_eq!(Judged::of(&error).under(&retried), Verdict::Transient { retry_after: WAIT });
        assert_eq!(Judged::of(&error).under(&Statuses::RETRIED), Verdict::Permanent);
    }

    #[test]
    fn a_limit_that_has_nothing_left_asks_for_a_wait() {
        let response = |status, remaining| {
            let response = Response::builder().status(status).header("x-ratelimit-remaining", remaining);
            response.header("x-ratelimit-reset", "7").body("canary").unwrap()
        };
        assert_eq!(response(429, "0").classify(), Verdict::Throttled { retry_after: WAIT });
        assert_eq!(response(503, "0").checked().unwrap_err().retry_after(), WAIT);
        assert_eq!(response(429, "1").classify(), Verdict::Throttled { retry_after: None });
        assert_eq!(response(200, "0").classify(), Verdict::Success);
        // GitHub limits with 403.
        let judged = Judged::of(&response(403, "0"));
        assert_eq!(judged.under(&Statuses::NONE.with(403)), Verdict::Transient { retry_after: WAIT });
    }

    fn says<O: Classify>(outcome: &O) -> (Option<u16>, [Option<Duration>; 2], Option<&'static str>) {
        (outcome.status(), [outcome.retry_after(), outcome.pause()], outcome.header())
    }

    #[test]
    fn a_response_says_by_itself_what_is_judged_of_it() {
        let (two, none) = (Some(Duration::from_secs(2)), None);
        for (status, headers, expected) in [
            (503, &[("retry-after", "7")][..], ([WAIT, none], Some("retry-after"))),
            (429, &[("retry-after", "7"), LEFT, RESET], ([WAIT, WAIT], Some("retry-after"))),
            (429, &[LEFT, RESET], ([two, two], Some("x-ratelimit-reset"))),
            // A good one speaks of its limits alone.
            (200, &[("retry-after", "7"), LEFT, RESET], ([WAIT, two], Some("x-ratelimit-reset"))),
            (202, &[("retry-after", "7")], ([WAIT, none], None)),
            (200, &[], ([none, none], None)),
        ] {
            let made = || {
                let start = Response::builder().status(status);
                headers.iter().fold(start, |made, (name, value)| made.header(*name, *value)).body("canary").unwrap()
            };
            let (waits, header) = expected;
            assert_eq!(says(&made()), (Some(status), waits, header), "{status} {headers:?}");
            #[cfg(feature = "reqwest")]
            assert_eq!(says(&::reqwest::Response::from(made())), (Some(status), waits, header), "{status} {headers:?}");
            if status >= 400 {
                let error = made().checked().unwrap_err();
                assert_eq!(says(&error), (Some(status), waits, header), "{status} {headers:?}");
            }
        }
    }

    const LEFT: (&str, &str) = ("x-ratelimit-remaining", "0");
    const RESET: (&str, &str) = ("x-ratelimit-reset", "2");

    #[test]
    fn what_is_made_of_a_rejection_is_permanent_as_an_error_too() {
        let policy = crate::PolicyName::from("inner");
        let mut response = response(503);
        response.extensions_mut().insert(Rejected::Saturated { policy });
        let error = response.checked().unwrap_err();
        assert_eq!((error.classify(), Classify::status(&error)), (Verdict::Permanent, None));
    }

    #[test]
    fn failing_statuses_become_errors_and_others_come_back_untouched() {
        for code in 100..1_000 {
            match response(code).checked() {
                Ok(response) => {
                    assert!(code < 400, "{code}");
                    assert_eq!(*response.body(), "canary");
                    assert_eq!(response.status(), code);
                    assert_eq!(response.headers().len(), 1);
                }
                Err(error) => {
                    assert!(code >= 400, "{code}");
                    assert_eq!(error.status(), code);
                    assert_eq!(error.retry_after(), WAIT);
                }
            }
        }
    }

    #[test]
    fn a_status_error_says_the_status_and_nothing_else() {
        assert_eq!(StatusError::new(StatusCode::BAD_GATEWAY, WAIT).to_string(), "server answered 502 Bad Gateway");
        let unknown = StatusCode::from_u16(599).unwrap();
        assert_eq!(StatusError::new(unknown, None).to_string(), "server answered 599");
        let response = Response::builder().status(503).header("retry-after", "canary").header("set-cookie", "canary");
        let error = response.body("canary").unwrap().checked().unwrap_err();
        assert_eq!(error.retry_after(), None);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
