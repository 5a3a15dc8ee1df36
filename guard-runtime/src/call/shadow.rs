//! Attempts of a policy in shadow: it counts and reports what it would do to them, and they run.
//!
//! The mechanisms go on as if it were so. An attempt that would have waited takes its tokens in advance, so that the next one would
//! have waited longer; one that would have been rejected takes none, and what it returns does not count for the breaker. Above
//! `concurrency` an attempt counts as rejected: nobody knows how long it would have waited.

use std::time::Duration;

use guard_spec::Settings;

use super::{Call, Part, Running, TOOK_NOTHING};
use crate::breaker::Pass;
use crate::counters::count;
use crate::event::EventKind;
use crate::limiter::{Entry, Flight, Refusal, Taken, Turn};
use crate::{Rejected, clock, context};

/// What an attempt would find at the limits.
enum Found {
    /// Its tokens.
    Taken(Taken),
    /// A wait.
    Wait(Duration),
}

impl<'p, S: Part<'p>> Call<'p, S> {
    /// Lets the next attempt through, whatever stands in its way.
    pub(super) fn admit_in_shadow(&mut self, now: u64) {
        // A call that began before may have an end.
        self.deadline = u64::MAX;
        (self.since, self.granted) = (now, TOOK_NOTHING);
        self.attempts = self.attempts.saturating_add(1);
        self.running = Running::attempt(self.over(), Flight::UNCOUNTED);
        if let Err(retry_after) = self.check_breaker(now) {
            return self.would_be_rejected(self.rejection_by_breaker(retry_after));
        }
        let found = match self.part.enter(&self.policy, self.cost, now, now) {
            Ok(Entry::Taken(taken)) => Found::Taken(taken),
            // Its turn has come, and others are before it: it gives the place up.
            Ok(Entry::Turn(ticket)) => {
                drop(Turn::new(self.part.limiter(&self.policy), ticket));
                Found::Wait(Duration::ZERO)
            }
            Err(Refusal::NotYet { retry_after: wait }) if clock::nanos(wait) <= self.patience_in_shadow(now) => {
                Found::Wait(wait)
            }
            Err(refusal) => return self.would_be_rejected(self.rejection_by_limits(refusal)),
        };
        let (pass, change) = match self.permit(now) {
            Ok(permit) => permit,
            Err(retry_after) => {
                if let Found::Taken(taken) = found {
                    self.state().limiter.give_back(taken);
                }
                return self.would_be_rejected(self.rejection_by_breaker(retry_after));
            }
        };
        let flight = match found {
            Found::Taken(taken) => {
                self.granted = taken.at();
                taken.flight()
            }
            Found::Wait(wait) => {
                self.granted = now;
                self.would_wait(wait, now);
                Flight::UNCOUNTED
            }
        };
        self.running = Running::attempt(pass, flight);
        self.changed(change);
    }

    /// The longest that it would wait: half of the time to the end that it would have, as without shadow.
    fn patience_in_shadow(&self, now: u64) -> u64 {
        let own = self.site.and_then(Settings::call_timeout);
        let timeout = own.or_else(|| self.policy.with_settings(Settings::call_timeout));
        let left = context::deadline().saturating_sub(now).min(timeout.map_or(u64::MAX, clock::nanos));
        self.patience().min(left / 2)
    }

    fn would_wait(&self, wait: Duration, now: u64) {
        self.state().limiter.settle(now, 0, self.cost);
        count(&self.policy.counters.would_delay);
        self.tell(true, EventKind::Waited { wait });
    }

    fn would_be_rejected(&self, rejected: Rejected) {
        count(&self.policy.counters.would_reject);
        self.tell(true, EventKind::Rejected { rejected });
    }

    /// What an attempt returns that would not have been let through says nothing to the breaker.
    fn over(&self) -> Pass {
        match self.part.known(&self.policy) {
            Some(state) => state.breaker.over(),
            None => Pass(self.part.first(&self.policy)).before(),
        }
    }
}
