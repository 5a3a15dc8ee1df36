//! What happens to calls, for those who watch: subscribers ([`Policy::subscribe`](crate::Policy::subscribe)), metrics (`metrics`, where
//! their table is), and `tracing` events with the target `apiguard` (`traced`):
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

#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "tracing")]
mod traced;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Policy;
use crate::event::{Event, EventKind, Outlet};

/// For those who subscribe to all policies.
pub(crate) static ALL: Outlet = Outlet::new();

/// Tells those who watch.
#[cold]
pub(crate) fn tell(policy: &Policy, shadow: bool, kind: EventKind) {
    #[cfg(feature = "tracing")]
    quietly(|| traced::tell(policy.policy_name(), shadow, &kind));
    #[cfg(feature = "metrics")]
    if metrics::are_recorded() {
        quietly(|| metrics::record(policy.policy_name(), shadow, &kind));
    }
    let outlets = [policy.outlet(), policy.outlet_of_all()];
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
    if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
        // What it panicked with may panic when it is dropped.
        std::mem::forget(payload);
    }
}

/// Whether somebody wants to know how long attempts take: a load and a branch, and nothing without the feature.
#[inline(always)]
pub(crate) fn times_attempts() -> bool {
    #[cfg(feature = "metrics")]
    return metrics::are_attempts_timed();
    #[cfg(not(feature = "metrics"))]
    false
}

/// Tells how long an attempt took, if somebody wants to know. Times are nanoseconds.
pub(crate) fn attempt_took(policy: &Policy, outcome: &'static str, nanos: u64) {
    #[cfg(feature = "metrics")]
    quietly(|| metrics::record_attempt(policy.policy_name(), outcome, nanos));
    #[cfg(not(feature = "metrics"))]
    let _ = (policy, outcome, nanos);
}
