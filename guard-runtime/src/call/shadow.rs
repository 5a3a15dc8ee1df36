//! Attempts of a policy in shadow: it counts and reports what it would do to them, and they run.
//!
//! The mechanisms go on as if it were so. An attempt that would have waited takes its tokens in advance, so that the next one would
//! have waited longer; one that would have been rejected takes none, and what it returns does not count for the breaker. Above
//! `concurrency` an attempt counts as rejected: nobody knows how long it would have waited.

use std::time::Duration;

use super::{Call, NO_BREAKER, Part, Running};
use crate::breaker::Pass;
use crate::counters::count;
use crate::event::EventKind;
use crate::limiter::{Entry, Flight, Refusal, Turn};

impl<'p, S: Part<'p>> Call<'p, S> {
    /// Lets the next attempt through, whatever stands in its way.
    pub(super) fn admit_in_shadow(&mut self, now: u64) {
        (self.since, self.granted) = (now, now);
        self.attempts = self.attempts.saturating_add(1);
        if let Err(retry_after) = self.check_breaker(now) {
            return self.would_be_rejected(EventKind::Rejected { rejected: self.rejection_by_breaker(retry_after) });
        }
        let flight = match self.part.enter(self.policy, self.cost, now, now) {
            Ok(Entry::Taken(taken)) => {
                self.granted = taken.at();
                taken.flight()
            }
            // Its turn has come, and others are before it: it gives the place up.
            Ok(Entry::Turn(ticket)) => {
                drop(Turn::new(self.part.limiter(self.policy), ticket));
                self.would_wait(Duration::ZERO, now);
                Flight::UNCOUNTED
            }
            Err(Refusal::NotYet { retry_after: wait }) if wait <= Duration::from_nanos(self.patience()) => {
                self.would_wait(wait, now);
                Flight::UNCOUNTED
            }
            Err(refusal) => {
                return self.would_be_rejected(EventKind::Rejected { rejected: self.rejection_by_limits(refusal) });
            }
        };
        let admitted = match self.part.known(self.policy).map(|state| &state.breaker) {
            None => Ok((Pass(self.part.first(self.policy)), None)),
            Some(breaker) => breaker.admit(now, &self.breaker().unwrap_or(NO_BREAKER)),
        };
        match admitted {
            Ok((pass, change)) => {
                self.running = Running::attempt(pass, flight);
                self.changed(change);
            }
            Err(open) => {
                self.running = Running::attempt(self.over(), flight);
                self.would_be_rejected(EventKind::Rejected { rejected: self.rejection_by_breaker(open.retry_after) });
            }
        }
    }

    fn would_wait(&self, wait: Duration, now: u64) {
        self.state().limiter.settle(now, 0, self.cost);
        count(&self.policy.counters.would_delay);
        self.tell(EventKind::Waited { wait });
    }

    fn would_be_rejected(&mut self, rejected: EventKind) {
        if self.running == Running::NOTHING {
            self.running = Running::attempt(self.over(), Flight::UNCOUNTED);
        }
        count(&self.policy.counters.would_reject);
        self.tell(rejected);
    }

    /// What an attempt returns that would not have been let through says nothing to the breaker.
    fn over(&self) -> Pass {
        match self.part.known(self.policy) {
            Some(state) => state.breaker.over(),
            None => Pass(self.part.first(self.policy)).before(),
        }
    }
}
