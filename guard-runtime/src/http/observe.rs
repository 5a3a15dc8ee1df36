//! What the running call hears of responses that its body does not return.

use ::http::{HeaderMap, Response};

use super::Feedback;
use crate::{clock, context};

/// What has response headers: `http::Response`, `reqwest::Response`, a `HeaderMap`.
pub trait HasHeaders {
    /// Its headers.
    fn headers(&self) -> &HeaderMap;
}

impl HasHeaders for HeaderMap {
    fn headers(&self) -> &HeaderMap {
        self
    }
}

impl<B> HasHeaders for Response<B> {
    fn headers(&self) -> &HeaderMap {
        Response::headers(self)
    }
}

#[cfg(feature = "reqwest")]
impl HasHeaders for ::reqwest::Response {
    fn headers(&self) -> &HeaderMap {
        ::reqwest::Response::headers(self)
    }
}

/// Tells the running call what the headers of a good response say of limits, for a body that does not return the response itself.
///
/// A limit that has nothing left ([`Feedback::exhausted`]) holds back all calls under the policy until it is reset, at most its
/// `max_pause`, once the attempt has ended. (A response that is returned, and an error that
/// [`checked`](super::ResponseExt::checked) makes, speak without it.)
///
/// It is heard where [`attempt`](crate::attempt) is known; elsewhere it does nothing.
///
/// ```
/// use apiguard::{guarded, observe};
///
/// #[guarded(rate = "100/s")]
/// async fn quote() -> Result<u32, apiguard::Error<std::num::ParseIntError>> {
///     let response = http::Response::builder().header("x-ratelimit-remaining", "0").body("42").unwrap();
///     observe(&response);
///     Ok(response.body().parse()?)
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() { assert_eq!(quote().await.unwrap(), 42); }
/// ```
pub fn observe(response: &impl HasHeaders) {
    if let Some(wait) = Feedback::from_headers(response.headers()).exhausted() {
        context::hear(clock::nanos(wait));
    }
}
