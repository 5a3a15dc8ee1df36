//! The guarded reqwest client, against real servers: what they are sent, when, and what comes back.

#![allow(clippy::unwrap_used, clippy::large_types_passed_by_value)] // the helpers of a test are a test

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::reqwest::{Client, Error, Guard};
use apiguard::{Breaker, Budget, Concurrency, Jitter, Policy, PolicyName, Rate, Rejected, Retry, Settings, Statuses};
use axum::body::Bytes;
use http_body_util::{Full, Limited};
use reqwest::{Body, Method, Response, Version, redirect};
use support::events::Events;
use support::hostile::RETRY_AFTER;
use support::raw::{Raw, closed_port};
use support::{Answer, Server, ms_since};
use tokio::time::Instant;

/// Three retries, in which nothing is left to chance.
fn retries() -> Settings {
    Settings::new().retries(Retry::new(3).base(Duration::from_millis(100)).jitter(Jitter::None).budget(Budget::Off))
}

fn client(settings: Settings) -> Client {
    Client::guarded(reqwest::Client::new(), Guard::from_settings("client.test", settings).unwrap())
}

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

// ---- what is repeated

#[tokio::test(start_paused = true)]
async fn a_get_that_meets_a_503_is_sent_again() {
    let server = Server::scripted([Answer::new(503)], Answer::new(200)).await;
    let client = Client::new(reqwest::Client::new());
    let response = client.get(&server.url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.requests(), 2);
    let snapshot = client.policy().snapshot();
    assert_eq!((snapshot.calls, snapshot.retries, snapshot.outcomes.failures), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn every_idempotent_method_is_repeated_and_no_other() {
    for (name, sent) in [
        ("GET", 4),
        ("HEAD", 4),
        ("OPTIONS", 4),
        ("TRACE", 4),
        ("PUT", 4),
        ("DELETE", 4),
        ("POST", 1),
        ("PATCH", 1),
        ("PURGE", 1),
    ] {
        let server = Server::always(Answer::new(503)).await;
        let response = client(retries()).request(method(name), &server.url).send().await.unwrap();
        assert_eq!((response.status().as_u16(), server.requests()), (503, sent), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_is_repeated_if_it_has_a_key_or_is_marked_and_a_get_is_not_if_it_is_marked_otherwise() {
    let client = client(retries());
    let requests = async |prepare: &dyn Fn(&str) -> apiguard::reqwest::RequestBuilder| {
        let server = Server::always(Answer::new(503)).await;
        assert_eq!(prepare(&server.url).send().await.unwrap().status(), 503);
        server.requests()
    };
    assert_eq!(requests(&|url| client.post(url).body("tea").header("Idempotency-Key", "7")).await, 4);
    assert_eq!(requests(&|url| client.post(url).body("tea").idempotent(true)).await, 4);
    assert_eq!(requests(&|url| client.post(url).body("tea")).await, 1);
    for empty in ["", " \t"] {
        assert_eq!(requests(&|url| client.post(url).header("Idempotency-Key", empty)).await, 1, "an empty key is none");
    }
    assert_eq!(requests(&|url| client.get(url).idempotent(false)).await, 1);
    assert_eq!(requests(&|url| client.post(url).header("Idempotency-Key", "7").idempotent(false)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_carries_the_same_request() {
    const BUSY: &[u8] = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let plain = reqwest::Client::new();
    let client = client(retries());
    let seen = async |prepare: &dyn Fn(&str) -> apiguard::reqwest::RequestBuilder| {
        let server = Raw::scripted([BUSY, b"", BUSY], Raw::OK).await;
        assert_eq!(prepare(&format!("{}a?b=%20c", server.url)).send().await.unwrap().status(), 200);
        let seen = server.seen();
        assert_eq!(seen, vec![seen[0].clone(); 4]);
        assert!(seen[0].contains(" /a?b=%20c HTTP/1."), "{}", seen[0]);
        seen[0].clone()
    };
    let headers = |url: &str| client.put(url).header("x-a", "1").header("x-a", "2").bearer_auth("t");
    let sent = seen(&|url| headers(url).version(Version::HTTP_10).timeout(Duration::from_secs(5))).await;
    assert!(sent.contains("x-a: 1\r\nx-a: 2\r\nauthorization: Bearer t\r\n") && sent.contains("HTTP/1.0"), "{sent}");
    assert!(seen(&|url| headers(url).body("tea for two")).await.ends_with("\r\n\r\ntea for two"));
    assert!(seen(&|url| client.put(url).with(|request| request.json(&[1, 2]))).await.ends_with("\r\n\r\n[1,2]"));
    assert!(seen(&|url| client.guard(plain.delete(url).header("x-b", "3"))).await.contains("x-b: 3\r\n"));
    assert!(seen(&|url| client.get(url).basic_auth("a", Some("b"))).await.contains("authorization: Basic YTpi\r\n"));
    let server = Raw::scripted([BUSY], Raw::OK).await;
    client.execute(plain.get(&server.url).header("x-c", "4").build().unwrap()).await.unwrap();
    assert_eq!(server.seen(), vec![server.seen()[0].clone(); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_is_tried_again_for_what_may_be_repeated() {
    let url = closed_port().await;
    let attempts = async |client: Client, method: Method| {
        let error = client.request(method, &url).body("tea").send().await.unwrap_err();
        assert!(matches!(&error, Error::Transport(error) if error.is_connect()), "{error:?}");
        client.policy().snapshot().attempts()
    };
    assert_eq!(attempts(client(retries()), Method::GET).await, 4);
    assert_eq!(attempts(client(retries()), Method::POST).await, 1);
    let guard = Guard::from_settings("client.direct", retries()).unwrap().follows_no_redirects();
    let direct = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    assert_eq!(attempts(Client::guarded(direct, guard), Method::POST).await, 4, "nothing can have been sent");
}

/// Why a refused connection is no proof where redirects are followed.
#[tokio::test(start_paused = true)]
async fn a_post_that_was_accepted_and_redirected_to_a_dead_host_is_not_posted_again() {
    let dead = closed_port().await;
    let server = Server::always(Answer::new(303).header("location", &dead)).await;
    let error = client(retries()).post(&server.url).body("tea").send().await.unwrap_err();
    assert!(matches!(&error, Error::Transport(error) if error.is_connect()), "{error:?}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_after_the_request_is_no_reason_to_repeat_a_post() {
    let server = Raw::scripted([], b"").await;
    let guard = Guard::from_settings("client.reset", retries()).unwrap().follows_no_redirects();
    let client = Client::guarded(reqwest::Client::new(), guard);
    client.post(&server.url).body("tea").send().await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
    client.put(&server.url).body("tea").send().await.unwrap_err();
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_a_stream_is_sent_once_and_says_so() {
    let server = Server::always(Answer::new(503)).await;
    let (events, client) = (Events::default(), client(retries()));
    let stream = || Body::wrap(Body::from("tea"));
    let request = client.put(&server.url).body(stream());
    assert!(!request.is_replayable());
    assert!(client.put(&server.url).body("tea").is_replayable());
    let _recording = events.record();
    assert_eq!(request.send().await.unwrap().status(), 503);
    assert_eq!((server.requests(), events.count("not replayable")), (1, 1));
    client.post(&server.url).body(stream()).idempotent(true).send().await.unwrap();
    assert_eq!((server.requests(), events.count("not replayable")), (2, 2));
    client.post(&server.url).body(stream()).send().await.unwrap();
    assert_eq!((server.requests(), events.count("not replayable")), (3, 2), "which would not be repeated anyway");
    let well = Server::always(Answer::new(404)).await;
    client.put(&well.url).body(stream()).send().await.unwrap();
    assert_eq!(events.count("not replayable"), 2, "nor this");
    let direct = Guard::from_settings("client.direct", retries()).unwrap().follows_no_redirects();
    let direct = Client::guarded(reqwest::Client::new(), direct);
    direct.post(&server.url).body(stream()).send().await.unwrap();
    assert_eq!(events.count("not replayable"), 2, "nor what was sent");
    direct.post(closed_port().await).body(stream()).send().await.unwrap_err();
    assert_eq!(events.count("not replayable"), 3);
}

/// A resolver under a guard that rejects, as one that limits look-ups does.
struct Rejecting(fn(Rejected) -> Box<dyn std::error::Error + Send + Sync>, Arc<AtomicU32>);

impl reqwest::dns::Resolve for Rejecting {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        self.1.fetch_add(1, Relaxed);
        let rejected = Rejected::Saturated { policy: PolicyName::new("resolver") };
        Box::pin(std::future::ready(Err((self.0)(rejected))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_a_guard_inside_reqwest_is_not_repeated_and_opens_no_breaker() {
    let wraps: [fn(Rejected) -> Box<dyn std::error::Error + Send + Sync>; 3] = [
        |rejected| rejected.into(),
        |rejected| std::io::Error::other(rejected).into(),
        |rejected| apiguard::Error::<std::io::Error>::Rejected(rejected).into(),
    ];
    for wrap in wraps {
        let asked = Arc::<AtomicU32>::default();
        let inner = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(Rejecting(wrap, asked.clone())));
        let client = Client::guarded(inner.build().unwrap(), Guard::from_settings("outer", retries()).unwrap());
        let error = client.get("http://well.example/").send().await.unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
        assert_eq!((asked.load(Relaxed), client.policy().snapshot().outcomes.permanent), (1, 1));
    }
}

/// As of a proxy whose client leaves in the middle of an upload.
#[tokio::test(start_paused = true)]
async fn a_body_that_its_sender_breaks_off_is_no_failure_of_the_service() {
    let server = Server::always(Answer::new(200)).await;
    let client = client(retries().breaker(Breaker::consecutive(2)));
    for _ in 0..5 {
        let broken = Limited::new(Full::new(Bytes::from("tea for two")), 3);
        let error = client.put(&server.url).body(Body::wrap(broken)).send().await.unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
    }
    assert_eq!(client.policy().snapshot().outcomes.permanent, 5);
    assert_eq!(client.get(&server.url).send().await.unwrap().status(), 200);
}

// ---- what comes back

#[tokio::test(start_paused = true)]
async fn a_final_503_comes_back_untouched() {
    let answer = Answer::new(503).header("x-reason", "tea").header("retry-after", "1").body("out of tea");
    let server = Server::always(answer).await;
    let response = client(retries()).get(&server.url).send().await.unwrap();
    assert_eq!(server.requests(), 4);
    assert_eq!((response.status().as_u16(), response.url().as_str()), (503, &*server.url));
    assert_eq!(response.headers()["x-reason"], "tea");
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.text().await.unwrap(), "out of tea");
    let error = client(retries()).get(&server.url).send().await.unwrap().checked().unwrap_err();
    assert_eq!(error.to_string(), "server answered 503 Service Unavailable");
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_an_error_and_no_call() {
    let client = client(retries());
    for url in ["canary", "http://", "file:///canary"] {
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!(error.to_string(), "cannot build the request", "{url}");
    }
    assert_eq!(client.policy().snapshot().calls, 0);
    // reqwest finds these only when it sends.
    let error = client.execute(reqwest::Request::new(Method::GET, "ftp://a/".parse().unwrap())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot build the request");
    assert_eq!(client.policy().snapshot().outcomes.permanent, 1);
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_the_policy_end_with_the_headers_of_the_response() {
    let settings = || retries().attempt_timeout(Duration::from_secs(1));
    let slow = Answer::new(200).after(Duration::from_secs(5));
    let server = Server::scripted([slow.clone()], Answer::new(200)).await;
    assert_eq!(client(settings()).get(&server.url).send().await.unwrap().status(), 200);
    assert_eq!(server.requests(), 2, "a GET is sent again");
    let server = Server::always(slow).await;
    let error = client(settings()).post(&server.url).send().await.unwrap_err();
    assert!(matches!(error, Error::Rejected(Rejected::TimedOut { .. })), "{error:?}");
    assert_eq!(server.requests(), 1, "a POST may have been carried out");
    let guard = Guard::from_settings("client.direct", settings()).unwrap().follows_no_redirects();
    Client::guarded(reqwest::Client::new(), guard).post(&server.url).send().await.unwrap_err();
    assert_eq!(server.requests(), 2, "and was no matter of connecting");
    let late_body = Raw::late(Duration::from_secs(60)).await;
    let response = client(settings().timeout(Duration::from_secs(4))).get(&late_body.url).send().await.unwrap();
    let start = Instant::now();
    assert_eq!(response.text().await.unwrap(), "ok");
    assert!(ms_since(start) >= 59_000);
}

// ---- hosts

fn two_of<T: Clone>(one: T) -> (T, T) {
    (one.clone(), one)
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_holds_back_all_calls_to_that_host_and_none_to_others() {
    let busy = Server::scripted([Answer::new(429).header("retry-after", "20")], Answer::new(200)).await;
    let other = Server::always(Answer::new(200)).await;
    let settings = Settings::new().rate(Rate::per_second(100).burst(10)).timeout(Duration::from_secs(120));
    let client = client(settings);
    let start = Instant::now();
    assert_eq!(client.post(&busy.url).send().await.unwrap().status(), 429, "a POST is heard, too");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (client, url) = (client.clone(), busy.url.clone());
        calls.spawn(async move { client.get(url).send().await.unwrap().status().as_u16() });
    }
    for _ in 0..5 {
        client.get(&other.url).send().await.unwrap();
    }
    assert!(ms_since(start) < 10, "another host is not held back");
    assert_eq!(busy.requests(), 1);
    assert_eq!(calls.join_all().await, [200; 3]);
    assert!((20_000..20_100).contains(&ms_since(start)), "{}", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_that_has_nothing_left_holds_back_the_next_call_to_that_host() {
    let last = Answer::new(200).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "30");
    let server = Server::scripted([last], Answer::new(200)).await;
    let client = client(Settings::new().rate(Rate::per_second(100)).timeout(Duration::from_secs(120)));
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(client.get(&server.url).send().await.unwrap().status(), 200);
    }
    assert!((30_000..30_020).contains(&ms_since(start)), "{}", ms_since(start));
}

#[tokio::test(start_paused = true)]
async fn the_statuses_of_the_policy_decide_which_answers_are_repeated() {
    let policy = |statuses| retries().retries(Retry::new(1).base(Duration::from_millis(1)).statuses(statuses));
    let requests = async |status, statuses| {
        let server = Server::always(Answer::new(status)).await;
        assert_eq!(client(policy(statuses)).get(&server.url).send().await.unwrap().status(), status);
        server.requests()
    };
    assert_eq!(requests(503, Statuses::NONE).await, 1);
    assert_eq!(requests(202, Statuses::NONE.with(202)).await, 2, "a success elsewhere");
    assert_eq!(requests(404, Statuses::NONE.with(404)).await, 2);
    assert_eq!(requests(404, Statuses::RETRIED).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_for_the_dead_host_alone_and_counts_what_is_not_repeated() {
    let (dead, well) = (Server::always(Answer::new(503)).await, Server::always(Answer::new(200)).await);
    let client = Client::new(reqwest::Client::new());
    for _ in 0..5 {
        assert_eq!(client.post(&dead.url).send().await.unwrap().status(), 503);
    }
    let error = client.post(&dead.url).send().await.unwrap_err();
    assert!(matches!(error.rejected(), Some(Rejected::CircuitOpen { .. })), "{error:?}");
    assert_eq!(error.to_string().split(':').next(), Some("circuit of policy `reqwest` is open"));
    assert_eq!(dead.requests(), 5);
    assert_eq!(client.get(&well.url).send().await.unwrap().status(), 200);
    tokio::time::advance(Duration::from_secs(70)).await;
    assert_eq!(client.post(&dead.url).send().await.unwrap().status(), 503, "a probe");
}

#[tokio::test(start_paused = true)]
async fn the_retries_of_one_call_stop_when_they_open_the_breaker() {
    let dead = Server::always(Answer::new(503)).await;
    let client = client(retries().breaker(Breaker::consecutive(3)));
    assert_eq!(client.get(&dead.url).send().await.unwrap().status(), 503);
    assert_eq!(dead.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_host_has_the_rate_for_itself_or_all_have_it_together() {
    let (one, two) = two_of(Answer::new(200));
    let (one, two) = (Server::always(one).await, Server::always(two).await);
    let settings = Settings::new().rate(Rate::per_second(1));
    let policy = Arc::new(Policy::builder("client.rate").settings(settings).build().unwrap());
    for (guard, seconds) in [(Guard::per_host(policy.clone()), 4), (Guard::shared(policy.clone()), 9)] {
        let client = Client::guarded(reqwest::Client::new(), guard);
        let start = Instant::now();
        for _ in 0..5 {
            client.get(&one.url).send().await.unwrap();
            client.get(&two.url).send().await.unwrap();
        }
        let took = ms_since(start);
        assert!((seconds * 1000..seconds * 1000 + 10).contains(&took), "{took}");
    }
    assert_eq!(policy.snapshot().calls, 20, "one policy counts for both");
}

#[tokio::test(start_paused = true)]
async fn a_static_policy_is_shared_with_guarded_functions() {
    apiguard::policy! {
        static SHARED = (rate = "1/s", name = "client.shared");
    }
    #[apiguard::guarded(policy = SHARED)]
    async fn guarded() -> Result<(), apiguard::Error<std::io::Error>> {
        Ok(())
    }
    let server = Server::always(Answer::new(200)).await;
    let client = Client::guarded(reqwest::Client::new(), Guard::shared(&SHARED));
    let start = Instant::now();
    client.get(&server.url).send().await.unwrap();
    guarded().await.unwrap();
    client.get(&server.url).send().await.unwrap();
    assert!((2_000..2_010).contains(&ms_since(start)));
}

/// A resolver that knows a hundred thousand names: all are the same server.
struct AllNames(std::net::SocketAddr);

impl reqwest::dns::Resolve for AllNames {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let addresses: reqwest::dns::Addrs = Box::new(std::iter::once(self.0));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn flooded(settings: Settings, server: &Server) -> Client {
    let address = server.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let inner = reqwest::Client::builder().dns_resolver(Arc::new(AllNames(address))).pool_max_idle_per_host(0);
    Client::guarded(inner.build().unwrap(), Guard::from_settings("client.flood", settings).unwrap())
}

#[tokio::test]
async fn two_thousand_hosts_that_are_well_leave_nothing_behind() {
    let server = Server::always(Answer::new(200)).await;
    let client = flooded(retries().breaker(Breaker::consecutive(5)), &server);
    for host in 0..2_000 {
        assert_eq!(client.get(format!("http://host-{host}.example/")).send().await.unwrap().status(), 200);
    }
    assert_eq!(client.policy().snapshot().keys, 0);
}

#[tokio::test(start_paused = true)]
async fn hosts_with_a_rate_are_dropped_once_they_are_idle() {
    let server = Server::always(Answer::new(200)).await;
    let client = flooded(Settings::new().rate(Rate::per_second(10)), &server);
    for host in 0..2_000 {
        client.get(format!("http://host-{host}.example/")).send().await.unwrap();
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let keys = client.policy().snapshot().keys;
    assert!(keys < 500, "{keys} keys of 2000 hosts, ten of which are active at a time");
    tokio::time::advance(Duration::from_secs(1)).await;
    client.policy().evict_idle();
    assert_eq!(client.policy().snapshot().keys, 0);
}

// ---- what a server may say

#[tokio::test(start_paused = true)]
async fn no_retry_after_value_makes_it_panic_hang_or_hammer() {
    let long = "9".repeat(100_000);
    for status in [429, 503] {
        for value in RETRY_AFTER.iter().copied().chain([long.as_bytes()]) {
            let server =
                Server::always(Answer::new(status).header("retry-after", value).header("retry-after", "x")).await;
            let start = Instant::now();
            let response = client(retries()).get(&server.url).send().await.unwrap();
            assert_eq!(response.status(), status);
            let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
            assert!(ms_since(start) <= 181_000, "{shown}: at most three pauses of a minute");
            let fast = server.most_in(Duration::from_millis(99));
            assert!(fast <= 1, "{shown}: {fast} in 99 ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_request_is_in_errors_events_debug_or_snapshots() {
    let dead = closed_port().await.replace("http://", "http://canary:canary@");
    let dead = format!("{dead}canary?token=canary#canary");
    let server = Server::always(Answer::new(503).header("x-canary", "canary").body("canary")).await;
    let (events, client) = (Events::default(), client(retries().breaker(Breaker::consecutive(20))));
    let recording = events.record();
    let mut shown = Vec::new();
    for url in [dead, format!("{}canary?token=canary", server.url)] {
        let request = client
            .put(url)
            .header("authorization", "canary")
            .header("canary", "canary")
            .body(Body::wrap(Body::from("canary")))
            .idempotent(true);
        shown.push(format!("{request:?}"));
        let outcome = request.send().await;
        shown.extend(outcome.and_then(|response| Ok(response.checked()?)).map_err(|error| print(&error)).err());
    }
    let hung = format!("{}canary", Raw::silent().await.url);
    let timeout = Duration::from_secs(1);
    shown.push(print(&client.get(&hung).timeout(timeout).send().await.unwrap_err()));
    client.policy().force_open();
    shown.push(print(&client.get(&hung).send().await.unwrap_err()));
    drop(recording);
    shown.push(format!("{client:?} {:?} {:#}", client.policy().snapshot(), client.policy().snapshot()));
    shown.push(events.all());
    assert_eq!(shown.len(), 8);
    for text in &shown {
        assert!(!text.is_empty() && !text.contains("canary"), "{text}");
    }
    assert!(events.count("retry") > 0 && events.count("not replayable") > 0 && events.count("rejected") > 0);
}

fn print(error: &dyn std::error::Error) -> String {
    let mut shown = format!("{error} {error:?}");
    if let Some(source) = error.source() {
        shown += &print(source);
    }
    shown
}

// ---- cancelling

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_gives_its_place_back() {
    let server = Server::always(Answer::new(200).after(Duration::from_secs(60))).await;
    let client = client(Settings::new().concurrency(Concurrency::new(1)));
    for _ in 0..10 {
        let sent = tokio::time::timeout(Duration::from_secs(1), client.get(&server.url).send()).await;
        assert!(sent.is_err());
    }
    let snapshot = client.policy().snapshot();
    assert_eq!((snapshot.outcomes.abandoned, server.requests()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_during_the_pause_before_a_retry() {
    let server = Server::scripted([Answer::new(503)], Answer::new(200)).await;
    let settings = Settings::new().concurrency(Concurrency::new(1).max_wait(Duration::ZERO));
    let client = client(settings.retries(Retry::new(1).base(Duration::from_secs(50))));
    let retried = tokio::spawn({
        let (client, url) = (client.clone(), server.url.clone());
        async move { client.get(url).send().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.requests(), 1);
    assert_eq!(client.get(&server.url).send().await.unwrap().status(), 200);
    assert_eq!(retried.await.unwrap().unwrap().status(), 200);
}

#[test]
fn what_is_sent_can_be_spawned_and_the_client_shared() {
    fn spawnable<T: Send + 'static>(_: T) {}
    fn shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let client = Client::default();
    shareable(&client);
    spawnable(client.get("http://localhost/").send());
    let shared = Arc::new(Mutex::new(HashMap::<u32, Response>::new()));
    spawnable(async move {
        let request = reqwest::Request::new(Method::GET, "http://localhost/".parse().unwrap());
        if let Ok(response) = client.execute(request).await {
            shared.lock().unwrap().insert(1, response);
        }
    });
}

/// What a request is, as its server sees it.
async fn echo(request: axum::extract::Request) -> String {
    let header = request.headers().get("x-order").map(|value| value.to_str().unwrap());
    format!("{} {}", request.method(), header.unwrap_or("-"))
}

#[tokio::test]
async fn each_method_and_header_is_sent_as_it_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(echo)).await });
    let client = Client::from(reqwest::Client::new());
    let requests = [
        (client.get(&url), "GET"),
        (client.post(&url), "POST"),
        (client.put(&url), "PUT"),
        (client.patch(&url), "PATCH"),
        (client.delete(&url), "DELETE"),
    ];
    for (request, method) in requests {
        let headers = [(http::HeaderName::from_static("x-order"), http::HeaderValue::from_static("7"))];
        let response = request.headers(headers.into_iter().collect()).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), format!("{method} 7"));
    }
    let head = client.head(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
}
