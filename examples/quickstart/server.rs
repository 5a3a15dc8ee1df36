//! A real HTTP server on loopback that has a bad day by a plan, and counts what it was sent.
//!
//! ```text
//! Well { per_second }   200, up to so many in any second; above that 429 with `Retry-After: 1`
//! Down                  503
//! Hangs                 takes the request and never answers
//! ```
//!
//! It keeps the instant of every request, so what it says of the traffic is exact and does not rely on what the client
//! believes to have sent.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It works, and enforces its limit.
    Well { per_second: usize },
    /// It answers 503.
    Down,
    /// It does not answer.
    Hangs,
}

/// What the server was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// All requests.
    pub(crate) requests: usize,
    /// Answered 200.
    pub(crate) served: usize,
    /// Answered 429.
    pub(crate) throttled: usize,
    /// Answered 503.
    pub(crate) unavailable: usize,
    /// Not answered.
    pub(crate) hung: usize,
    /// The most requests in any one second, whatever the answer.
    pub(crate) most_in_a_second: usize,
}

/// The server. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    day: Arc<Day>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts on a free port of loopback. The plan is a list of moods and how long each lasts, from `begin` on; the last
    /// one stays.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub(crate) async fn start(begin: Instant, plan: Vec<(Duration, Mood)>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let day = Arc::new(Day { begin, plan, log: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&day));
        let task = tokio::spawn(async move {
            // Ends only with the task: `serve` handles its own accept errors.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Server { address, day, task })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What it was sent so far.
    pub(crate) fn seen(&self) -> Seen {
        let log = self.day.log.lock().unwrap_or_else(PoisonError::into_inner);
        Seen { requests: log.arrivals.len(), most_in_a_second: most_within(&log.arrivals, SECOND), ..log.seen }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Day {
    begin: Instant,
    plan: Vec<(Duration, Mood)>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    arrivals: Vec<Instant>,
    /// When the requests of the last second were served: what the limit counts.
    window: VecDeque<Instant>,
    seen: Seen,
}

impl Day {
    fn mood(&self, now: Instant) -> Mood {
        let mut end = self.begin;
        for &(lasts, mood) in &self.plan {
            end += lasts;
            if now < end {
                return mood;
            }
        }
        self.plan.last().map_or(Mood::Down, |&(_, mood)| mood)
    }

    /// Writes a request down and decides on its answer; `None` is no answer at all.
    fn decide(&self) -> Option<StatusCode> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the log is in order.
        let now = Instant::now();
        log.arrivals.push(now);
        match self.mood(now) {
            Mood::Well { per_second } => {
                while log.window.front().is_some_and(|&first| now - first >= SECOND) {
                    log.window.pop_front();
                }
                if log.window.len() >= per_second {
                    log.seen.throttled += 1;
                    return Some(StatusCode::TOO_MANY_REQUESTS);
                }
                log.window.push_back(now);
                log.seen.served += 1;
                Some(StatusCode::OK)
            }
            Mood::Down => {
                log.seen.unavailable += 1;
                Some(StatusCode::SERVICE_UNAVAILABLE)
            }
            Mood::Hangs => {
                log.seen.hung += 1;
                None
            }
        }
    }
}

async fn answer(State(day): State<Arc<Day>>) -> Response {
    match day.decide() {
        Some(StatusCode::OK) => "well\n".into_response(),
        Some(status @ StatusCode::TOO_MANY_REQUESTS) => (status, [(header::RETRY_AFTER, "1")]).into_response(),
        Some(status) => status.into_response(),
        // Until the client hangs up.
        None => std::future::pending().await,
    }
}

/// The most instants within any window of this length; they are in order.
fn most_within(instants: &[Instant], window: Duration) -> usize {
    let mut first = 0;
    let counts = instants.iter().enumerate().map(|(last, &instant)| {
        while instant - instants[first] >= window {
            first += 1;
        }
        last + 1 - first
    });
    counts.max().unwrap_or(0)
}
