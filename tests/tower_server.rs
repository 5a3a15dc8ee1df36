//! The layer around an axum server, seen by a real client.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use apiguard::tower::GuardLayer;
use apiguard::{Breaker, BreakerState, Concurrency, Error, Policy, Rate, Rejected, Retry, Settings, guarded};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[allow(clippy::large_types_passed_by_value)] // once for each test
fn policy(settings: Settings) -> Arc<Policy> {
    Arc::new(Policy::builder("secret name").settings(settings).build().unwrap())
}

fn at_once(rate: Rate) -> Settings {
    Settings::new().rate(rate.max_wait(Duration::ZERO))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

async fn status(client: &reqwest::Client, url: String) -> u16 {
    client.get(url).send().await.unwrap().status().as_u16()
}

fn retry_after(response: &reqwest::Response) -> Option<&str> {
    response.headers().get("retry-after").map(|value| value.to_str().unwrap())
}

/// As [`status`], with the value of a header.
async fn as_tenant(client: &reqwest::Client, url: &str, tenant: &str) -> u16 {
    client.get(url).header("x-tenant", tenant).send().await.unwrap().status().as_u16()
}

apiguard::policy! {
    static DOOR = (rate("1/m", burst = 2, max_wait = "0s"), name = "door");
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_often_is_answered_429_with_the_time_to_come_back() {
    let url = serve(Router::new().route("/", get(async || "well")).layer(GuardLayer::server(&DOOR))).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "well");
    }
    tokio::time::advance(Duration::from_millis(500)).await;
    let response = client.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), retry_after(&response)), (429, Some("60")), "59.5 s, rounded up");
    assert!(!format!("{response:?}").contains("door"));
    assert_eq!(response.text().await.unwrap(), "");
    // Who comes back when told to is served.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(status(&client, url).await, 200);
}

#[tokio::test(start_paused = true)]
async fn own_failures_open_the_breaker_and_mistakes_of_callers_do_not() {
    let policy = policy(Settings::new().breaker(Breaker::consecutive(3).recovery(Duration::from_secs(20))));
    let router = Router::new()
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(GuardLayer::server(policy.clone()));
    let url = serve(router).await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(status(&client, format!("{url}/missing")).await, 404);
    }
    assert_eq!((policy.snapshot().breaker, policy.snapshot().outcomes.permanent), (Some(BreakerState::Closed), 5));
    for _ in 0..3 {
        assert_eq!(status(&client, format!("{url}/broken")).await, 500);
    }
    let response = client.get(format!("{url}/broken")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let wait: u64 = retry_after(&response).unwrap().parse().unwrap();
    assert!((20..=22).contains(&wait), "{wait} s: the recovery and its jitter");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_tells_one_client_of_limits_does_not_hold_back_the_others() {
    let answer = async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600"), ("x-ratelimit-remaining", "0")]);
    let policy = policy(at_once(Rate::per_second(100).burst(10)));
    let router = Router::new().route("/limited", get(answer)).route("/", get(async || "well"));
    let url = serve(router.layer(GuardLayer::server(policy))).await;
    let client = client();
    assert_eq!(status(&client, format!("{url}/limited")).await, 429);
    assert_eq!(status(&client, url).await, 200);
}

#[tokio::test(start_paused = true)]
async fn every_tenant_has_a_limit_of_its_own_and_those_without_a_name_share_one() {
    fn tenant(request: &Request) -> Option<HeaderValue> {
        request.headers().get("x-tenant").cloned()
    }
    for form in [true, false] {
        let settings = at_once(Rate::per_hour(1).burst(2));
        let router = Router::new().route("/", get(async || "well"));
        let router = if form {
            let fixed: &'static Policy = Box::leak(Box::new(Policy::new("tenants", settings)));
            router.layer(GuardLayer::server(fixed).keyed_by(tenant))
        } else {
            router.layer(GuardLayer::server(policy(settings)).keyed_by(tenant))
        };
        let (url, client) = (serve(router).await, client());
        for name in ["a", "b"] {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(as_tenant(&client, &url, name).await);
            }
            assert_eq!(statuses, [200, 200, 429], "{name}");
        }
        let mut nameless = Vec::new();
        for _ in 0..3 {
            nameless.push(status(&client, url.clone()).await);
        }
        assert_eq!(nameless, [200, 200, 429]);
    }
}

