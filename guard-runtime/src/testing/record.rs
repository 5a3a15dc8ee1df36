//! What the guard did: every event of a policy from a moment on, with its time, and the counters since then.
//!
//! A recorder is told by the policy itself, not by a channel: no event is missed, however many come before they are read.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::policy::Here;
use crate::{BreakerState, Event, EventKind, Policy, Rejected, Snapshot, clock};

/// When each event was, and what.
type Log = Mutex<Vec<(u64, Event)>>;

/// Who records what an outlet sends.
pub(crate) struct Recorders {
    logs: Mutex<Vec<Weak<Log>>>,
    /// So that an outlet without them takes no lock.
    count: AtomicUsize,
}

impl Recorders {
    pub(crate) const fn new() -> Recorders {
        Recorders { logs: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
    }

    pub(crate) fn are_there(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    pub(crate) fn record(&self, event: &Event) {
        if !self.are_there() {
            return;
        }
        let now = clock::now();
        self.change(|logs| {
            logs.retain(|log| log.strong_count() > 0);
            for log in logs.iter().filter_map(Weak::upgrade) {
                log.lock().unwrap_or_else(PoisonError::into_inner).push((now, event.clone()));
            }
        });
    }

    fn add(&self) -> Arc<Log> {
        let log = Arc::new(Log::default());
        self.change(|logs| logs.push(Arc::downgrade(&log)));
        log
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Weak<Log>>)) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut logs);
        self.count.store(logs.len(), Relaxed);
    }
}

/// Records what a policy does from now on.
///
/// Within [`isolated`](super::isolated) it is the policy of that scope, with nobody else's calls; outside, the calls of all tests that
/// run at the time. The policy of a guarded function that has its own is found by its name:
/// `registry().get("charge")`, with `name = "charge"` in the attribute.
///
/// ```
/// use apiguard::testing::{self, Fault, Script, isolated};
/// use apiguard::{BreakerState, Breaker, Policy, Settings};
///
/// static MAIL: Policy = Policy::new("mail", Settings::new().breaker(Breaker::consecutive(2)));
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// isolated(async {
///     let seen = testing::record(&MAIL);
///     let service = Script::<u32, Fault>::new().fail(2);
///     for _ in 0..3 {
///         let _ = MAIL.call(async || service.call().await).await;
///     }
///     assert_eq!(seen.attempts(), 2, "{seen}");
///     assert_eq!(seen.transitions(), [(BreakerState::Closed, BreakerState::Open)], "{seen}");
///     assert_eq!(seen.rejections()[0].reason(), "circuit_open", "{seen}");
/// }).await;
/// # }
/// ```
pub fn record(policy: &Policy) -> Recording<'_> {
    let policy = policy.here();
    let log = policy.outlet().recorders.add();
    let before = policy.stands();
    Recording { policy, log, before, began: clock::now() }
}

/// What a policy has done since [`record`].
///
/// It displays (and debugs) as a line of counters and one for each event, with its time since then: the message for an assertion that
/// fails. A policy in shadow has done none of what it would have done, and its events say so: they are in
/// [`events`](Recording::events) alone.
#[must_use = "dropped, it records nothing more"]
pub struct Recording<'p> {
    /// As it was where the recording began, and not where it is read.
    policy: Here<'p>,
    log: Arc<Log>,
    before: Snapshot,
    began: u64,
}

impl Recording<'_> {
    /// Every event, in the order in which they came. There is no bound: all are kept.
    pub fn events(&self) -> Vec<Event> {
        self.all().into_iter().map(|(_, event)| event).collect()
    }

    /// Attempts that have ended: runs of the body.
    pub fn attempts(&self) -> u64 {
        self.policy.stands().attempts().saturating_sub(self.before.attempts())
    }

    /// Calls that have made an attempt which has ended, or were rejected.
    pub fn calls(&self) -> u64 {
        self.policy.stands().calls.saturating_sub(self.before.calls)
    }

    /// The pause before each retry, to the nanosecond, as it was planned. (With [`no_jitter`](super::no_jitter) or
    /// [`seed`](super::seed) it is the same each time.)
    pub fn delays(&self) -> Vec<Duration> {
        self.pick(|kind| match kind {
            EventKind::Retry { delay, .. } => Some(*delay),
            _ => None,
        })
    }

    /// How long each attempt waited for its turn that had to wait and was let through.
    pub fn waits(&self) -> Vec<Duration> {
        self.pick(|kind| match kind {
            EventKind::Waited { wait } => Some(*wait),
            _ => None,
        })
    }

    /// The pauses that the server asked for.
    pub fn pauses(&self) -> Vec<Duration> {
        self.pick(|kind| match kind {
            EventKind::Paused { pause, .. } => Some(*pause),
            _ => None,
        })
    }

    /// The rejections that callers got.
    pub fn rejections(&self) -> Vec<Rejected> {
        self.pick(|kind| match kind {
            EventKind::Rejected { rejected } => Some(rejected.clone()),
            _ => None,
        })
    }

    /// The changes of the breaker, of those of keys, too: from, to.
    pub fn transitions(&self) -> Vec<(BreakerState, BreakerState)> {
        self.pick(|kind| match kind {
            EventKind::Breaker { from, to } => Some((*from, *to)),
            _ => None,
        })
    }

    /// How the policy stands.
    pub fn snapshot(&self) -> Snapshot {
        self.policy.stands()
    }

    fn all(&self) -> Vec<(u64, Event)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of what has happened.
    fn pick<T>(&self, pick: impl Fn(&EventKind) -> Option<T>) -> Vec<T> {
        self.all().iter().filter(|(_, event)| !event.shadow).filter_map(|(_, event)| pick(&event.kind)).collect()
    }
}

impl fmt::Display for Recording<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} calls, {} attempts since the recording began",
            self.policy.name(),
            self.calls(),
            self.attempts()
        )?;
        for (at, event) in self.all() {
            let since = Duration::from_nanos(at.saturating_sub(self.began));
            write!(f, "\n  +{:.3}s {event}", since.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Recording<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
