//! A request of a guarded client, while it is made.

use std::fmt;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Version};
use ::reqwest::{Body, Response};

use super::Error;
use super::client::execute;
use super::guard::Guard;
use super::repeat::Idempotent;

/// A request of a [`Client`](super::Client): what reqwest's builder offers, and whether it may be repeated.
///
/// What reqwest offers behind features of its own (`json`, `query`, `form`, `multipart`) is reached by [`with`](RequestBuilder::with).
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    builder: ::reqwest::RequestBuilder,
    guard: Guard,
    mark: Option<Idempotent>,
    /// Whether somebody else has had a hand in it: then it may have extensions.
    is_foreign: bool,
}

impl RequestBuilder {
    pub(super) fn plain(builder: ::reqwest::RequestBuilder, guard: Guard) -> RequestBuilder {
        RequestBuilder { builder, guard, mark: None, is_foreign: false }
    }

    pub(super) fn foreign(builder: ::reqwest::RequestBuilder, guard: Guard) -> RequestBuilder {
        RequestBuilder { is_foreign: true, ..RequestBuilder::plain(builder, guard) }
    }

    fn map(self, change: impl FnOnce(::reqwest::RequestBuilder) -> ::reqwest::RequestBuilder) -> RequestBuilder {
        RequestBuilder { builder: change(self.builder), ..self }
    }

    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> RequestBuilder
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<::http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<::http::Error>,
    {
        self.map(|builder| builder.header(name, value))
    }

    /// Adds headers; those of the same name are replaced.
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.map(|builder| builder.headers(headers))
    }

    /// Authenticates by a name and a password.
    pub fn basic_auth(self, name: impl fmt::Display, password: Option<impl fmt::Display>) -> RequestBuilder {
        self.map(|builder| builder.basic_auth(name, password))
    }

    /// Authenticates by a token.
    pub fn bearer_auth(self, token: impl fmt::Display) -> RequestBuilder {
        self.map(|builder| builder.bearer_auth(token))
    }

    /// Sets the body. Text and bytes can be sent again; a stream cannot.
    pub fn body(self, body: impl Into<Body>) -> RequestBuilder {
        self.map(|builder| builder.body(body))
    }

    /// Bounds each attempt, the body of its response included, instead of the client's timeout. (The whole call is bounded by the
    /// policy's `timeout`.)
    pub fn timeout(self, timeout: Duration) -> RequestBuilder {
        self.map(|builder| builder.timeout(timeout))
    }

    /// Sets the version of HTTP.
    pub fn version(self, version: Version) -> RequestBuilder {
        self.map(|builder| builder.version(version))
    }

    /// Does anything that reqwest's builder does, such as what it has behind features.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), apiguard::reqwest::Error> {
    /// # let client = apiguard::reqwest::Client::default();
    /// # let order = [1, 2];
    /// let request = client.post("https://api.example.com/orders").with(|request| request.json(&order));
    /// request.idempotent(true).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("json", "query", "form", "multipart"))]
    pub fn with(self, change: impl FnOnce(::reqwest::RequestBuilder) -> ::reqwest::RequestBuilder) -> RequestBuilder {
        RequestBuilder { is_foreign: true, ..self.map(change) }
    }

    /// Says whether the request may be sent again when nobody knows whether the server has carried it out.
    ///
    /// Without it: if its method is idempotent (`GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE`), or if it has an
    /// `Idempotency-Key` header. `false` is for a `GET` that changes something.
    ///
    /// A body that is a stream cannot be sent again whatever is said here: see [`is_replayable`](RequestBuilder::is_replayable).
    pub fn idempotent(self, idempotent: bool) -> RequestBuilder {
        RequestBuilder { mark: Some(Idempotent(idempotent)), ..self }
    }

    /// Whether it could be sent again: not if its body is a stream (nor if it is wrong already). Such a request is sent once;
    /// where it would have been retried, there is an event `not replayable`.
    ///
    /// ```
    /// let client = apiguard::reqwest::Client::default();
    /// assert!(client.put("http://localhost/").body("text").is_replayable());
    /// ```
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        self.builder.try_clone().is_some()
    }

    /// Sends the request: once, or several times, as the policy and [what may be repeated](super::Client#what-is-retried) say.
    ///
    /// # Errors
    /// [`Error::Rejected`] when the guard did not run the call or gave up on it; [`Error::Transport`] when the request could not be
    /// built, or the last attempt had no response. A failing status is no error.
    ///
    /// # Cancel safety
    /// Dropping the future at any point gives back what it holds: a place among the waiters, tokens whose attempt has not begun, a
    /// probe's place. The request may have been carried out.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + Send {
        let RequestBuilder { builder, guard, mark, is_foreign } = self;
        let (client, request) = builder.build_split();
        // Apart, so that the request stays where it is.
        let (mut request, wrong) = match request {
            Ok(request) => (Some(request), None),
            Err(wrong) => (None, Some(wrong)),
        };
        async move {
            if let Some(wrong) = wrong {
                return Err(wrong.into());
            }
            if is_foreign {
                execute::<true>(&client, &guard, &mut request, mark).await
            } else {
                execute::<false>(&client, &guard, &mut request, mark).await
            }
        }
    }
}

/// Nothing of the request: URLs, headers and bodies carry secrets.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").field("guard", &self.guard).field("mark", &self.mark).finish_non_exhaustive()
    }
}