/// A breaker around other guards hears of what fails, not of what they reject.
#[tokio::test(start_paused = true)]
async fn what_an_inner_guard_rejects_opens_no_outer_breaker_and_is_not_repeated() {
    let full = policy(Settings::new().concurrency(Concurrency::new(1).max_wait(Duration::ZERO)));
    let outer = policy(Settings::new().breaker(Breaker::consecutive(2)));
    let hangs = async || std::future::pending::<()>().await;
    let router = Router::new().route("/", get(hangs)).layer(GuardLayer::server(full.clone()));
    let url = serve(router.layer(GuardLayer::server(outer.clone()))).await;
    let client = client();
    let holds_the_place = tokio::spawn(client.get(&url).send());
    while full.snapshot().in_flight == Some(0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..4 {
        assert_eq!(status(&client, url.clone()).await, 503);
    }
    assert_eq!((outer.snapshot().breaker, outer.snapshot().outcomes.permanent), (Some(BreakerState::Closed), 4));
    holds_the_place.abort();
    // A client's guard in the same process as well: 503 is not repeated.
    full.force_open();
    let again = policy(Settings::new().retries(Retry::new(3)).breaker(Breaker::consecutive(1)));
    let answers = ServiceBuilder::new()
        .layer(GuardLayer::new(again.clone()).retrying())
        .layer(GuardLayer::new(full).respond())
        .service_fn(async |_: http::Request<String>| Ok::<_, Infallible>(http::Response::new(String::new())));
    let response = answers.oneshot(http::Request::new(String::new())).await.unwrap();
    assert_eq!((response.status().as_u16(), again.snapshot().retries), (503, 0));
    assert_eq!(again.snapshot().breaker, Some(BreakerState::Closed));
}

/// A server with two threads, 64 callers at once, room for 4. Real time: threads do not share a paused clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_what_it_can_do_at_a_time_a_server_sheds_load() {
    #[derive(Clone, Default)]
    struct Load(Arc<(AtomicUsize, AtomicUsize)>);

    async fn work(State(load): State<Load>) -> &'static str {
        let now = load.0.0.fetch_add(1, SeqCst) + 1;
        load.0.1.fetch_max(now, SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        load.0.0.fetch_sub(1, SeqCst);
        "done"
    }
    let load = Load::default();
    let policy = policy(Settings::new().concurrency(Concurrency::new(4).max_wait(Duration::ZERO)));
    let router = Router::new().route("/", get(work)).with_state(load.clone());
    let url = serve(router.layer(GuardLayer::server(policy.clone()))).await;
    let client = client();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (client, url) = (client.clone(), url.clone());
        callers.spawn(async move {
            let (mut served, mut shed) = (0, 0);
            for _ in 0..5 {
                let response = client.get(&url).send().await.unwrap();
                match (response.status().as_u16(), retry_after(&response)) {
                    (200, None) => served += 1,
                    (503, Some("1")) => shed += 1,
                    other => panic!("{other:?}"),
                }
            }
            (served, shed)
        });
    }
    let (mut served, mut shed) = (0, 0);
    while let Some(caller) = callers.join_next().await {
        let (more, less) = caller.unwrap();
        served += more;
        shed += less;
    }
    assert_eq!(served + shed, 320);
    assert!(served >= 4 && shed > 0, "{served} served, {shed} shed");
    assert!((1..=4).contains(&load.0.1.load(SeqCst)), "{} at a time", load.0.1.load(SeqCst));
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.rejections.saturated), (Some(0), shed));
}

