//! Whether an attempt is repeated, and after which delay.

use std::time::Duration;

use super::outcome::SERVER;
use super::{Call, Part, Pause};
use crate::clock::{self, NANOS_PER_MS};
use crate::counters::count;
use crate::event::EventKind;
use crate::verdict::Judged;
use crate::{Verdict, backoff, random};

impl<'p, S: Part<'p>> Call<'p, S> {
    /// A retry, if one is worth its while.
    pub(super) fn plan_retry(&mut self, verdict: Verdict, judged: &Judged, now: u64) -> Option<Pause> {
        let retryable = matches!(verdict, Verdict::Transient { .. } | Verdict::Throttled { .. });
        let retry = self.retry().filter(|retry| retryable && self.attempts <= retry.max()).map(random::jittered)?;
        let last = u64::from(self.delay_ms) * NANOS_PER_MS;
        let own = backoff::delay(&retry, self.attempts, last, random::uniform());
        let asked = match verdict.retry_after().map(clock::nanos) {
            // The server asks for more patience than this call has.
            Some(asked) if asked > clock::nanos(retry.longest_delay()) => return None,
            Some(asked) => backoff::server_delay(&retry, asked, random::uniform()),
            None => 0,
        };
        // "At once" from a server in trouble does not make every client hammer it.
        let delay = asked.max(own);
        let until = now.saturating_add(delay);
        let last = self.last_instant();
        if until >= last {
            return None;
        }
        if self.check_breaker(until).is_err() {
            return None;
        }
        // A retry that the limits would refuse is not made: its rejection would replace an outcome that says more.
        let patience = self.patience().min(last.saturating_sub(until) / 2);
        if self.state().limiter.turn_of(self.cost, now) > until.saturating_add(patience) {
            return None;
        }
        let retried = EventKind::Retry {
            attempt: self.attempts,
            delay: Duration::from_nanos(delay),
            verdict,
            status: judged.status,
            source: if asked > own { judged.header.unwrap_or(SERVER) } else { "backoff" },
        };
        if self.policy.is_shadow() {
            count(&self.policy.counters.would_retry);
            self.tell(true, retried);
            return None;
        }
        // Last, since it takes something.
        if !self.policy.budget.withdraw(retry.retry_budget(), self.policy.counters.successes(), now) {
            count(&self.policy.counters.over_budget);
            self.tell(false, EventKind::OverBudget { attempt: self.attempts });
            return None;
        }
        self.delay_ms = u32::try_from(delay / NANOS_PER_MS).unwrap_or(u32::MAX);
        self.tell(false, retried);
        Some(Pause { until, timer: None })
    }
}
