//! What an attempt returned: judged, recorded, told to the breaker and the limits.

use std::time::Duration;

use guard_spec::{Retry, Settings, Statuses};

use super::{Call, Part, Pause, Running, TOOK_NOTHING, TimedOut};
use crate::breaker::{Ended, Pass, Sign};
use crate::clock;
use crate::context::Heard;
use crate::counters::count;
use crate::event::EventKind;
use crate::limiter::Flight;
use crate::policy::State;
use crate::verdict::Judged;
use crate::{Rejected, Verdict, telemetry};

/// Who says how long to wait, when an outcome does and no header is known.
pub(super) const SERVER: &str = "server";

impl<'p, S: Part<'p>> Call<'p, S> {
    /// Holds back all calls under this policy if the server has said so in a response that the body has seen.
    #[inline]
    pub fn heard(&self, heard: &Heard) {
        let wait = heard.wait();
        if wait > 0 {
            self.pause(Duration::from_nanos(wait), "observed", clock::now());
        }
    }

    /// Corrects what the attempt that has just returned took to what it has used.
    #[inline]
    pub fn used(&self, tokens: u32) {
        if tokens != self.cost && self.granted != TOOK_NOTHING {
            self.state().limiter.settle(self.granted, self.cost, tokens);
        }
    }

    /// Tells the guard that an attempt worked, if that is what it says: the good path. Otherwise nothing has happened, and
    /// [`settle`](Call::settle) decides.
    #[inline]
    pub fn succeeded(&mut self, judged: &Judged) -> bool {
        if self.attempts > 1 || !judged.is_plain_success() && !self.is_good_answer(judged) {
            return false;
        }
        let running = std::mem::replace(&mut self.running, Running::NOTHING);
        self.release(running.flight());
        self.policy.counters.success();
        if telemetry::times_attempts() {
            self.took("success");
        }
        if self.part.known(&self.policy).is_some_and(|state| !state.breaker.is_well()) {
            self.tell_breaker(running.pass(), Sign::Good, 0, clock::now());
        }
        true
    }

    /// Whether it is a good answer of HTTP, and none that is retried nevertheless. Out of line, where it costs other calls nothing.
    #[inline(never)]
    fn is_good_answer(&self, judged: &Judged) -> bool {
        let own = self.site.and_then(Settings::retry);
        let retries_good = || own.map_or_else(|| self.policy.retries_good(), |own| own.retried_statuses().has_good());
        judged.is_good_answer() && !retries_good()
    }

    /// Tells the guard what an attempt returned; if it is to be repeated, after which pause.
    #[cold]
    #[inline(never)]
    pub fn settle(&mut self, judged: &Judged) -> Option<Pause> {
        let now = clock::now();
        let verdict = self.judge(judged, now);
        self.plan_retry(verdict, judged, now)
    }

    /// Judges an outcome under the retried statuses, and records it.
    fn judge(&mut self, judged: &Judged, now: u64) -> Verdict {
        let retry = self.retry();
        let statuses = retry.as_ref().map_or(&Statuses::RETRIED, Retry::retried_statuses);
        let verdict = judged.under(statuses);
        let source = judged.header.unwrap_or(SERVER);
        // What a throttled outcome asks for is recorded below.
        let is_asked = matches!(verdict, Verdict::Throttled { retry_after: Some(_) });
        if let Some(wait) = judged.asked_of_all().filter(|_| !is_asked) {
            self.pause(wait, source, now);
        }
        self.record(verdict, source, now);
        verdict
    }

    /// Tells the guard what the only attempt returned.
    #[cold]
    #[inline(never)]
    pub fn end(&mut self, judged: &Judged) {
        self.judge(judged, clock::now());
    }

    /// Tells the guard that a timeout ended the attempt.
    ///
    /// # Errors
    /// When that ends the call.
    #[cold]
    #[inline(never)]
    pub fn settle_timed_out(&mut self, timed_out: TimedOut) -> Result<Pause, Rejected> {
        let now = self.record_timeout();
        self.plan_retry(Verdict::TRANSIENT, &Judged::UNKNOWN, now).ok_or_else(|| self.timed_out_by(timed_out))
    }

    /// Tells the guard that a timeout ended the only attempt.
    #[cold]
    #[inline(never)]
    pub fn end_timed_out(&mut self, timed_out: TimedOut) -> Rejected {
        self.record_timeout();
        self.timed_out_by(timed_out)
    }

    fn record_timeout(&mut self) -> u64 {
        let now = clock::now();
        count(&self.policy.counters.timed_out);
        self.record(Verdict::TRANSIENT, SERVER, now);
        now
    }

    /// Counts an outcome and tells it to the breaker. The source is who says how long to wait.
    fn record(&mut self, verdict: Verdict, source: &'static str, now: u64) {
        let counters = &self.policy.counters;
        if telemetry::times_attempts() {
            let name = verdict.name();
            self.took(if name == Verdict::TRANSIENT.name() { "failure" } else { name });
        }
        let mut hold = 0;
        let sign = match verdict {
            Verdict::Success => {
                counters.success();
                Sign::Good
            }
            Verdict::Permanent => {
                count(&counters.permanent);
                Sign::Answered
            }
            Verdict::Throttled { retry_after } => {
                count(&counters.throttled);
                if let Some(wait) = retry_after {
                    self.pause(wait, source, now);
                }
                Sign::None
            }
            Verdict::Failure | Verdict::Transient { .. } => {
                count(&counters.failures);
                hold = verdict.retry_after().map_or(0, clock::nanos);
                Sign::Bad
            }
        };
        self.end_attempt(sign, hold, now);
    }

    /// The server wants fewer requests: every call under this policy waits as long as it says.
    fn pause(&self, wait: Duration, source: &'static str, now: u64) {
        let longest = self.policy.with_settings(Settings::longest_pause);
        let wait = clock::nanos(wait.min(longest));
        if wait == 0 {
            return;
        }
        self.state().limiter.pause(now.saturating_add(wait));
        self.tell(self.policy.is_shadow(), EventKind::Paused { pause: Duration::from_nanos(wait), source });
    }

    /// `hold` is for how long the server does not want to be called.
    fn end_attempt(&mut self, sign: Sign, hold: u64, now: u64) {
        if self.attempts > 1 {
            count(&self.policy.counters.retries);
        }
        let running = std::mem::replace(&mut self.running, Running::NOTHING);
        self.release(running.flight());
        self.tell_breaker(running.pass(), sign, hold, now);
    }

    #[inline]
    fn release(&self, flight: Flight) {
        if flight != Flight::UNCOUNTED {
            self.state().limiter.release(flight);
        }
    }

    #[cold]
    fn tell_breaker(&self, pass: Pass, sign: Sign, hold: u64, now: u64) {
        // Without one nothing counts.
        let Some(settings) = self.breaker() else { return };
        let ended = Ended { sign, ran: now.saturating_sub(self.since), hold };
        let state = match sign {
            Sign::Bad => Some(self.state()),
            // To one that is as if it had just been made nothing else says anything.
            _ => self.part.known(&self.policy),
        };
        if let Some(State { breaker, .. }) = state {
            let change = breaker.settle(pass, ended, now, &settings);
            self.changed(change);
        }
    }

    /// The call was dropped while an attempt ran, or the attempt panicked.
    #[cold]
    #[inline(never)]
    pub(super) fn abandon(&mut self) {
        let now = clock::now();
        let abandoned = clock::nanos(self.policy.with_settings(Settings::abandoned_after));
        let hung = now.saturating_sub(self.since) >= abandoned;
        let sign = if hung || std::thread::panicking() { Sign::Bad } else { Sign::Dropped };
        count(&self.policy.counters.abandoned);
        if telemetry::times_attempts() {
            self.took("abandoned");
        }
        self.end_attempt(sign, 0, now);
    }

    /// Tells how long the attempt took that is over; the outcome by the name under which it is counted.
    #[cold]
    #[inline(never)]
    fn took(&self, outcome: &'static str) {
        telemetry::attempt_took(&self.policy, outcome, clock::now().saturating_sub(self.since));
    }
}
