//! What happens to calls, for those who watch: subscribers ([`Policy::subscribe`](crate::Policy::subscribe)), and `tracing` events
//! with the target `apiguard`:
//!
//! | event | level | fields |
//! |---|---|---|
//! | `waited` | debug | `policy`, `wait_ms` |
//! | `retry` | warn | `policy`, `attempt` (the one that failed, from 1), `delay_ms`, `verdict`, `status` (of HTTP), `source` (`backoff`, or the header that the server sent, or `server`) |
//! | `over budget` | warn | `policy`, `attempt` (the one that failed and is not retried, since too many were) |
//! | `not replayable` | warn | `policy` (a request that would be retried is not, for its body is a stream) |
//! | `rejected` | warn | `policy`, `reason`, `retry_after_ms` |
//! | `paused` | warn | `policy`, `pause_ms` (the server wants fewer requests), `source` (the header that said so, or `server`, `observed`) |
//! | `breaker` | error (open), warn (half-open), info (closed) | `policy`, `from`, `to` |
//!
//! A policy in shadow has `shadow = true` beside them: it has not happened.
//!
//! No URL, header value, key or error text is recorded. Who watches is code of the user's: it is called without a lock, after all that
//! it is told of was done, and its panics end here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::{Event, EventKind, Outlet};
use crate::{Policy, PolicyName};

/// For those who subscribe to all policies.
pub(crate) static ALL: Outlet = Outlet::new();

/// Tells those who watch.
#[cold]
pub(crate) fn tell(policy: &Policy, shadow: bool, kind: EventKind) {
    quietly(|| traced(policy.policy_name(), shadow, &kind));
    let outlets = [policy.outlet(), &ALL];
    if outlets.iter().any(|outlet| outlet.is_heard()) {
        let event = Event { policy: policy.policy_name().clone(), shadow, kind };
        for outlet in outlets {
            // It wakes a task, by code that is not ours.
            quietly(|| outlet.send(event.clone()));
        }
    }
}

/// A panic of who watches is nothing to the call. (The panic hook has said it.)
fn quietly(tell: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(tell)));
}

#[cfg(not(feature = "tracing"))]
fn traced(_: &PolicyName, _: bool, _: &EventKind) {}

#[cfg(feature = "tracing")]
fn traced(policy: &PolicyName, shadow: bool, kind: &EventKind) {
    use std::time::Duration;

    use crate::BreakerState;

    fn ms(duration: Duration) -> u64 {
        duration.as_millis().try_into().unwrap_or(u64::MAX)
    }

    let (policy, shadow) = (policy.as_str(), shadow.then_some(true));
    match kind {
        EventKind::Waited { wait } => {
            tracing::debug!(target: "apiguard", policy, shadow, wait_ms = ms(*wait), "waited");
        }
        EventKind::Retry { attempt, delay, verdict, status, source } => {
            let (delay_ms, verdict) = (ms(*delay), verdict.name());
            tracing::warn!(target: "apiguard", policy, shadow, attempt, delay_ms, verdict, status, source, "retry");
        }
        EventKind::OverBudget { attempt } => {
            tracing::warn!(target: "apiguard", policy, shadow, attempt, "over budget");
        }
        EventKind::NotReplayable => tracing::warn!(target: "apiguard", policy, shadow, "not replayable"),
        EventKind::Rejected { rejected } => {
            let reason = rejected.reason();
            let retry_after_ms = rejected.retry_after().map(ms);
            tracing::warn!(target: "apiguard", policy, shadow, reason, retry_after_ms, "rejected");
        }
        EventKind::Paused { pause, source } => {
            tracing::warn!(target: "apiguard", policy, shadow, pause_ms = ms(*pause), source, "paused");
        }
        EventKind::Breaker { from, to } => {
            let (from, to_name) = (from.name(), to.name());
            match to {
                BreakerState::Open | BreakerState::ForcedOpen => {
                    tracing::error!(target: "apiguard", policy, shadow, from, to = to_name, "breaker");
                }
                BreakerState::HalfOpen => {
                    tracing::warn!(target: "apiguard", policy, shadow, from, to = to_name, "breaker");
                }
                _ => tracing::info!(target: "apiguard", policy, shadow, from, to = to_name, "breaker"),
            }
        }
    }
}
