//! What a call returns that the guard did not let through, or ended.

use std::time::Duration;

use super::{Call, Part, TimedOut};
use crate::Rejected;
use crate::counters::count;
use crate::event::EventKind;
use crate::limiter::Refusal;

impl<'p, S: Part<'p>> Call<'p, S> {
    /// By the timeout that was there when the attempt began: it may be another one by now, or none.
    pub(super) fn timed_out_by(&self, TimedOut(limit): TimedOut) -> Rejected {
        let ran = limit.saturating_sub(self.since);
        if limit == self.deadline { self.call_timed_out(ran) } else { self.timed_out(ran) }
    }

    /// By the timeout of the whole call; where that was taken away meanwhile, after what is known of it.
    pub(super) fn call_timed_out(&self, known: u64) -> Rejected {
        let timeout = self.timeout();
        self.timed_out(if timeout == u64::MAX { known } else { timeout })
    }

    fn timed_out(&self, after: u64) -> Rejected {
        let policy = self.policy.policy_name().clone();
        count(&self.policy.counters.calls_timed_out);
        self.rejected(Rejected::TimedOut { policy, after: Duration::from_nanos(after) })
    }

    #[cold]
    pub(super) fn refused(&self, refusal: Refusal) -> Rejected {
        let counters = &self.policy.counters;
        count(match refusal {
            Refusal::NotYet { .. } => &counters.rate_limited,
            // (One that was let go runs.)
            Refusal::Full | Refusal::LetGo => &counters.saturated,
            Refusal::Never { .. } => &counters.rejected_otherwise,
        });
        self.rejected(self.rejection_by_limits(refusal))
    }

    pub(super) fn rejection_by_limits(&self, refusal: Refusal) -> Rejected {
        let policy = self.policy.policy_name().clone();
        match refusal {
            Refusal::NotYet { retry_after } => Rejected::RateLimited { policy, retry_after },
            Refusal::Full | Refusal::LetGo => Rejected::Saturated { policy },
            Refusal::Never { cost, most } => Rejected::CostTooHigh { policy, cost, burst: most },
        }
    }

    #[cold]
    pub(super) fn circuit_open(&self, retry_after: Duration) -> Rejected {
        count(&self.policy.counters.circuit_open);
        self.rejected(self.rejection_by_breaker(retry_after))
    }

    pub(super) fn rejection_by_breaker(&self, retry_after: Duration) -> Rejected {
        Rejected::CircuitOpen { policy: self.policy.policy_name().clone(), retry_after }
    }

    fn rejected(&self, rejected: Rejected) -> Rejected {
        if self.attempts > 0 {
            count(&self.policy.counters.rejected_retries);
        }
        // It is rejected, whatever the policy does by now.
        self.tell(false, EventKind::Rejected { rejected: rejected.clone() });
        rejected
    }
}
