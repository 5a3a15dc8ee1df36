//! The guard in a stack of `reqwest-middleware`, against real servers.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::reqwest_middleware::{Guard, Idempotent, rejected};
use apiguard::{
    Breaker, Budget, Classify, Error as CallError, Jitter, Policy, PolicyName, Rate, Rejected, Retry, Settings, Verdict,
};
use reqwest::{Body, Method, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};
use support::raw::{Raw, closed_port};
use support::{Answer, Server, ms_since};
use tokio::time::Instant;

fn retries() -> Settings {
    Settings::new().retries(Retry::new(3).base(Duration::from_millis(100)).jitter(Jitter::None).budget(Budget::Off))
}

fn guard(settings: &Settings) -> Guard {
    Guard::from_settings("middleware.test", *settings).unwrap()
}

fn client(guard: Guard) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(guard).build()
}

#[tokio::test(start_paused = true)]
async fn one_line_retries_what_may_be_repeated_and_nothing_else() {
    let client = client(guard(&retries()));
    for (name, sent) in [("GET", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1), ("PATCH", 1)] {
        let server = Server::always(Answer::new(503).body("out of tea")).await;
        let method: Method = name.parse().unwrap();
        let response = client.request(method.clone(), &server.url).body("tea").send().await.unwrap();
        assert_eq!((response.status().as_u16(), server.requests()), (503, sent), "{name}");
        assert_eq!(response.text().await.unwrap(), "out of tea");
    }
    let server = Server::always(Answer::new(503)).await;
    client.post(&server.url).body("tea").with_extension(Idempotent(true)).send().await.unwrap();
    assert_eq!(server.requests(), 4, "marked");
    client.post(&server.url).header("idempotency-key", "7").send().await.unwrap();
    assert_eq!(server.requests(), 8, "with a key");
    client.get(&server.url).with_extension(Idempotent(false)).send().await.unwrap();
    assert_eq!(server.requests(), 9, "marked otherwise");
    client.put(&server.url).body(Body::wrap(Body::from("tea"))).send().await.unwrap();
    assert_eq!(server.requests(), 10, "a stream");
}

