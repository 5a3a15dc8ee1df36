//! S02: secrets are planted wherever a call has room for one, calls fail in every way there is, and everything that apiguard shows of
//! it is searched: events, metrics, snapshots, errors.
//!
//! What is the user's own is shown as it is: the error in `Error::Call` in its `Debug`. A test says so.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

use std::fmt::{Debug, Display, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::metrics::{publish, publish_policy, time_attempts};
use apiguard::reqwest::Guard;
use apiguard::{Breaker, Error, Events, Policy, Rate, Rejected, Retry, Settings, guarded, observe, registry};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, Uri};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio::time::{advance, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const SECRET: &str = "c4n4ry";

/// A secret that says where it was planted.
fn secret(place: &str) -> String {
    format!("{SECRET}-{place}")
}

/// Everything that was shown, and whether a secret is in it.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// An error of apiguard's with all that it leads to.
    fn error(&self, error: &(dyn std::error::Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.both(error);
            next = error.source();
        }
    }

    fn both(&self, value: &(impl Debug + Display + ?Sized)) {
        self.add(format!("{value} {value:#} {value:?} {value:#?}"));
    }

    fn events(&self, events: &mut Events) {
        while let Some(event) = events.try_recv() {
            self.both(&event);
        }
    }

    fn policies(&self, recorder: &PrometheusRecorder, more: &[&Policy]) {
        publish();
        for policy in registry().iter().map(|policy| policy as &Policy).chain(more.iter().copied()) {
            publish_policy(policy);
            self.both(&policy.snapshot());
            self.add(format!("{policy:?} {:?}", policy.settings()));
        }
        self.add(recorder.handle().render());
    }

    fn contains(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|shown| shown.contains(text))
    }

    fn leaks(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|shown| shown.to_lowercase().contains(SECRET)).cloned().collect()
    }
}

/// Records every event and span of apiguard, with all their fields.
impl<S: tracing::Subscriber> Layer<S> for Shown {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.record(event.metadata(), |line| event.record(line));
    }

    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.record(span.metadata(), |line| span.record(line));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        if line.0.contains("apiguard") {
            self.add(line.0);
        }
    }
}

impl Shown {
    fn record(&self, metadata: &tracing::Metadata<'_>, fields: impl FnOnce(&mut Line)) {
        if metadata.target().starts_with("apiguard") || metadata.target().starts_with("guard") {
            let mut line = Line(format!("{} {} ", metadata.level(), metadata.name()));
            fields(&mut line);
            self.add(line.0);
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

/// A server that does what the path says and has secrets in all of its answers; and everything that it was sent.
async fn server() -> (String, Arc<Mutex<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let received = Arc::new(Mutex::new(String::new()));
    let log = received.clone();
    let app = axum::Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        writeln!(log.lock().unwrap(), "{uri} {headers:?} {body:?}").unwrap();
        answer(uri.path()).await
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (host, received)
}

async fn answer(path: &str) -> Response<Body> {
    let answer = Response::builder()
        .header("set-cookie", secret("set-cookie"))
        .header("x-request-id", secret("response-header"))
        .header("x-ratelimit-limit", secret("limit"))
        .header("ratelimit-policy", format!("\"{}\";q=1;w=1", secret("ratelimit-policy")));
    let body = || Body::from(format!("{{\"id\": \"{}\"}}", secret("response-body")));
    match path.split('/').nth(1).unwrap() {
        "good" => answer.body(body()),
        "exhausted" => answer.header("x-ratelimit-remaining", "0").header("x-ratelimit-reset-after", "1").body(body()),
        "throttled" => answer.status(429).header("retry-after", "1").body(body()),
        "hostile" => answer
            .status(429)
            .header("retry-after", secret("retry-after"))
            .header("x-ratelimit-remaining", secret("remaining"))
            .header("x-ratelimit-reset", secret("reset"))
            .header("ratelimit", format!("\"{}\";r=0;t=1", secret("ratelimit")))
            .body(body()),
        "down" => answer.status(503).body(body()),
        "missing" => answer.status(404).body(body()),
        "elsewhere" => answer.status(302).header("location", format!("{path}?{}", secret("location"))).body(body()),
        "garbled" => answer.body(Body::from(secret("no-json"))),
        "hangs" => std::future::pending().await,
        other => panic!("{other}"),
    }
    .unwrap()
}

/// What a call is given: all of it secret.
struct Order {
    url: String,
    key: String,
}

impl Order {
    fn new(host: &str, what: &str) -> Order {
        let (user, password) = (secret("user"), secret("password"));
        let (path, query, fragment) = (secret("path"), secret("query"), secret("fragment"));
        Order {
            url: format!("http://{user}:{password}@{host}/{what}/{path}?token={query}#{fragment}"),
            key: secret("key"),
        }
    }

    fn request(&self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        client
            .post(&self.url)
            .header("authorization", format!("Bearer {}", secret("authorization")))
            .header("cookie", format!("session={}", secret("cookie")))
            .header("x-api-key", secret("request-header"))
            .body(secret("request-body"))
    }
}

#[derive(serde::Deserialize)]
struct Answered {
    #[allow(dead_code)]
    id: String,
}

#[guarded(
    name = "canaries.attribute",
    rate("2/s", burst = 1, max_wait = "2s"),
    retries(1, jitter = "none", cap = "5s"),
    breaker(3, recovery = "10s", successes = 1),
    attempt_timeout = "2s",
    timeout = "20s",
    key = &order.key,
    cost = u32::from(!order.key.is_empty())
)]
async fn by_attribute(client: &reqwest::Client, order: &Order) -> Result<Answered, apiguard::reqwest::Error> {
    let response = order.request(client).send().await?;
    observe(&response);
    Ok(response.checked()?.json().await?)
}

#[guarded(
    name = "canaries.shadow",
    rate = "1/h",
    retries(1, jitter = "none"),
    breaker = 1,
    shadow = true,
    fallback = gave_up
)]
async fn in_shadow(client: &reqwest::Client, order: &Order) -> Result<Answered, apiguard::reqwest::Error> {
    Ok(order.request(client).send().await?.checked()?.json().await?)
}

