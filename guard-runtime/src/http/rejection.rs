//! A rejection as a response, for servers that answer with what a guard has said.
//!
//! | rejection | status | why this one |
//! |---|---|---|
//! | `RateLimited` | 429 | the limit is known, and so is the time to come back |
//! | `CircuitOpen`, `Saturated` | 503 | the service is down or full, whoever asks |
//! | `TimedOut` | 504 | the guard stands before what it guards, and has given up on it |
//! | `CostTooHigh` | 413 | it would be refused at any time: clients repeat a 429 or 503, and do not repeat this |
//! | any other | 503 | |
//!
//! `Retry-After` is there when coming back is a remedy, in whole seconds since servers and proxies in the field read no others:
//! rounded up, so that who obeys is not too early, and at least 1, so that nobody comes back at once.
//!
//! The rejection itself goes along in the response's extensions, which do not leave the process: by it a guard around the one
//! that rejected knows that the service has not failed, as it knows it of errors.

use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{HeaderValue, Response, StatusCode};

use crate::{Error, Rejected};

impl Rejected {
    /// The status with which a server passes this rejection on: 429 for `RateLimited`, 503 for `CircuitOpen` and
    /// `Saturated`, 504 for `TimedOut`, 413 for `CostTooHigh`.
    ///
    /// ```
    /// use apiguard::{PolicyName, Rejected};
    ///
    /// let rejected = Rejected::Saturated { policy: PolicyName::new("stripe") };
    /// assert_eq!(rejected.http_status(), 503);
    /// ```
    pub fn http_status(&self) -> StatusCode {
        match self {
            Rejected::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Rejected::CircuitOpen { .. } | Rejected::Saturated { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Rejected::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Rejected::CostTooHigh { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// The response with which a server passes a rejection on: its [status](Rejected::http_status), `Retry-After` where coming
/// back is a remedy (whole seconds, rounded up, at least 1), and an empty body. It does not say which policy rejected.
///
/// Its extensions, which are not sent, hold the `Rejected`: for layers that log, and for an outer guard, to which the response is
/// permanent ([`Verdict::Permanent`](crate::Verdict::Permanent)): it is not repeated and opens no breaker.
///
/// ```
/// use apiguard::{PolicyName, Rejected};
/// use std::time::Duration;
///
/// let policy = PolicyName::new("stripe");
/// let rejected = Rejected::RateLimited { policy, retry_after: Duration::from_millis(2_100) };
/// let response: http::Response<String> = rejected.into();
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "3");
/// assert_eq!(response.extensions().get::<Rejected>().map(Rejected::policy), Some("stripe"));
/// ```
impl<B: Default> From<&Rejected> for Response<B> {
    fn from(rejected: &Rejected) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = rejected.http_status();
        if let Some(wait) = rejected.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response.extensions_mut().insert(rejected.clone());
        response
    }
}

/// As from a reference to it.
impl<B: Default> From<Rejected> for Response<B> {
    fn from(rejected: Rejected) -> Response<B> {
        Response::from(&rejected)
    }
}

/// A rejection as [`Rejected`] says; a call that ran and failed is 502, with nothing of its error in it.
///
/// ```
/// use apiguard::Error;
///
/// let failed = Error::Call { source: std::io::Error::other("secret"), attempts: 3 };
/// let response: http::Response<String> = failed.into();
/// assert_eq!((response.status().as_u16(), response.body().as_str()), (502, ""));
/// ```
impl<B: Default, E> From<Error<E>> for Response<B> {
    fn from(error: Error<E>) -> Response<B> {
        if let Error::Rejected(rejected) = error {
            return rejected.into();
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }
}

/// Rounded up, at least 1.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RetryAfter;
    use crate::verdict::Judged;
    use crate::{PolicyName, Verdict};

    const CANARY: PolicyName = PolicyName::new("canary");

    #[test]
    fn every_rejection_has_its_status_and_says_when_to_come_back_if_that_helps() {
        let second = Duration::from_secs(1);
        let cases = [
            (Rejected::RateLimited { policy: CANARY, retry_after: second }, 429, Some("1")),
            (Rejected::CircuitOpen { policy: CANARY, retry_after: 59 * second }, 503, Some("59")),
            (Rejected::Saturated { policy: CANARY }, 503, Some("1")),
            (Rejected::TimedOut { policy: CANARY, after: second }, 504, None),
            (Rejected::CostTooHigh { policy: CANARY, cost: 2, burst: 1 }, 413, None),
        ];
        for (rejected, status, retry_after) in cases {
            let response: Response<String> = (&rejected).into();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().get(RETRY_AFTER), retry_after.map(HeaderValue::from_static).as_ref());
            assert_eq!(response.body(), "");
            assert!(!format!("{response:?}").contains("canary"), "strangers do not see which policy rejected");
            let every_status = guard_spec::Statuses::RETRIED.with(413).with(504);
            assert_eq!(Judged::of(&response).under(&every_status), Verdict::Permanent, "to a guard around this one");
            let of_error: Response<String> = Error::<()>::Rejected(rejected).into();
            assert_eq!((of_error.status(), of_error.headers()), (response.status(), response.headers()));
        }
    }

    #[test]
    fn who_obeys_is_never_too_early_whatever_the_wait() {
        let waits = [0, 1, 999_999_999, 1_000_000_000, 1_000_000_001, 59_999_999_999].map(Duration::from_nanos);
        for wait in waits.into_iter().chain([Duration::MAX]) {
            let response: Response<()> = Rejected::RateLimited { policy: CANARY, retry_after: wait }.into();
            let read = RetryAfter::from_headers(response.headers());
            assert!(read >= Some(wait.clamp(Duration::from_secs(1), RetryAfter::LONGEST)), "{wait:?}: {read:?}");
            assert!(read <= Some(wait.saturating_add(Duration::from_secs(1))), "{wait:?}: {read:?}");
        }
    }
}