#[tokio::test(start_paused = true)]
async fn the_defaults_retry_three_times_and_open_after_five_failures_for_one_host() {
    let guard = Guard::default();
    let client = client(guard.clone());
    let (dead, well) = (Server::always(Answer::new(503)).await, Server::always(Answer::new(200)).await);
    assert_eq!(client.get(&dead.url).send().await.unwrap().status(), 503);
    assert_eq!(dead.requests(), 4);
    assert_eq!(client.get(&dead.url).send().await.unwrap().status(), 503);
    assert_eq!(dead.requests(), 5);
    let error = client.get(&dead.url).send().await.unwrap_err();
    assert!(matches!(rejected(&error), Some(Rejected::CircuitOpen { .. })), "{error:?}");
    assert_eq!(dead.requests(), 5);
    assert_eq!(client.get(&well.url).send().await.unwrap().status(), 200);
    assert_eq!(guard.policy().snapshot().rejections.circuit_open, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_found_by_downcast_and_shows_no_url() {
    let policy = Arc::new(Policy::builder("middleware.open").settings(retries()).build().unwrap());
    let client = client(Guard::shared(policy.clone()));
    policy.force_open();
    let error = client.get("http://canary:canary@localhost/canary?canary").send().await.unwrap_err();
    let Error::Middleware(cause) = &error else { panic!("{error:?}") };
    assert!(matches!(cause.downcast_ref(), Some(Rejected::CircuitOpen { .. })));
    assert_eq!(rejected(&error).unwrap().policy(), "middleware.open");
    assert_eq!(error.to_string().split(':').next(), Some("circuit of policy `middleware.open` is open"));
    assert!(!format!("{error:?} {error}").contains("canary"));
    let refused = client.get("not a url").send().await.unwrap_err();
    assert!(rejected(&refused).is_none());
}

#[tokio::test(start_paused = true)]
async fn errors_of_reqwest_come_back_as_they_are() {
    let url = closed_port().await;
    let guard = guard(&retries());
    let client = client(guard.clone());
    let error = client.get(&url).send().await.unwrap_err();
    assert!(error.is_connect() && error.url().unwrap().as_str() == url);
    assert_eq!(guard.policy().snapshot().attempts(), 4);
    client.post(&url).send().await.unwrap_err();
    assert_eq!(guard.policy().snapshot().attempts(), 5, "a POST is not repeated");
    let reset = Raw::scripted([], b"").await;
    client.post(&reset.url).body("tea").send().await.unwrap_err();
    assert_eq!(reset.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_429_with_retry_after_holds_back_that_host_and_no_other() {
    let busy = Server::scripted([Answer::new(429).header("retry-after", "9")], Answer::new(200)).await;
    let other = Server::always(Answer::new(200)).await;
    let client = client(guard(&retries().rate(Rate::per_second(100).burst(10))));
    let start = Instant::now();
    assert_eq!(client.post(&busy.url).send().await.unwrap().status(), 429);
    client.get(&other.url).send().await.unwrap();
    assert!(ms_since(start) < 10);
    assert_eq!(client.post(&busy.url).send().await.unwrap().status(), 200);
    assert!((9_000..9_020).contains(&ms_since(start)), "{}", ms_since(start));
}

/// Counts, knows the attempt, and fails when it is told to.
struct Inner {
    runs: AtomicU32,
    attempts: AtomicU32,
    fails_with: Option<fn() -> Error>,
}

#[async_trait::async_trait]
impl Middleware for Inner {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.runs.fetch_add(1, Relaxed);
        self.attempts.fetch_add(apiguard::attempt(), Relaxed);
        match self.fails_with {
            Some(error) => Err(error()),
            None => next.run(request, extensions).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn middlewares_after_the_guard_run_for_each_attempt_and_their_own_errors_are_not_repeated() {
    let server = Server::always(Answer::new(503)).await;
    let stack = |fails_with| {
        let inner = Arc::new(Inner { runs: AtomicU32::new(0), attempts: AtomicU32::new(0), fails_with });
        let client = ClientBuilder::new(reqwest::Client::new()).with(guard(&retries())).with_arc(inner.clone());
        (client.build(), inner)
    };
    let (client, inner) = stack(None);
    client.get(&server.url).send().await.unwrap();
    assert_eq!((inner.runs.load(Relaxed), inner.attempts.load(Relaxed)), (4, 1 + 2 + 3 + 4));
    let no_token: fn() -> Error = || Error::middleware(std::fmt::Error);
    let (client, inner) = stack(Some(no_token));
    assert!(client.get(&server.url).send().await.unwrap_err().is_middleware());
    assert_eq!(inner.runs.load(Relaxed), 1, "no token is no fault of the server's");
    let broken: fn() -> Error = || Error::middleware(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let (client, inner) = stack(Some(broken));
    client.get(&server.url).send().await.unwrap_err();
    assert_eq!(inner.runs.load(Relaxed), 4, "what is known to be a broken connection is");
}

#[tokio::test(start_paused = true)]
async fn two_guards_in_one_another_do_not_repeat_what_the_inner_one_rejects() {
    let policy = Arc::new(Policy::builder("middleware.inner").breaker(Breaker::consecutive(5)).build().unwrap());
    let outer = guard(&retries());
    let stack = ClientBuilder::new(reqwest::Client::new()).with(outer.clone()).with(Guard::shared(policy.clone()));
    policy.force_open();
    let error = stack.build().get("http://localhost/").send().await.unwrap_err();
    assert_eq!(rejected(&error).unwrap().policy(), "middleware.inner");
    assert_eq!(outer.policy().snapshot().attempts(), 1);
    assert_eq!(error.classify(), Verdict::Permanent);
    let retrying = Policy::builder("middleware.around").settings(retries()).build().unwrap();
    let mut error = Some(error);
    let outcome = retrying.call(async || error.take().map_or(Ok(()), Err)).await;
    assert!(matches!(outcome, Err(CallError::Call { attempts: 1, .. })), "nor does a policy around them: {outcome:?}");
}

/// Answers with a rejection, as a middleware does that turns its guard's into a response.
struct Answers(AtomicU32);

#[async_trait::async_trait]
impl Middleware for Answers {
    async fn handle(&self, _: Request, _: &mut http::Extensions, _: Next<'_>) -> reqwest_middleware::Result<Response> {
        self.0.fetch_add(1, Relaxed);
        let rejected = Rejected::Saturated { policy: PolicyName::new("middleware.inner") };
        Ok(http::Response::<String>::from(rejected).into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_comes_back_as_a_response_is_not_repeated_and_opens_no_breaker() {
    let (inner, outer) = (Arc::new(Answers(AtomicU32::new(0))), guard(&retries()));
    let client = ClientBuilder::new(reqwest::Client::new()).with(outer.clone()).with_arc(inner.clone()).build();
    let response = client.get("http://localhost/").send().await.unwrap();
    assert_eq!((response.status().as_u16(), inner.0.load(Relaxed)), (503, 1));
    assert_eq!(response.classify(), Verdict::Permanent);
    assert_eq!(outer.policy().snapshot().outcomes.permanent, 1);
    let error = response.checked().unwrap_err();
    assert_eq!((error.classify(), Classify::status(&error)), (Verdict::Permanent, None));
    let error = apiguard::reqwest::Error::from(error);
    assert_eq!((error.classify(), Classify::status(&error)), (Verdict::Permanent, None));
    assert_eq!(error.status().map(|status| status.as_u16()), Some(503));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_stack_means_what_reqwests_error_in_it_means() {
    let error = client(guard(&Settings::new())).get(closed_port().await).send().await.unwrap_err();
    assert_eq!((error.classify(), error.is_connect()), (Verdict::TRANSIENT, true));
    let plain = ClientBuilder::new(reqwest::Client::new()).build();
    let error = plain.get(Server::always(Answer::new(404)).await.url).send().await.unwrap();
    let error = Error::from(error.error_for_status().unwrap_err());
    assert_eq!(error.classify(), Verdict::Permanent);
    assert_eq!(Classify::status(&error), Some(404));
}
