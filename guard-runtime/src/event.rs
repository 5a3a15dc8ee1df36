//! What happens to the calls of a policy, for those who subscribe: never more than a bounded number of events behind, and never
//! in the way of a call.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use guard_spec::InWords;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use crate::{BreakerState, PolicyName, Rejected, Verdict};

/// How many events a subscriber may be behind before it misses the oldest.
const CAPACITY: usize = 256;

/// Something that happened to a call, or to the breaker, of a policy.
///
/// It holds no URL, header value, key or error text. It displays as one line:
/// `stripe: attempt 1 was transient (503); retry in 1s200ms (retry-after)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The policy's name.
    pub policy: PolicyName,
    /// Whether it did not happen: the policy only watches (`shadow`) and says what it would have done.
    pub shadow: bool,
    /// What happened.
    pub kind: EventKind,
}

/// What happened: see [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// An attempt waited for its turn, and was let through.
    #[non_exhaustive]
    Waited {
        /// How long.
        wait: Duration,
    },
    /// An attempt failed, and the call pauses before the next one.
    #[non_exhaustive]
    Retry {
        /// The number of the attempt that failed, from 1.
        attempt: u32,
        /// How long the call pauses.
        delay: Duration,
        /// What the outcome meant: [`Transient`](Verdict::Transient) or [`Throttled`](Verdict::Throttled).
        verdict: Verdict,
        /// The HTTP status of the outcome, if it has one.
        status: Option<u16>,
        /// Whose delay it is: the name of the header that the server sent (`retry-after`, `x-ratelimit-reset`…), `server` for one
        /// that an outcome named without a header, or `backoff`.
        source: &'static str,
    },
    /// An attempt failed and was not retried, since too many of the policy's calls were: see [`Budget`](crate::Budget).
    #[non_exhaustive]
    OverBudget {
        /// The number of the attempt that failed, from 1.
        attempt: u32,
    },
    /// A request of a guarded HTTP client failed and was not retried, since its body is a stream and cannot be sent again.
    #[non_exhaustive]
    NotReplayable,
    /// A call was not let through, or given up on.
    #[non_exhaustive]
    Rejected {
        /// What the caller got.
        rejected: Rejected,
    },
    /// The server wants fewer requests: the policy's calls are held back.
    #[non_exhaustive]
    Paused {
        /// For how long.
        pause: Duration,
        /// The name of the header that said so; `server` for an outcome that said so without one, `observed` for a response shown
        /// to `observe`.
        source: &'static str,
    },
    /// The breaker changed.
    #[non_exhaustive]
    Breaker {
        /// What it was.
        from: BreakerState,
        /// What it is.
        to: BreakerState,
    },
}

impl EventKind {
    /// `waited`, `retry`, `over budget`, `not replayable`, `rejected`, `paused` or `breaker`.
    pub const fn name(&self) -> &'static str {
        match self {
            EventKind::Waited { .. } => "waited",
            EventKind::Retry { .. } => "retry",
            EventKind::OverBudget { .. } => "over budget",
            EventKind::NotReplayable => "not replayable",
            EventKind::Rejected { .. } => "rejected",
            EventKind::Paused { .. } => "paused",
            EventKind::Breaker { .. } => "breaker",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { policy, shadow, kind } = self;
        let seconds = |duration: &Duration| InWords::about(*duration);
        write!(f, "{policy}: {}", if *shadow { "(shadow) " } else { "" })?;
        match kind {
            EventKind::Waited { wait } => write!(f, "waited {} for a turn", seconds(wait)),
            EventKind::Retry { attempt, delay, verdict, status, source } => {
                write!(f, "attempt {attempt} was {}", verdict.name())?;
                if let Some(status) = status {
                    write!(f, " ({status})")?;
                }
                write!(f, "; retry in {} ({source})", seconds(delay))
            }
            EventKind::OverBudget { attempt } => {
                write!(f, "attempt {attempt} failed and is not retried: over the retry budget")
            }
            EventKind::NotReplayable => f.write_str("a request failed and is not retried: its body is a stream"),
            EventKind::Rejected { rejected } => write!(f, "{rejected}"),
            EventKind::Paused { pause, source } => write!(f, "paused for {} ({source})", seconds(pause)),
            EventKind::Breaker { from, to } => write!(f, "breaker {from} -> {to}"),
        }
    }
}

/// The events of a policy, or of all: what [`Policy::subscribe`](crate::Policy::subscribe) gives.
///
/// A call never waits for a subscriber. One that is more than 256 events behind misses the oldest; [`missed`](Events::missed) says
/// how many.
#[derive(Debug)]
#[must_use = "dropped, a subscription ends"]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    missed: u64,
}

impl Events {
    /// The next event; `None` when the policy is gone, which one in a `static` never is.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if one is there.
    pub fn try_recv(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// How many events were missed so far, since this subscriber was too far behind.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where events are sent to. Nothing is made until somebody subscribes.
pub(crate) struct Outlet {
    sender: OnceLock<broadcast::Sender<Event>>,
    #[cfg(feature = "testing")]
    pub(crate) recorders: crate::testing::Recorders,
}

impl Outlet {
    pub(crate) const fn new() -> Outlet {
        Outlet {
            sender: OnceLock::new(),
            #[cfg(feature = "testing")]
            recorders: crate::testing::Recorders::new(),
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        let sender = self.sender.get_or_init(|| broadcast::Sender::new(CAPACITY));
        Events { receiver: sender.subscribe(), missed: 0 }
    }

    /// Whether somebody listens.
    pub(crate) fn is_heard(&self) -> bool {
        #[cfg(feature = "testing")]
        if self.recorders.are_there() {
            return true;
        }
        self.sender.get().is_some_and(|sender| sender.receiver_count() > 0)
    }

    pub(crate) fn send(&self, event: Event) {
        #[cfg(feature = "testing")]
        self.recorders.record(&event);
        if let Some(sender) = self.sender.get() {
            // An error says that the last subscriber has left meanwhile.
            drop(sender.send(event));
        }
    }
}
