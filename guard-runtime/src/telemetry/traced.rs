//! Events of `tracing`: their table is that of the folder.

use std::time::Duration;

use crate::event::EventKind;
use crate::{BreakerState, PolicyName};

fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

pub(super) fn tell(policy: &PolicyName, shadow: bool, kind: &EventKind) {
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
