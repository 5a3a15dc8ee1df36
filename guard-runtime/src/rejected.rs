//! What a guarded call returns when the guard did not let it run: [`Rejected`], and [`Error`] for functions that keep
//! their own error type apart from it.

use std::time::Duration;

use guard_spec::InWords;

use crate::PolicyName;

/// Why the guard did not run a call, or gave up on it, and when to come back.
///
/// "Not yet" and "never" differ: a caller that waits for something that cannot happen waits for ever. So
/// [`retry_after`](Rejected::retry_after) is `Some` where coming back helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The call would have waited for its turn longer than `max_wait`, or than half of the time to its deadline.
    #[error("rate limited by policy `{policy}`: next call in {}", InWords::about(*retry_after))]
    RateLimited {
        /// The policy that rejected.
        policy: PolicyName,
        /// After this time the same call would have been admitted, had nobody else come. (With one limit it is exact; several
        /// limits together, and a quota of which an attempt takes several tokens, may make it later, never earlier.)
        retry_after: Duration,
    },
    /// The breaker is open, or half-open with all its probes running.
    #[error("circuit of policy `{policy}` is open: next probe in {}", InWords::about(*retry_after))]
    CircuitOpen {
        /// The policy that rejected.
        policy: PolicyName,
        /// After this time the breaker lets a probe through. While all probes are running nobody knows: then it is the
        /// recovery time, at most one second. One that is forced open stays so until somebody says otherwise: then it is the recovery
        /// time, 60 s where the policy has no breaker.
        retry_after: Duration,
    },
    /// As many attempts as `concurrency` allows were in flight, for as long as the call may wait (`max_wait`, or half of the time to its
    /// deadline).
    #[error("policy `{policy}` is saturated")]
    Saturated {
        /// The policy that rejected.
        policy: PolicyName,
    },
    /// The call, or its last attempt, did not end within its timeout.
    #[error("timed out by policy `{policy}` after {}", InWords::duration(*after))]
    TimedOut {
        /// The policy that gave up.
        policy: PolicyName,
        /// The timeout that ended it.
        after: Duration,
    },
    /// The call costs more tokens than the bucket can ever hold: it can never be admitted.
    #[error("cost {cost} is above the burst {burst} of policy `{policy}`: never admitted")]
    CostTooHigh {
        /// The policy that rejected.
        policy: PolicyName,
        /// What the call asked for.
        cost: u32,
        /// The most that it could have.
        burst: u32,
    },
}

impl Rejected {
    /// When the same call may be admitted. `Saturated` says zero: it may be any time. `None` for `TimedOut` and `CostTooHigh`: coming
    /// back later is no remedy by itself.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Rejected::RateLimited { retry_after, .. } | Rejected::CircuitOpen { retry_after, .. } => Some(*retry_after),
            Rejected::Saturated { .. } => Some(Duration::ZERO),
            Rejected::TimedOut { .. } | Rejected::CostTooHigh { .. } => None,
        }
    }

    /// Why, in one word: `rate_limited`, `circuit_open`, `saturated`, `timed_out` or `cost_too_high`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Rejected::RateLimited { .. } => "rate_limited",
            Rejected::CircuitOpen { .. } => "circuit_open",
            Rejected::Saturated { .. } => "saturated",
            Rejected::TimedOut { .. } => "timed_out",
            Rejected::CostTooHigh { .. } => "cost_too_high",
        }
    }

    /// The name of the policy that rejected.
    pub fn policy(&self) -> &str {
        match self {
            Rejected::RateLimited { policy, .. }
            | Rejected::CircuitOpen { policy, .. }
            | Rejected::Saturated { policy }
            | Rejected::TimedOut { policy, .. }
            | Rejected::CostTooHigh { policy, .. } => policy,
        }
    }
}

/// The error of a guarded function that keeps its own error `E` as it is.
///
/// A function that returns `Result<T, apiguard::Error<E>>` is written as if it returned `Result<T, E>`: `?` in its body
/// converts to `E`. It has these two cases and gets no others, so that a `match` can be complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The guard did not run the call, or gave up on it.
    #[error("call rejected")]
    Rejected(#[source] Rejected),
    /// The last attempt failed.
    #[error("call failed after {attempts} {}", if *attempts == 1 { "attempt" } else { "attempts" })]
    Call {
        /// What the last attempt returned.
        source: E,
        /// How many attempts were made.
        attempts: u32,
    },
}

impl<E> Error<E> {
    /// The rejection, if the guard did not run the call.
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Error::Rejected(rejected) => Some(rejected),
            Error::Call { .. } => None,
        }
    }

    /// What the last attempt returned, if the call ran.
    pub fn into_call(self) -> Option<E> {
        match self {
            Error::Rejected(_) => None,
            Error::Call { source, .. } => Some(source),
        }
    }

    /// When the same call may be admitted, as [`Rejected::retry_after`]; `None` for a failed call.
    pub fn retry_after(&self) -> Option<Duration> {
        self.rejected().and_then(Rejected::retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_says_who_rejected_and_when_to_come_back() {
        let policy = PolicyName::new("stripe");
        let rejected = Rejected::RateLimited { policy: policy.clone(), retry_after: Duration::from_millis(1_500) };
        assert_eq!(rejected.to_string(), "rate limited by policy `stripe`: next call in 1s500ms");
        assert_eq!(rejected.retry_after(), Some(Duration::from_millis(1_500)));
        assert_eq!(rejected.policy(), "stripe");
        let never = Rejected::CostTooHigh { policy, cost: 11, burst: 10 };
        assert_eq!(never.retry_after(), None);
        assert_eq!(never.to_string(), "cost 11 is above the burst 10 of policy `stripe`: never admitted");
    }

    #[test]
    fn a_failed_call_keeps_its_error_as_the_source() {
        let error = Error::Call { source: std::fmt::Error, attempts: 4 };
        assert_eq!(error.to_string(), "call failed after 4 attempts");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(error.into_call(), Some(std::fmt::Error));
    }
}