async fn gave_up(
    _: &reqwest::Client,
    _: &Order,
    error: apiguard::reqwest::Error,
) -> Result<Answered, apiguard::reqwest::Error> {
    Err(error)
}

/// An error of the user's with secrets in its text, its fields and its source.
#[derive(Debug, thiserror::Error)]
#[error("cannot charge {card}")]
struct CardError {
    card: String,
    source: std::io::Error,
}

impl CardError {
    fn new() -> CardError {
        let source = std::io::Error::new(std::io::ErrorKind::ConnectionReset, secret("source"));
        CardError { card: secret("error"), source }
    }
}

fn watching() -> (Shown, tracing::subscriber::DefaultGuard) {
    let shown = Shown::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(shown.clone()));
    (shown, guard)
}

/// Calls with errors of the user's own, until there is no budget and the breaker opens; a panic. Gives their policy.
async fn own_errors(shown: &Shown) -> Arc<Policy> {
    let settings = Settings::new()
        .rate(Rate::per_second(10).max_wait(Duration::ZERO).burst(100))
        .retries(Retry::new(1))
        .breaker(Breaker::consecutive(50))
        .timeout(Duration::from_secs(60));
    let policy = Arc::new(Policy::builder("canaries.own").settings(settings).build().unwrap());
    let mut rejected = 0;
    for _ in 0..60 {
        let failed = policy.call_keyed(&secret("key"), async || Err::<(), _>(CardError::new())).await.unwrap_err();
        // The first level is apiguard's; what it holds is the user's.
        shown.add(failed.to_string());
        if let Error::Rejected(error) = &failed {
            shown.error(error);
            rejected += 1;
        }
        advance(Duration::from_millis(200)).await;
    }
    assert!(rejected > 0);
    let boxed = policy.call_with(|_| apiguard::Verdict::Permanent, async || Err::<(), _>(secret("text"))).await;
    shown.add(boxed.unwrap_err().to_string());
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let panics = policy.clone();
    let panicked = tokio::spawn(async move {
        let _ = panics.call(async || -> Result<(), CardError> { panic!("{}", secret("panic")) }).await;
    });
    assert!(panicked.await.unwrap_err().is_panic());
    std::panic::set_hook(quiet);
    policy
}

