//! The server: answers in the order of arrival as fast as it can, has a limit of its own, and is in trouble at times.
//!
//! It serves those whose callers have left, too. When it is restarted every connection is reset, and from then on it is well:
//! whoever comes is answered soon.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::time::Duration;

use apiguard::http::{ResponseExt, StatusError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::dice::Dice;
use super::plan::{Capacity, Kind, Plan, Trouble};

/// It answers within this time when it is well.
const WELL: Duration = Duration::from_millis(20);

/// What a caller sees of an attempt that failed.
#[derive(Debug)]
pub enum Fault {
    Status(StatusError),
    Io(io::Error),
}

impl Fault {
    pub fn status(&self) -> u16 {
        match self {
            Fault::Status(error) => error.status().as_u16(),
            Fault::Io(_) => 0,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Status(error) => error.retry_after(),
            Fault::Io(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request failed")
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Fault::Status(error) => Some(error),
            Fault::Io(error) => Some(error),
        }
    }
}

pub struct Server {
    start: Instant,
    capacity: Capacity,
    troubles: Vec<Trouble>,
    dice: RefCell<Dice>,
    /// When it has answered all that it has taken.
    free_at: Cell<Instant>,
    /// The window of its limit that it is in, and what has come in it.
    window: Cell<(u64, u32)>,
    is_well: Cell<bool>,
    restart: Notify,
    pub arrived: Cell<u64>,
    /// What it has done, whether anybody heard of it or not.
    pub done: Cell<u64>,
}

impl Server {
    pub fn new(plan: &Plan, seed: u64) -> Server {
        let now = Instant::now();
        Server {
            start: now,
            capacity: plan.server,
            troubles: plan.troubles.clone(),
            dice: RefCell::new(Dice::new(seed ^ 0x5e71_e500_0000_0001)),
            free_at: Cell::new(now),
            window: Cell::new((0, 0)),
            is_well: Cell::new(false),
            restart: Notify::new(),
            arrived: Cell::new(0),
            done: Cell::new(0),
        }
    }

    pub fn restart(&self) {
        self.is_well.set(true);
        self.restart.notify_waiters();
    }

    /// A request: `Ok` with the status.
    pub async fn request(&self) -> Result<u16, Fault> {
        self.arrived.set(self.arrived.get() + 1);
        let now = Instant::now();
        let restarted = self.restart.notified();
        let answer = self.answer(now);
        if self.is_well.get() {
            return answer.await;
        }
        tokio::select! {
            biased;
            answered = answer => answered,
            () = restarted => Err(reset()),
        }
    }

    async fn answer(&self, now: Instant) -> Result<u16, Fault> {
        let Capacity { per_second, queue, latency, .. } = self.capacity;
        if self.is_well.get() {
            sleep(latency.min(WELL)).await;
            self.done.set(self.done.get() + 1);
            return Ok(200);
        }
        let trouble = self.trouble(now);
        if let Some(retry_after) = self.over_limit(now) {
            return Err(status(429, Some(retry_after)));
        }
        match trouble.map(|trouble| (trouble.kind, trouble.retry_after)) {
            Some((Kind::Unavailable, retry_after)) => return Err(status(503, retry_after)),
            Some((Kind::Throttles, retry_after)) => return Err(status(429, retry_after)),
            Some((Kind::Reset, _)) => return Err(reset()),
            Some((Kind::Hangs, _)) => return std::future::pending().await,
            _ => {}
        }
        let busy_for = self.free_at.get().saturating_duration_since(now);
        if busy_for > queue {
            return Err(status(503, None));
        }
        let done = now + busy_for + Duration::from_secs(1) / per_second;
        self.free_at.set(done);
        sleep_until(done + latency).await;
        match trouble.map(|trouble| (trouble.kind, trouble.retry_after)) {
            Some((Kind::Fails, retry_after)) => return Err(status(500, retry_after)),
            Some((Kind::Refuses, _)) => return Err(status(501, None)),
            Some((Kind::Slow, _)) => {
                let late = self.dice.borrow_mut().ms(200, 6_000);
                sleep(late).await;
            }
            _ => {}
        }
        if self.dice.borrow_mut().percent(2) {
            return Err(status(404, None));
        }
        self.done.set(self.done.get() + 1);
        match trouble {
            Some(Trouble { kind: Kind::LosesReplies, .. }) => Err(reset()),
            _ => Ok(200),
        }
    }

    /// The one that meets this request.
    fn trouble(&self, now: Instant) -> Option<Trouble> {
        let at = now - self.start;
        let mut dice = self.dice.borrow_mut();
        let is_met = |trouble: &&Trouble| (trouble.from..trouble.to).contains(&at) && dice.percent(trouble.share);
        self.troubles.iter().find(is_met).copied()
    }

    /// How long to wait, when its own limit is exceeded.
    fn over_limit(&self, now: Instant) -> Option<Duration> {
        let (count, window) = self.capacity.limit?;
        let number = ((now - self.start).as_nanos() / window.as_nanos()) as u64;
        let (before, came) = self.window.get();
        let came = if before == number { came + 1 } else { 1 };
        self.window.set((number, came));
        let next = self.start + window * (number as u32 + 1);
        (came > count).then(|| next - now)
    }
}

fn reset() -> Fault {
    Fault::Io(io::ErrorKind::ConnectionReset.into())
}

/// Whole seconds as a server sends them; others as a service says that is no HTTP.
fn status(status: u16, retry_after: Option<Duration>) -> Fault {
    let code = http::StatusCode::from_u16(status).unwrap();
    let whole = retry_after.filter(|wait| wait.subsec_nanos() == 0);
    if retry_after.is_some() && whole.is_none() {
        return Fault::Status(StatusError::new(code, retry_after));
    }
    let mut response = http::Response::builder().status(code);
    if let Some(wait) = whole {
        response = response.header("retry-after", wait.as_secs());
    }
    Fault::Status(response.body(()).unwrap().checked().unwrap_err())
}
