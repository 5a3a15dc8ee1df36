//! A real HTTP server on loopback that answers as it is told and remembers what it was sent.
//!
//! It runs on the runtime of the test, so that paused time works: nothing moves while a byte is on its way.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::missing_panics_doc)] // each test uses a part of it

pub mod events;
pub mod hostile;
pub mod policies;
pub mod raw;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::time::Instant;

/// One answer.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, Vec<u8>)>,
    delay: Option<Duration>,
    body: &'static str,
}

impl Answer {
    pub fn new(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), delay: None, body: "{}" }
    }

    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Answer {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    pub fn body(mut self, body: &'static str) -> Answer {
        self.body = body;
        self
    }

    /// Answers only after this time.
    pub fn after(mut self, delay: Duration) -> Answer {
        self.delay = Some(delay);
        self
    }
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    otherwise: Answer,
    arrivals: Mutex<Vec<Instant>>,
    /// How many requests are being answered, and the most there were.
    answering: Mutex<(usize, usize)>,
}

impl Server {
    /// A server that always answers the same.
    pub async fn always(answer: Answer) -> Server {
        Server::scripted([], answer).await
    }

    /// A server that gives these answers in turn, and `otherwise` after them.
    pub async fn scripted(script: impl IntoIterator<Item = Answer>, otherwise: Answer) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into_iter().collect()),
            otherwise,
            arrivals: Mutex::new(Vec::new()),
            answering: Mutex::default(),
        });
        let state = shared.clone();
        let app = axum::Router::new().fallback(move |_: Request<Body>| respond(state.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { url, shared }
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.shared.arrivals.lock().unwrap().len()
    }

    /// When each request arrived.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    /// The most requests that were being answered at a time; one whose caller left is answered, too.
    pub fn most_at_a_time(&self) -> usize {
        self.shared.answering.lock().unwrap().1
    }

    /// The most requests that arrived in any window of this length.
    pub fn most_in(&self, window: Duration) -> usize {
        let arrivals = self.arrivals();
        (0..arrivals.len())
            .map(|first| arrivals[first..].iter().take_while(|arrival| **arrival - arrivals[first] < window).count())
            .max()
            .unwrap_or(0)
    }
}

async fn respond(shared: Arc<Shared>) -> Response<Body> {
    shared.arrivals.lock().unwrap().push(Instant::now());
    let _answering = Answering::begin(&shared);
    let next = shared.script.lock().unwrap().pop_front();
    let answer = next.unwrap_or_else(|| shared.otherwise.clone());
    if let Some(delay) = answer.delay {
        tokio::time::sleep(delay).await;
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    for (name, value) in answer.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap());
    }
    response
}

struct Answering<'a>(&'a Shared);

impl Answering<'_> {
    fn begin(shared: &Shared) -> Answering<'_> {
        let mut answering = shared.answering.lock().unwrap();
        answering.0 += 1;
        answering.1 = answering.1.max(answering.0);
        Answering(shared)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answering.lock().unwrap().0 -= 1;
    }
}

/// Milliseconds since an instant.
pub fn ms_since(start: Instant) -> u128 {
    start.elapsed().as_millis()
}
