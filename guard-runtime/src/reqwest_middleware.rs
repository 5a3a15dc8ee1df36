//! A guard for clients of the crate `reqwest-middleware`: one line in an existing stack.
//!
//! ```
//! use apiguard::reqwest_middleware::Guard;
//! use reqwest_middleware::ClientBuilder;
//!
//! let client = ClientBuilder::new(reqwest::Client::new())
//!     .with(Guard::default()) // for each host: 3 retries, and a breaker that opens after 5 failures in a row
//!     .build();
//! ```
//!
//! [`Guard`] says what else it can be. What is retried is the same as for [`Client`](crate::reqwest::Client#what-is-retried); the mark of a request is
//! an extension: `client.post(url).with_extension(Idempotent(true))`. A response comes back untouched, whatever its status.
//!
//! Middlewares that stand after the guard run once for each attempt (signing, logging each try), those before it once for each
//! call. They know [`attempt`](crate::attempt), and what they [`observe`](crate::observe) is heard. Take other middlewares that
//! retry out of the stack, or the attempts multiply.
//!
//! # Errors
//!
//! What reqwest and other middlewares return comes back as it is: reqwest's errors show their URL, as without the guard. A rejection is
//! a `reqwest_middleware::Error::Middleware`, in which [`rejected`] finds the [`Rejected`]; so does a downcast:
//!
//! ```
//! use apiguard::Rejected;
//! use reqwest_middleware::Error;
//!
//! fn is_open(error: &Error) -> bool {
//!     matches!(error, Error::Middleware(cause) if matches!(cause.downcast_ref(), Some(Rejected::CircuitOpen { .. })))
//! }
//! ```
//!
//! # Cancel safety
//!
//! Dropping the future of a request at any point gives back what it holds: a place among the waiters, tokens whose attempt has not
//! begun, a probe's place.

use ::http::Extensions;
use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use async_trait::async_trait;

use crate::context::{Heard, Watched};
use crate::reqwest::{Failure, Transport, run};
pub use crate::reqwest::{Guard, Idempotent, PolicyRef};
use crate::verdict::{self, Judged};
use crate::{Classify, Rejected, Verdict};

/// The rejection, if the guard did not run the call or gave up on it.
///
/// ```
/// use std::time::Duration;
/// use apiguard::reqwest_middleware::rejected;
///
/// /// When to come back, if anybody knows.
/// fn retry_after(error: &reqwest_middleware::Error) -> Option<Duration> {
///     rejected(error)?.retry_after()
/// }
/// ```
pub fn rejected(error: &Error) -> Option<&Rejected> {
    match error {
        Error::Middleware(cause) => cause.downcast_ref(),
        Error::Reqwest(_) => None,
    }
}

#[async_trait]
impl Middleware for Guard {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let mark = extensions.get::<Idempotent>().copied();
        match run(self, &mut Some(request), mark, Stack { next, extensions }).await {
            Ok(outcome) => outcome,
            Err(rejected) => Err(Error::middleware(rejected)),
        }
    }
}

/// What stands after the guard.
struct Stack<'a> {
    next: Next<'a>,
    extensions: &'a mut Extensions,
}

impl Transport for Stack<'_> {
    type Error = Error;

    const EXTENSIBLE: bool = true;

    fn send(&mut self, request: Request, attempt: u32, heard: &Heard) -> impl Future<Output = Result<Response>> + Send {
        Watched { body: self.next.clone().run(request, self.extensions), attempt, heard }
    }
}

impl Failure for Error {
    fn judge(&self) -> Judged {
        match self {
            Error::Reqwest(error) => Judged::of(error),
            Error::Middleware(cause) => verdict::judge_known(cause.as_ref()).unwrap_or(Judged::by(Verdict::Permanent)),
        }
    }

    fn is_connect(&self) -> bool {
        Error::is_connect(self)
    }
}

/// As reqwest's error in it, or the first known one in the chain of what a middleware returned. Another middleware's error is
/// permanent: it says that a request was not sent (no credentials, say), rather than that the service is down.
impl Classify for Error {
    fn classify(&self) -> Verdict {
        self.judge().verdict
    }

    fn status(&self) -> Option<u16> {
        self.judge().status
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        self.judge().retry_after
    }
}