/// Waiting works, too, where a server wants it.
#[tokio::test(start_paused = true)]
async fn a_server_that_lets_callers_wait_serves_them_in_its_rate() {
    let policy = policy(Settings::new().rate(Rate::per_second(10).max_wait(Duration::from_secs(1))));
    let url = serve(Router::new().route("/", get(async || "well")).layer(GuardLayer::server(policy))).await;
    let client = client();
    let start = tokio::time::Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..15 {
        let (client, url) = (client.clone(), url.clone());
        calls.spawn(async move { status(&client, url).await });
    }
    let statuses = calls.join_all().await;
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((served, statuses.iter().filter(|status| **status == 429).count()), (11, 4));
    assert!((1_000..=1_002).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_answered_504_and_one_whose_client_left_gives_its_place_back() {
    let policy = policy(
        Settings::new().concurrency(Concurrency::new(1).max_wait(Duration::ZERO)).timeout(Duration::from_secs(2)),
    );
    let called = Arc::<AtomicUsize>::default();
    let counted = called.clone();
    let hangs = move || {
        counted.fetch_add(1, Relaxed);
        std::future::pending::<()>()
    };
    let url = serve(Router::new().route("/", get(hangs)).layer(GuardLayer::server(policy.clone()))).await;
    let client = client();
    let response = client.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), retry_after(&response)), (504, None));
    tokio::time::timeout(Duration::from_secs(1), client.get(&url).send()).await.unwrap_err();
    // The server hears of it when it next looks at the connection.
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((policy.snapshot().in_flight, policy.snapshot().outcomes.abandoned), (Some(0), 1));
    assert_eq!(called.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_can_be_answered_in_own_words() {
    fn busy(rejected: &Rejected) -> Response {
        (rejected.http_status(), format!("{} says no\n", rejected.policy())).into_response()
    }
    let policy = policy(at_once(Rate::per_hour(1)));
    let layer = GuardLayer::server(policy).respond_with(busy);
    let url = serve(Router::new().route("/", get(async || "well")).layer(layer)).await;
    let client = client();
    assert_eq!(status(&client, url.clone()).await, 200);
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.text().await.unwrap(), "secret name says no\n");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_in_own_words_is_still_one_to_a_guard_around_it() {
    fn busy(rejected: &Rejected) -> Response {
        (rejected.http_status(), "no\n").into_response()
    }
    let retry = Retry::new(3).base(Duration::from_millis(10));
    let outer = policy(Settings::new().retries(retry).breaker(Breaker::consecutive(1)));
    let inner = policy(Settings::new().breaker(Breaker::consecutive(1)));
    inner.force_open();
    let service = service_fn(async |_: http::Request<()>| Ok::<_, Infallible>("well".into_response()));
    let service = GuardLayer::new(inner).respond_with(busy).layer(service);
    let service = GuardLayer::new(outer.clone()).retrying().layer(service);
    let response = service.oneshot(http::Request::new(())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!((outer.snapshot().attempts(), outer.snapshot().outcomes.permanent), (1, 1));
    assert!(response.extensions().get::<Rejected>().is_some());
}

// ---- handlers that call others under a guard

#[guarded(name = "upstream", breaker(1, recovery = "30s", recovery_jitter = "0%"))]
async fn upstream(client: &reqwest::Client, url: &str) -> Result<String, Error<reqwest::Error>> {
    client.get(url).send().await?.error_for_status()?.text().await
}

/// All that a user writes to answer with what the guard says.
struct Failed(Error<reqwest::Error>);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        self.0.into()
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_with_what_the_guard_of_its_upstream_says() {
    let broken = serve(Router::new().route("/", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "canary")))).await;
    let handler = async move || upstream(&client(), &broken).await.map_err(Failed);
    let url = serve(Router::new().route("/", get(handler))).await;
    let client = client();
    let response = client.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), retry_after(&response)), (502, None));
    assert_eq!(response.text().await.unwrap(), "", "nothing of the upstream's failure is shown");
    tokio::time::advance(Duration::from_millis(100)).await;
    let response = client.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), retry_after(&response)), (503, Some("30")));
}

/// Or without a type of one's own: a response is made from a rejection, so it can be the error of a guarded function.
#[guarded(name = "guarded.handler", concurrency(1, max_wait = "0s"))]
async fn guarded_handler() -> Result<&'static str, http::Response<Body>> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok("well")
}

#[tokio::test(start_paused = true)]
async fn a_handler_itself_can_be_guarded() {
    let url = serve(Router::new().route("/", get(guarded_handler))).await;
    let client = client();
    let (one, other) = tokio::join!(status(&client, url.clone()), status(&client, url.clone()));
    assert_eq!((one.min(other), one.max(other)), (200, 503));
}