#[tokio::test(start_paused = true)]
async fn s02_no_secret_of_a_request_a_response_a_key_or_an_error_is_shown() {
    let (shown, _traced) = watching();
    let recorder = PrometheusBuilder::new().build_recorder();
    let _measured = metrics::set_default_local_recorder(&recorder);
    publish();
    time_attempts(true);
    let mut events = registry().subscribe();
    let (host, received) = server().await;
    let client = reqwest::Client::new();
    let guarded = apiguard::reqwest::Client::guarded(client.clone(), Guard::per_host(&CLIENT));

    let kinds = [
        "good",
        "exhausted",
        "throttled",
        "hostile",
        "missing",
        "elsewhere",
        "garbled",
        "hangs",
        "down",
        "down",
        "down",
    ];
    for kind in kinds {
        let order = Order::new(&host, kind);
        for _ in 0..2 {
            match by_attribute(&client, &order).await {
                Ok(_) => assert!(["good", "exhausted"].contains(&kind), "{kind}"),
                Err(error) => shown.error(&error),
            }
            let request = guarded.guard(order.request(&client)).idempotent(true);
            if let Err(error) = request.send().await.and_then(|response| Ok(response.checked()?)) {
                shown.error(&error);
            }
            shown.add(format!("{guarded:?}"));
            // A policy in shadow ends nothing: its caller does.
            if let Ok(Err(error)) = timeout(Duration::from_secs(9), in_shadow(&client, &order)).await {
                shown.error(&error);
            }
        }
        advance(Duration::from_secs(3)).await;
        shown.events(&mut events);
    }
    // Nobody listens there.
    let refused = Order::new("127.0.0.1:1", "good");
    shown.error(&in_shadow(&client, &refused).await.err().unwrap());
    let unparsable = Order { url: format!("http://{}:x", secret("host")), key: secret("key") };
    shown.error(&in_shadow(&client, &unparsable).await.err().unwrap());
    let sent = received.lock().unwrap().clone();
    for place in ["path", "query", "authorization", "cookie", "request-header", "request-body"] {
        assert!(sent.contains(&secret(place)), "{place} was sent");
    }

    let policy = own_errors(&shown).await;
    let costly: Rejected = too_costly(2).await.unwrap_err().rejected().unwrap().clone();
    shown.error(&costly);
    shown.events(&mut events);
    assert_eq!(events.missed(), 0);
    shown.policies(&recorder, &[&policy]);

    assert_eq!(shown.leaks(), [""; 0]);
    // All that there is to see was there.
    for expected in [
        "message=retry",
        "message=paused",
        "message=rejected",
        "message=breaker",
        "message=waited",
        "message=over budget",
        "canaries.attribute: ",
        "canaries.client: ",
        "canaries.shadow: (shadow) ",
        "cannot build the request",
        "server answered 404",
        "timed out by policy",
        "circuit of policy",
        "rate limited",
        "is above the burst",
        "call failed after 2 attempts",
        "apiguard_pause_seconds",
        "apiguard_attempt_duration_seconds",
        "apiguard_keys",
    ] {
        assert!(shown.contains(expected), "`{expected}` was not shown");
    }
}

apiguard::policy! {
    static CLIENT = (retries(1, jitter = "none"), breaker = 5, attempt_timeout = "2s", name = "canaries.client");
}

#[guarded(name = "canaries.cost", rate("1/s", burst = 1), cost = tokens)]
async fn too_costly(tokens: u32) -> Result<(), Error<CardError>> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_the_users_is_shown_by_debug_and_by_the_source_and_not_by_display() {
    let policy = Policy::builder("canaries.debug").build().unwrap();
    let failed = policy.call(async || Err::<(), _>(CardError::new())).await.unwrap_err();
    assert_eq!(failed.to_string(), "call failed after 1 attempt");
    assert!(format!("{failed:?}").contains(&secret("error")));
    assert_eq!(std::error::Error::source(&failed).unwrap().to_string(), format!("cannot charge {}", secret("error")));
}

/// The search finds what it is for.
#[test]
fn a_secret_that_is_shown_is_found() {
    let (shown, _traced) = watching();
    tracing::trace!(target: "apiguard", field = secret("field"), "event");
    drop(tracing::trace_span!(target: "apiguard", "span", field = ?secret("field")));
    tracing::trace!(target: "other", field = secret("field"), "event");
    shown.add("C4N4RY");
    shown.add("none");
    assert_eq!(shown.leaks().len(), 3);
}
