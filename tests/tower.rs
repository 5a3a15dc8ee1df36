//! The layer around a real client and before a real server: what the server is sent, and when.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apiguard::tower::{Guard, GuardLayer};
use apiguard::{Breaker, Error, Policy, Rate, Rejected, Settings};
use axum::body::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use support::policies::{forever, policy, retries};
use support::{Answer, Server, ms_since};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn hyper() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(method: Method, url: &str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(url).body(Full::from("tea")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_503_is_repeated_when_the_server_allows_it_and_the_good_answer_returned() {
    let server = Server::scripted([Answer::new(503).header("retry-after", "2")], Answer::new(200)).await;
    let policy = forever(&Settings::new().retries(retries(3)));
    let mut client = ServiceBuilder::new().layer(GuardLayer::new(policy).retrying()).service(hyper());
    let response = client.ready().await.unwrap().call(request(Method::GET, &server.url)).await.unwrap();
    assert_eq!(response.status(), 200);
    let arrivals = server.arrivals();
    let waited = (arrivals[1] - arrivals[0]).as_millis();
    assert!((2_000..=3_002).contains(&waited), "{waited} ms");
    assert_eq!((server.requests(), policy.snapshot().retries), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_once_unless_it_has_a_key() {
    let server = Server::always(Answer::new(503)).await;
    let policy = policy(&Settings::new().retries(retries(3)));
    let client = ServiceBuilder::new().layer(GuardLayer::new(policy).retrying()).service(hyper());
    let post = || request(Method::POST, &server.url);
    // The last response comes back as it is.
    assert_eq!(client.clone().oneshot(post()).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 1);
    let mut with_key = post();
    with_key.headers_mut().insert("idempotency-key", "8e03978e".parse().unwrap());
    assert_eq!(client.clone().oneshot(with_key).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 5);
    assert_eq!(client.oneshot(request(Method::PUT, &server.url)).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 9);
}

#[tokio::test(start_paused = true)]
async fn without_retrying_every_request_is_sent_once() {
    let server = Server::always(Answer::new(503)).await;
    let policy = policy(&Settings::new().retries(retries(3)));
    let client = ServiceBuilder::new().layer(GuardLayer::new(policy)).service(hyper());
    assert_eq!(client.oneshot(request(Method::GET, &server.url)).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn clones_share_a_rate_and_none_of_their_requests_is_early() {
    let server = Server::always(Answer::new(200)).await;
    let client = GuardLayer::new(forever(&Settings::new().rate(Rate::per_second(10)))).layer(hyper());
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..21 {
        calls.spawn(client.clone().oneshot(request(Method::POST, &server.url)));
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap().status(), 200);
    }
    let took = ms_since(start);
    assert!((2_000..=2_002).contains(&took), "{took} ms for 20 intervals of 100 ms");
    let most = server.most_in(Duration::from_millis(995));
    assert!(most <= 10, "{most} in 995 ms");
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_service_that_is_down_open_the_breaker() {
    let server = Server::always(Answer::new(500)).await;
    let policy = forever(&Settings::new().breaker(Breaker::consecutive(5)));
    let client = GuardLayer::new(policy).layer(hyper());
    for _ in 0..5 {
        client.clone().oneshot(request(Method::GET, &server.url)).await.unwrap();
    }
    let rejected = client.oneshot(request(Method::GET, &server.url)).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(Rejected::CircuitOpen { .. })), "{rejected:?}");
    assert_eq!(server.requests(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_fewer_requests_holds_back_all_of_them() {
    for answer in [
        Answer::new(429).header("retry-after", "3"),
        Answer::new(200).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset-after", "3"),
    ] {
        let server = Server::scripted([answer], Answer::new(200)).await;
        let client = GuardLayer::new(policy(&Settings::new().rate(Rate::per_second(100)))).layer(hyper());
        for _ in 0..2 {
            client.clone().oneshot(request(Method::POST, &server.url)).await.unwrap();
        }
        let arrivals = server.arrivals();
        assert!(arrivals[1] - arrivals[0] >= Duration::from_secs(3), "{arrivals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_is_transient_and_the_error_is_the_clients_own() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let policy = forever(&Settings::new().retries(retries(2)));
    let client = GuardLayer::new(policy).retrying().layer(hyper());
    let error = client.oneshot(request(Method::GET, &format!("http://{closed}/"))).await.unwrap_err();
    assert!(matches!(&error, Error::Call { source, attempts: 3 } if source.is_connect()), "{error:?}");
    assert_eq!(error.to_string(), "call failed after 3 attempts");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_at_the_timeout() {
    let server = Server::always(Answer::new(200).after(Duration::from_secs(3_600))).await;
    let timeouts = Settings::new().timeout(Duration::from_secs(10)).attempt_timeout(Duration::from_secs(2));
    let policy = forever(&timeouts.retries(retries(1)));
    let start = Instant::now();
    let client = GuardLayer::new(policy).retrying().layer(hyper());
    let rejected = client.oneshot(request(Method::GET, &server.url)).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(Rejected::TimedOut { .. })), "{rejected:?}");
    assert_eq!((server.requests(), policy.snapshot().timed_out), (2, 2));
    assert!((4_000..4_100).contains(&ms_since(start)), "{} ms", ms_since(start));
    // One that is not repeated ends by the same.
    let rejected = GuardLayer::new(policy).layer(hyper()).oneshot(request(Method::GET, &server.url)).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected(Rejected::TimedOut { .. })), "{rejected:?}");
    assert_eq!(server.requests(), 3);
}

// ---- the future

/// What the guard adds to a future that has the same service and request in it.
#[tokio::test]
async fn the_future_is_send_and_not_much_larger_than_what_it_holds() {
    fn size<F: Future + Send>(_: F) -> usize {
        size_of::<F>()
    }
    let policy = forever(&Settings::new());
    let mut client = hyper();
    let bare = size(client.call(request(Method::GET, "http://127.0.0.1:1/")));
    let parts = size_of::<Hyper>() + size_of::<Request<Full<Bytes>>>();
    let guarded = size(GuardLayer::new(policy).layer(hyper()).call(request(Method::GET, "http://127.0.0.1:1/")));
    assert!(guarded <= bare.max(parts) + 256, "{guarded} B with {bare} B of the client and {parts} B of its parts");
    let again = GuardLayer::new(policy).retrying().layer(hyper()).call(request(Method::GET, "http://127.0.0.1:1/"));
    let again = size(again);
    assert!(again <= guarded + parts + 16, "{again} B beside {guarded} B");
    let shared = Arc::new(Policy::builder("shared").build().unwrap());
    let shared = GuardLayer::new(shared).retrying().layer(hyper()).call(request(Method::GET, "http://127.0.0.1:1/"));
    assert_eq!(size(shared), 2 * size_of::<usize>());
}

/// The defaults of the type parameters are what `new` makes, so layers and services can be stored by short names.
#[derive(Clone, Debug)]
struct Stored {
    layer: GuardLayer,
    client: Guard<Hyper>,
}

#[test]
fn layers_and_services_have_short_names_and_show_no_more_than_the_policy() {
    let layer = GuardLayer::new(forever(&Settings::new()));
    let stored = Stored { client: layer.layer(hyper()), layer };
    assert_eq!(stored.layer.policy().name(), "test");
    assert_eq!(stored.client.policy().name(), "test");
    let shown = format!("{:?}", stored.clone().layer);
    assert_eq!(shown, "GuardLayer { policy: \"test\", .. }");
    let secret = "canary";
    let keyed = stored.layer.keyed_by(move |_: &u32| secret).layer(echo_named());
    assert_eq!(format!("{keyed:?}"), "Guard { inner: Named, policy: \"test\", .. }");
}

#[derive(Clone, Debug)]
struct Named;

fn echo_named() -> Named {
    Named
}
