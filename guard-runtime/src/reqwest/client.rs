//! A reqwest client whose requests are guarded.

use std::fmt;

use ::http::Method;
use ::reqwest::{IntoUrl, Request, Response};

use super::Error;
use super::guard::Guard;
use super::repeat::Idempotent;
use super::request::RequestBuilder;
use super::run::{Transport, run};
use crate::Policy;
use crate::context::Heard;

/// A `reqwest::Client` with limits, breaker and retries: for each host of its own, or for all hosts together, as its [`Guard`]
/// says.
///
/// It has the same verbs. A response comes back untouched, whatever its status: a `503` that is left after all retries is an `Ok`,
/// as with reqwest. ([`checked`](crate::http::ResponseExt::checked) makes it an error.)
///
/// # What is retried
///
/// | request | after 429, 500, 502, 503, 504 (the policy's `statuses`), a broken connection, a timeout | after a connection that could not be made |
/// |---|---|---|
/// | `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE` | yes | yes |
/// | others with an `Idempotency-Key` header, or [`idempotent(true)`](RequestBuilder::idempotent) | yes | yes |
/// | others: `POST`, `PATCH` … | no | only with [`follows_no_redirects`](Guard::follows_no_redirects) |
/// | any whose body is a stream | no | no |
///
/// The delays, the budget and a server's `Retry-After` are as for every policy. A request that is not repeated pays and counts like any
/// other: for limits, breaker and what the server says of waiting.
///
/// # Timeouts
///
/// A policy's `timeout` and `attempt_timeout` end when the headers of the response are there, and so do an attempt in flight
/// (`concurrency`) and what the breaker sees. The body comes after: `reqwest::ClientBuilder::timeout` bounds that, with each attempt
/// by itself, and `read_timeout` the pauses in it.
///
/// # Examples
///
/// ```no_run
/// use apiguard::http::ResponseExt;
/// use apiguard::reqwest::Client;
///
/// # async fn example() -> Result<(), apiguard::reqwest::Error> {
/// // 3 retries, and a breaker for each host.
/// let client = Client::new(reqwest::Client::new());
/// let page = client.get("https://api.example.com/orders").bearer_auth("secret").send().await?;
/// let body = page.checked()?.text().await?;
///
/// // Sent once, unless marked.
/// client.post("https://api.example.com/orders").header("idempotency-key", "42").body(body).send().await?.checked()?;
/// # Ok(())
/// # }
/// ```
///
/// Cloning is cheap, and the clones share the connections and the policy.
#[derive(Clone)]
pub struct Client {
    inner: ::reqwest::Client,
    guard: Guard,
}

impl Client {
    /// Guards a client by [`Guard::default()`]: for each host, 3 retries and a breaker that opens after 5 failures in a row.
    pub fn new(client: ::reqwest::Client) -> Client {
        Client::guarded(client, Guard::default())
    }

    /// Guards a client.
    pub fn guarded(client: ::reqwest::Client, guard: Guard) -> Client {
        Client { inner: client, guard }
    }

    /// The policy: to look at ([`snapshot`](Policy::snapshot)), to change ([`configure`](Policy::configure)), to force open.
    pub fn policy(&self) -> &Policy {
        self.guard.policy()
    }

    /// Begins a `GET`.
    pub fn get<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a `POST`.
    pub fn post<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT`.
    pub fn put<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH`.
    pub fn patch<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE`.
    pub fn delete<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD`.
    pub fn head<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Begins a request of any method.
    pub fn request<U: IntoUrl>(&self, method: Method, url: U) -> RequestBuilder {
        RequestBuilder::plain(self.inner.request(method, url), self.guard.clone())
    }

    /// Begins with a builder of reqwest's, for what only that can do, or code that has one. The client that it came from sends it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), apiguard::reqwest::Error> {
    /// # let plain = reqwest::Client::new();
    /// # let client = apiguard::reqwest::Client::new(plain.clone());
    /// # let order = [1, 2];
    /// let request = plain.put("https://api.example.com/orders/7").json(&order);
    /// client.guard(request).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn guard(&self, builder: ::reqwest::RequestBuilder) -> RequestBuilder {
        RequestBuilder::foreign(builder, self.guard.clone())
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`].
    ///
    /// # Cancel safety
    /// As [`RequestBuilder::send`].
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        execute::<true>(&self.inner, &self.guard, &mut Some(request), None).await
    }
}

/// Sends; `EXTENSIBLE` for a request that may have extensions.
pub(super) async fn execute<const EXTENSIBLE: bool>(
    client: &::reqwest::Client,
    guard: &Guard,
    request: &mut Option<Request>,
    mark: Option<Idempotent>,
) -> Result<Response, Error> {
    Ok(run(guard, request, mark, Direct::<'_, EXTENSIBLE>(client)).await??)
}

struct Direct<'c, const EXTENSIBLE: bool>(&'c ::reqwest::Client);

impl<const EXTENSIBLE: bool> Transport for Direct<'_, EXTENSIBLE> {
    type Error = ::reqwest::Error;

    const EXTENSIBLE: bool = EXTENSIBLE;

    // No code of the user's that would ask for the attempt runs in it.
    fn send(
        &mut self,
        request: Request,
        _: u32,
        _: &Heard,
    ) -> impl Future<Output = Result<Response, ::reqwest::Error>> + Send {
        self.0.execute(request)
    }
}

/// By [`Client::new`].
impl From<::reqwest::Client> for Client {
    fn from(client: ::reqwest::Client) -> Client {
        Client::new(client)
    }
}

/// By [`Client::new`], of `reqwest::Client::default()`.
impl Default for Client {
    fn default() -> Client {
        Client::new(::reqwest::Client::default())
    }
}

/// The guard. (reqwest's client would show its default headers.)
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("guard", &self.guard).finish_non_exhaustive()
    }
}
