//! What HTTP servers say about waiting, and errors that carry it.
//!
//! | item | what |
//! |---|---|
//! | [`RetryAfter`] | the `Retry-After` header field: seconds or a date |
//! | [`Feedback`] | all that a response's headers say of waiting and of limits: these, vendors' own, and those of the IETF |
//! | [`RateLimit`] | what one of those limits has left, and when it has more |
//! | [`StatusError`] | a failing status and the wait that came with it; no URL, no header values |
//! | [`observe`] | tells the running call what a response says of limits, when the body does not return it |
//! | [`ResponseExt::checked`] | turns a response with a failing status into a `StatusError` |
//! | `Response::from(rejected)` | the response with which a server passes a [`Rejected`](crate::Rejected) on, `Retry-After` included |
//!
//! Statuses, responses and [`StatusError`] are [`Classify`](crate::Classify): 429 is throttled, 500, 502, 503 and 504
//! are transient, other 5xx are failures, other 4xx are permanent, the rest are successes. A policy's `statuses` replace
//! that list of retried ones.

mod date;
mod feedback;
mod fields;
#[cfg(any(feature = "reqwest", feature = "tower", test))]
mod idempotent;
mod observe;
mod rate_limit;
mod rejection;
mod reset;
mod retry_after;
mod status;
mod timestamp;
mod value;

pub use feedback::Feedback;
#[cfg(any(feature = "reqwest", feature = "tower"))]
pub(crate) use idempotent::may_repeat;
pub use observe::{HasHeaders, observe};
pub use rate_limit::RateLimit;
pub use retry_after::RetryAfter;
pub use status::{ResponseExt, StatusError};
