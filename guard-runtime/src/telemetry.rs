//! What happens to calls, for those who watch: `tracing` events with the target `apiguard`.
//!
//! | event | level | fields |
//! |---|---|---|
//! | `waited` | debug | `policy`, `wait_ms` |
//! | `retry` | warn | `policy`, `attempt` (the one that failed, from 1), `delay_ms`, `verdict`, `status` (of HTTP), `source` (`backoff`, `server`) |
//! | `over budget` | warn | `policy`, `attempt` (the one that failed and is not retried, since too many were) |
//! | `rejected` | warn | `policy`, `reason`, `retry_after_ms` |
//! | `paused` | warn | `policy`, `pause_ms` (the server wants fewer requests) |
//! | `breaker` | error (open), warn (half-open), info (closed) | `policy`, `from`, `to` |
//!
//! No URL, header, key or error text is recorded. Without the feature `tracing` all of this is nothing.

use std::time::Duration;

use crate::breaker::Change;
use crate::{PolicyName, Rejected, Verdict};

#[cfg(feature = "tracing")]
fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(feature = "tracing")]
pub(crate) fn waited(policy: &PolicyName, wait: Duration) {
    tracing::debug!(target: "apiguard", policy = policy.as_str(), wait_ms = ms(wait), "waited");
}

#[cfg(feature = "tracing")]
pub(crate) fn retry(policy: &PolicyName, attempt: u32, delay: Duration, verdict: Verdict, status: Option<u16>) {
    let source = if verdict.retry_after().is_some() { "server" } else { "backoff" };
    let verdict = match verdict {
        Verdict::Throttled { .. } => "throttled",
        _ => "transient",
    };
    let delay_ms = ms(delay);
    tracing::warn!(target: "apiguard", policy = policy.as_str(), attempt, delay_ms, verdict, status, source, "retry");
}

#[cfg(feature = "tracing")]
pub(crate) fn over_budget(policy: &PolicyName, attempt: u32) {
    tracing::warn!(target: "apiguard", policy = policy.as_str(), attempt, "over budget");
}

#[cfg(feature = "tracing")]
pub(crate) fn rejected(rejected: &Rejected) {
    let reason = match rejected {
        Rejected::RateLimited { .. } => "rate_limited",
        Rejected::CircuitOpen { .. } => "circuit_open",
        Rejected::Saturated { .. } => "saturated",
        Rejected::TimedOut { .. } => "timed_out",
        Rejected::CostTooHigh { .. } => "cost_too_high",
    };
    let retry_after_ms = rejected.retry_after().map(ms);
    tracing::warn!(target: "apiguard", policy = rejected.policy(), reason, retry_after_ms, "rejected");
}

#[cfg(feature = "tracing")]
pub(crate) fn paused(policy: &PolicyName, pause: Duration) {
    tracing::warn!(target: "apiguard", policy = policy.as_str(), pause_ms = ms(pause), "paused");
}

#[cfg(feature = "tracing")]
pub(crate) fn changed(policy: &PolicyName, change: Change) {
    use crate::BreakerState;

    let (policy, from, to) = (policy.as_str(), change.from.name(), change.to.name());
    match change.to {
        BreakerState::Open | BreakerState::ForcedOpen => {
            tracing::error!(target: "apiguard", policy, from, to, "breaker");
        }
        BreakerState::HalfOpen => tracing::warn!(target: "apiguard", policy, from, to, "breaker"),
        _ => tracing::info!(target: "apiguard", policy, from, to, "breaker"),
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use super::{Change, Duration, PolicyName, Rejected, Verdict};

    pub(crate) fn waited(_: &PolicyName, _: Duration) {}
    pub(crate) fn retry(_: &PolicyName, _: u32, _: Duration, _: Verdict, _: Option<u16>) {}
    pub(crate) fn over_budget(_: &PolicyName, _: u32) {}
    pub(crate) fn rejected(_: &Rejected) {}
    pub(crate) fn paused(_: &PolicyName, _: Duration) {}
    pub(crate) fn changed(_: &PolicyName, _: Change) {}
}

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{changed, over_budget, paused, rejected, retry, waited};
