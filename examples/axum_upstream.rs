//! A service that lives off another one which has a bad day: what its own clients see of it.
//!
//! ```text
//! cargo run --example axum_upstream
//!
//! clients --> this service: at most 8 at a time, 5 a second from each client --> the upstream: one guarded function
//! ```
//!
//! Everything runs in this process, on loopback, and ends by itself after some seconds.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use apiguard::tower::GuardLayer;
use apiguard::{guarded, http::ResponseExt};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

// ---- what an application writes

#[derive(Clone)]
struct App {
    client: reqwest::Client,
    upstream: String,
}

/// The upstream allows 50 requests a second. Three failures in a row, and it is left alone for two seconds.
#[guarded(
    rate("50/s", burst = 10, max_wait = "100ms"),
    retries(1, base = "50ms"),
    breaker(3, recovery = "2s"),
    timeout = "1s"
)]
async fn price(app: &App, item: &str) -> Result<String, apiguard::reqwest::Error> {
    Ok(app.client.get(format!("{}/{item}", app.upstream)).send().await?.checked()?.text().await?)
}

async fn shop(State(app): State<App>) -> Result<String, Failed> {
    Ok(format!("tea costs {}", price(&app, "tea").await?))
}

/// A rejection says its status and `Retry-After`; whatever else fails is a bad gateway.
struct Failed(apiguard::reqwest::Error);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        self.0.rejected().map_or_else(|| StatusCode::BAD_GATEWAY.into_response(), Response::from)
    }
}

impl From<apiguard::reqwest::Error> for Failed {
    fn from(error: apiguard::reqwest::Error) -> Failed {
        Failed(error)
    }
}

apiguard::policy! {
    /// What this service can do at a time.
    static CAPACITY = (concurrency(8, max_wait = "0s"), name = "capacity");
    /// What each client may ask for.
    static PER_CLIENT = (rate("5/s", burst = 20, max_wait = "0s"), name = "per client");
}

fn client_of(request: &Request) -> Option<HeaderValue> {
    request.headers().get("x-client").cloned()
}

fn service(app: App) -> Router {
    Router::new()
        .route("/", get(shop))
        .with_state(app)
        .layer(GuardLayer::server(&CAPACITY))
        .layer(GuardLayer::server(&PER_CLIENT).keyed_by(client_of))
}

// ---- the story

/// Whether the upstream is down.
static IS_DOWN: AtomicBool = AtomicBool::new(false);

async fn upstream() -> Result<&'static str, StatusCode> {
    tokio::time::sleep(Duration::from_millis(150)).await;
    if IS_DOWN.load(Relaxed) { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok("3 coins") }
}

async fn serve(router: Router) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// So many requests of a client at once; the answers, counted.
async fn rush(client: &reqwest::Client, url: &str, name: &'static str, requests: usize) -> String {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..requests {
        let request = client.get(url).header("x-client", name).send();
        calls.spawn(async move {
            match request.await {
                Ok(response) => match response.headers().get("retry-after").and_then(|value| value.to_str().ok()) {
                    Some(seconds) => format!("{}, Retry-After: {seconds}", response.status()),
                    None => response.status().to_string(),
                },
                Err(_) => "no answer".to_owned(),
            }
        });
    }
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    for answer in calls.join_all().await {
        *answers.entry(answer).or_default() += 1;
    }
    let answers: Vec<_> = answers.into_iter().map(|(answer, times)| format!("{times} x {answer}")).collect();
    answers.join("; ")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let upstream = serve(Router::new().fallback(upstream)).await?;
    let url = serve(service(App { client: client.clone(), upstream })).await?;
    let mut out = io::stdout();
    for (title, is_down, name, requests, then) in [
        ("all is well, four requests at once", false, "alice", 4, 0),
        ("the upstream is down: tried, and tried again", true, "bob", 1, 0),
        ("still down: the breaker opens, nobody waits any more", true, "carol", 4, 0),
        ("and the upstream is not asked at all", true, "carol", 4, 2_300),
        ("it is back: a probe finds out", false, "dave", 1, 0),
        ("and another one", false, "dave", 1, 0),
        ("more at once than there is room for", false, "erin", 20, 500),
        ("one client asks for more than its share", false, "erin", 6, 0),
        ("which is no business of the others", false, "frank", 2, 0),
    ] {
        IS_DOWN.store(is_down, Relaxed);
        writeln!(out, "{title}\n    {}", rush(&client, &url, name, requests).await)?;
        tokio::time::sleep(Duration::from_millis(then)).await;
    }
    for policy in apiguard::registry().iter() {
        writeln!(out, "{}", policy.snapshot())?;
    }
    Ok(())
}
