//! The layer: a policy, and what it is told of requests and outcomes.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use ::http::Response;
use guard_spec::{InvalidSettings, Settings};
use tower_layer::Layer;

use super::options::{
    AsBoxError, AsError, AsResponse, AsResponseOf, ByFunction, ByType, Costing, ErrorsOnly, Idempotent, KeyedBy, Once,
    OwnAnswers, Unkeyed, When,
};
use super::{Guard, Holds};
use crate::{Policy, Rejected, Verdict};

/// Guards the services that it is put around, all of them under one policy.
///
/// ```
/// use apiguard::tower::GuardLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// apiguard::policy! {
///     static SEARCH = (rate("20/s", burst = 5), breaker = 5, retries(2, base = "10ms"), name = "search");
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let client = service_fn(async |request: http::Request<String>| {
///     Ok::<_, std::io::Error>(http::Response::new(format!("to {}", request.uri())))
/// });
/// let client = ServiceBuilder::new().layer(GuardLayer::new(&SEARCH).retrying()).service(client);
/// let response = client.oneshot(http::Request::get("/tea").body(String::new()).unwrap()).await.unwrap();
/// assert_eq!(response.body(), "to /tea");
/// # }
/// ```
///
/// What a policy says of limits, its breaker and timeouts holds for every request; its retries for those that
/// [`retrying`](GuardLayer::retrying) or [`retrying_if`](GuardLayer::retrying_if) allow. An attempt ends with the head of the
/// response: the body that follows counts for no timeout and is not in flight any more.
///
/// ([`options`](super::options) has the types of the parameters. Where a layer is stored with its defaults, its type is
/// `GuardLayer`.)
#[derive(Clone)]
#[must_use = "a layer guards nothing until it is put around a service"]
pub struct GuardLayer<P = &'static Policy, K = Unkeyed, J = ByType, R = Once, A = AsError> {
    policy: P,
    keying: K,
    judge: J,
    repeat: R,
    answer: A,
}

impl<P: Holds> GuardLayer<P> {
    /// For calls to others, under a `&'static Policy` or an `Arc<Policy>`. (With an `Arc` each call is boxed.)
    ///
    /// Responses are judged as [`Classify`](crate::Classify) says, by status and by what their headers say of waiting; errors by
    /// the first in their chain of sources that is known, else they are transient. Each request is sent once, and rejections are
    /// [`apiguard::Error::Rejected`](crate::Error::Rejected). The other methods change each of these.
    pub fn new(policy: P) -> GuardLayer<P> {
        GuardLayer { policy, keying: Unkeyed, judge: ByType, repeat: Once, answer: AsError }
    }
}

impl GuardLayer<Arc<Policy>> {
    /// As [`new`](GuardLayer::new), under a policy of its own, made of settings that are known at run time only. (The registry
    /// does not list it.)
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    ///
    /// ```
    /// use apiguard::{Rate, Settings, tower::GuardLayer};
    ///
    /// let layer = GuardLayer::from_settings("search", Settings::new().rate(Rate::per_second(20)))?;
    /// assert_eq!(layer.policy().name(), "search");
    /// # Ok::<(), apiguard::InvalidSettings>(())
    /// ```
    pub fn from_settings(name: impl Into<String>, settings: Settings) -> Result<Self, InvalidSettings> {
        Policy::builder(name).settings(settings).build().map(|policy| GuardLayer::new(Arc::new(policy)))
    }
}

impl<P: Holds> GuardLayer<P, Unkeyed, OwnAnswers, Once, AsResponse> {
    /// For a server that guards itself: rejections become responses ([`respond`](GuardLayer::respond)), so that
    /// `axum::Router::layer` takes it as it is.
    ///
    /// For a breaker, its own 5xx are failures and its own 4xx the caller's fault. What its headers say of limits
    /// (`Retry-After`, `X-RateLimit-Remaining: 0`) is meant for one client and does not hold back the others.
    ///
    /// Waiting is for clients; a server that makes callers wait fills up. Give its limits `max_wait = "0s"`, or little.
    ///
    /// ```
    /// use apiguard::tower::GuardLayer;
    /// use axum::{Router, routing::get};
    ///
    /// apiguard::policy! {
    ///     static DOOR = (concurrency(100, max_wait = "50ms"), name = "door");
    /// }
    ///
    /// let app: Router = Router::new().route("/", get(async || "well")).layer(GuardLayer::server(&DOOR));
    /// ```
    pub fn server(policy: P) -> GuardLayer<P, Unkeyed, OwnAnswers, Once, AsResponse> {
        GuardLayer { policy, keying: Unkeyed, judge: OwnAnswers, repeat: Once, answer: AsResponse }
    }
}

impl<P: Holds, J, R, A> GuardLayer<P, Unkeyed, J, R, A> {
    /// Limits and a breaker for each key, instead of one for all requests: as `key = …` in the attribute. Idle keys are dropped.
    ///
    /// The function is called once for each request. The key is its own (a `HeaderValue` is cheap to clone); requests without
    /// what tells them apart share one state under `None`.
    ///
    /// ```
    /// use apiguard::tower::GuardLayer;
    /// use http::{HeaderValue, Request};
    ///
    /// apiguard::policy! {
    ///     static PER_TENANT = (rate("5/s", burst = 10, max_wait = "0s"), name = "per tenant");
    /// }
    ///
    /// fn tenant<B>(request: &Request<B>) -> Option<HeaderValue> {
    ///     request.headers().get("x-tenant").cloned()
    /// }
    ///
    /// let layer = GuardLayer::server(&PER_TENANT).keyed_by(tenant::<axum::body::Body>);
    /// let app: axum::Router = axum::Router::new().layer(layer);
    /// ```
    ///
    /// A key that clients choose freely is no protection against them: each new one has a full bucket.
    pub fn keyed_by<Req, Q: Hash, F: Fn(&Req) -> Q>(self, key: F) -> GuardLayer<P, KeyedBy<F>, J, R, A> {
        let GuardLayer { policy, judge, repeat, answer, .. } = self;
        GuardLayer { policy, keying: KeyedBy(key), judge, repeat, answer }
    }
}

impl<P: Holds, K, J, R, A> GuardLayer<P, K, J, R, A> {
    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What each attempt of a request takes of rates and quotas, instead of one token: as `cost = …` in the attribute. (With keys:
    /// first [`keyed_by`](GuardLayer::keyed_by), then this.)
    ///
    /// ```
    /// use apiguard::tower::GuardLayer;
    /// # apiguard::policy! { static BATCHES = (rate("100/s", burst = 500), name = "batches"); }
    ///
    /// let layer = GuardLayer::new(&BATCHES).cost(|batch: &http::Request<Vec<u64>>| batch.body().len() as u32);
    /// ```
    pub fn cost<Req, F: Fn(&Req) -> u32>(self, cost: F) -> GuardLayer<P, Costing<K, F>, J, R, A> {
        let GuardLayer { policy, keying, judge, repeat, answer } = self;
        GuardLayer { policy, keying: Costing { keying, cost }, judge, repeat, answer }
    }

    /// A function says what an outcome means: `fn(&Result<Response, Error>) -> Verdict`. The policy's `statuses` and the
    /// headers of responses then say nothing beside it.
    ///
    /// ```
    /// use apiguard::{Verdict, tower::GuardLayer};
    /// # apiguard::policy! { static SEARCH = (breaker = 5, name = "classified"); }
    ///
    /// fn verdict(outcome: &Result<http::Response<String>, std::io::Error>) -> Verdict {
    ///     match outcome {
    ///         Ok(response) if response.status() == 404 => Verdict::Success,
    ///         Ok(response) => apiguard::Classify::classify(response),
    ///         Err(_) => Verdict::TRANSIENT,
    ///     }
    /// }
    ///
    /// let layer = GuardLayer::new(&SEARCH).classify(verdict);
    /// ```
    pub fn classify<Res, E, F>(self, classify: F) -> GuardLayer<P, K, ByFunction<F>, R, A>
    where
        F: Fn(&Result<Res, E>) -> Verdict,
    {
        let GuardLayer { policy, keying, repeat, answer, .. } = self;
        GuardLayer { policy, keying, judge: ByFunction(classify), repeat, answer }
    }

    /// Every response is a success, of whatever type: for services that do not speak HTTP.
    pub fn errors_only(self) -> GuardLayer<P, K, ErrorsOnly, R, A> {
        let GuardLayer { policy, keying, repeat, answer, .. } = self;
        GuardLayer { policy, keying, judge: ErrorsOnly, repeat, answer }
    }

    /// Repeats HTTP requests as the policy's retries say, those that mean the same when they are sent twice: with an idempotent
    /// method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE) or an `Idempotency-Key`. Others are sent once.
    ///
    /// The request's body has to be `Clone` (text, `Bytes`, `http_body_util::Full`). A request that may be repeated is cloned
    /// before each attempt that another one may follow, and so is the inner service, of which the clone gets ready within the
    /// attempt and its timeout.
    pub fn retrying(self) -> GuardLayer<P, K, J, Idempotent, A> {
        let GuardLayer { policy, keying, judge, answer, .. } = self;
        GuardLayer { policy, keying, judge, repeat: Idempotent, answer }
    }

    /// Repeats requests of which a function says that they may be sent twice, of any type that is `Clone`. It is asked before
    /// each attempt that another one may follow.
    pub fn retrying_if<Req, F: Fn(&Req) -> bool>(self, may_repeat: F) -> GuardLayer<P, K, J, When<F>, A> {
        let GuardLayer { policy, keying, judge, answer, .. } = self;
        GuardLayer { policy, keying, judge, repeat: When(may_repeat), answer }
    }

    /// A rejection becomes a response, as [`Rejected::http_status`] says: 429, 503, 504 or 413, with `Retry-After` where coming
    /// back helps, an empty body (`Default`) and no word on the policy. The error type stays that of the inner service.
    pub fn respond(self) -> GuardLayer<P, K, J, R, AsResponse> {
        let GuardLayer { policy, keying, judge, repeat, .. } = self;
        GuardLayer { policy, keying, judge, repeat, answer: AsResponse }
    }

    /// A rejection becomes the response that a function makes of it. The error type stays that of the inner service.
    ///
    /// The [`Rejected`] is put into the response's extensions, which are not sent: by it a guard around this one knows that the
    /// service has not failed.
    ///
    /// ```
    /// use apiguard::{Rejected, tower::GuardLayer};
    /// use axum::response::{IntoResponse, Response};
    /// # apiguard::policy! { static DOOR = (concurrency = 100, name = "door with words"); }
    ///
    /// fn busy(rejected: &Rejected) -> Response {
    ///     (rejected.http_status(), "too much going on, come back later\n").into_response()
    /// }
    ///
    /// let app: axum::Router = axum::Router::new().layer(GuardLayer::server(&DOOR).respond_with(busy));
    /// ```
    pub fn respond_with<B, F>(self, response: F) -> GuardLayer<P, K, J, R, AsResponseOf<F>>
    where
        F: Fn(&Rejected) -> Response<B>,
    {
        let GuardLayer { policy, keying, judge, repeat, .. } = self;
        GuardLayer { policy, keying, judge, repeat, answer: AsResponseOf(response) }
    }

    /// The error type is tower's `BoxError`: a boxed [`Rejected`], or the inner service's error, boxed unless it is already. For
    /// stacks whose layers box their errors, inside or outside of this one.
    pub fn box_errors(self) -> GuardLayer<P, K, J, R, AsBoxError> {
        let GuardLayer { policy, keying, judge, repeat, .. } = self;
        GuardLayer { policy, keying, judge, repeat, answer: AsBoxError }
    }
}

impl<S, P, K, J, R, A> Layer<S> for GuardLayer<P, K, J, R, A>
where
    P: Holds,
    K: Clone,
    J: Clone,
    R: Clone,
    A: Clone,
{
    type Service = Guard<S, P, K, J, R, A>;

    fn layer(&self, inner: S) -> Self::Service {
        let GuardLayer { policy, keying, judge, repeat, answer } = self.clone();
        Guard { inner, policy, keying, judge, repeat, answer }
    }
}

impl<P: Holds, K, J, R, A> fmt::Debug for GuardLayer<P, K, J, R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer").field("policy", &self.policy.name()).finish_non_exhaustive()
    }
}
