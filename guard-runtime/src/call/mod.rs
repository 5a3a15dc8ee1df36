//! One call: all its attempts. The only place that puts the mechanisms together.
//!
//! ```text
//! deadline = now + timeout
//! for attempt in 1.. {
//!     breaker open?          -> reject                                   (one load)
//!     rates, quotas, in flight -> wait in the order of arrival; reject at once what cannot be served within max_wait and
//!                               half of the time to the deadline
//!     breaker admits         (a probe's place when half-open); if it opened meanwhile the tokens go back
//!     the body runs, at most attempt_timeout and never past the deadline
//!     the outcome is judged and told to the breaker; what it used beside what it took is settled with the limits; a server
//!                               that wants fewer requests holds back all calls under the policy
//!     success, permanent, failure -> return it
//!     transient, throttled        -> if retries are left, the delay ends before the deadline, a server's delay is within
//!                                    the cap, breaker and limits will let the retry through, and the budget allows it:
//!                                    pause holding nothing, again; otherwise return it
//! }
//! ```
//!
//! `#[guarded]` writes this loop into the user's function, [`Policy::call`] writes it around a closure. A [`Call`] that is
//! dropped while an attempt runs gives the probe's place back; for the breaker that says nothing, unless the body
//! panicked, had been running for `abandoned` (5 s), or was a slow call by then.
//!
//! In shadow an attempt that is not let through at once runs nevertheless (`shadow`), no timeout is set, and a retry is
//! planned and not made.
//!
//! Here is what stands before an attempt; what comes of it is in `outcome`, whether it is repeated in `retry`.

mod outcome;
mod part;
mod rejections;
mod retry;
mod shadow;
mod waits;

use std::future::Future;
use std::hash::Hash;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use guard_spec::{Breaker, Retry, Settings};

pub(crate) use self::part::{Key, Part, Whole};
pub(crate) use self::waits::{Pause, Timed, TimedOut, Wait};
use crate::breaker::{Change, Pass};
use crate::clock::{self, Timer};
use crate::context::{self, Heard, Watched};
use crate::counters::count;
use crate::event::EventKind;
use crate::limiter::{Entry, Flight, Limiter, Refusal, Taken, Turn};
use crate::policy::{Here, State};
use crate::{Policy, Rejected, telemetry};

/// What a policy without a breaker says of one that was forced.
const NO_BREAKER: Breaker = Breaker::consecutive(u32::MAX);

/// In place of the instant of a grant, where there was none (`shadow`).
const TOOK_NOTHING: u64 = u64::MAX;

/// One call under a policy.
#[derive(Debug)]
pub struct Call<'p, S: Part<'p> = Whole> {
    policy: Here<'p>,
    part: S,
    /// What the call's site sets of retries and timeouts; it goes before what the policy says.
    site: Option<&'static Settings>,
    /// `u64::MAX` without a timeout.
    deadline: u64,
    /// When the running attempt was admitted.
    since: u64,
    /// When the limits granted it what it took: earlier, if its task was run late.
    granted: u64,
    /// Attempts that were admitted.
    attempts: u32,
    /// The last delay in ms, for decorrelated jitter.
    delay_ms: u32,
    /// The tokens that each attempt takes.
    cost: u32,
    running: Running,
}

/// Which attempt runs: none, or one with the generation in which the breaker let it through (20 bits) and what it is counted in
/// while in flight (8 bits). One word, since every call writes it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Running(u32);

impl Running {
    const NOTHING: Running = Running(u32::MAX);
    const FLIGHT_SHIFT: u32 = 20;

    fn attempt(Pass(generation): Pass, Flight(flight): Flight) -> Running {
        Running(generation | u32::from(flight) << Running::FLIGHT_SHIFT)
    }

    fn pass(self) -> Pass {
        Pass(self.0 & ((1 << Running::FLIGHT_SHIFT) - 1))
    }

    fn flight(self) -> Flight {
        Flight((self.0 >> Running::FLIGHT_SHIFT) as u8)
    }
}

/// What the guard says to an attempt that it did not let through at once.
#[derive(Debug)]
pub enum Admission<'c> {
    /// Run it.
    Admitted,
    /// Do not.
    Rejected(Rejected),
    /// Not yet.
    Waiting(Wait<'c>),
}

/// As [`Admission`], with a turn that does not borrow the call.
pub(crate) enum Decision<L: Deref<Target = Limiter>> {
    Admitted,
    Rejected(Rejected),
    Waits(Turn<L>, u64),
}

impl<'p> Call<'p> {
    /// A call that begins now. What `site` sets of retries and timeouts goes before what the policy says.
    #[inline]
    pub fn new(policy: &'p Policy, site: Option<&'static Settings>) -> Call<'p> {
        Call::under(policy.here(), Whole, site)
    }
}

impl<'p> Call<'p, Key> {
    /// As [`new`](Call::new), under the limits and the breaker of a key.
    #[inline]
    pub fn keyed<Q: Hash + ?Sized>(policy: &'p Policy, site: Option<&'static Settings>, key: &Q) -> Call<'p, Key> {
        let policy = policy.here();
        let key = Key::new(policy.hash_of(key));
        Call::under(policy, key, site)
    }
}

impl<'p, S: Part<'p>> Call<'p, S> {
    #[inline]
    fn under(policy: Here<'p>, part: S, site: Option<&'static Settings>) -> Call<'p, S> {
        Call {
            policy,
            part,
            site,
            deadline: u64::MAX,
            since: 0,
            granted: 0,
            attempts: 0,
            delay_ms: 0,
            cost: 1,
            running: Running::NOTHING,
        }
    }

    /// The same call, each attempt of which takes `cost` tokens. Then [`admit_costing`](Call::admit_costing) lets them
    /// through.
    #[inline]
    #[must_use]
    pub fn costing(mut self, cost: u32) -> Call<'p, S> {
        self.cost = cost;
        self
    }

    /// The policy, as it was where the call began.
    #[cfg(feature = "tower")]
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many attempts were made.
    #[inline]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    fn retry(&self) -> Option<Retry> {
        self.site.and_then(Settings::retry).copied().or_else(|| self.policy.with_settings(|s| s.retry().copied()))
    }

    /// In nanoseconds; `u64::MAX` for none.
    #[inline]
    fn timeout(&self) -> u64 {
        let own = self.site.and_then(Settings::call_timeout);
        own.map_or_else(|| self.policy.timeouts().call(), |own| self.unless_shadow(own))
    }

    /// In nanoseconds; `u64::MAX` for none.
    #[inline]
    fn attempt_timeout(&self) -> u64 {
        let own = self.site.and_then(Settings::single_attempt_timeout);
        own.map_or_else(|| self.policy.timeouts().attempt(), |own| self.unless_shadow(own))
    }

    /// A timeout of the call's site; a policy's own are none already where it is in shadow.
    #[inline]
    fn unless_shadow(&self, timeout: Duration) -> u64 {
        if self.policy.is_shadow() { u64::MAX } else { clock::nanos(timeout) }
    }

    /// The deadline, or that of a call that this one runs in.
    fn last_instant(&self) -> u64 {
        self.deadline.min(context::deadline())
    }

    fn breaker(&self) -> Option<Breaker> {
        self.policy.with_settings(|settings| settings.circuit_breaker().copied())
    }

    #[inline]
    fn state(&self) -> &State {
        self.part.state(&self.policy)
    }

    /// The longest that it waits for its turn: the same for all keys.
    fn patience(&self) -> u64 {
        self.policy.state.limiter.patience()
    }

    // ---- before an attempt

    /// Lets the next attempt through if nothing stands in its way: the good path. Otherwise nothing has happened, and
    /// [`admit_slowly`](Call::admit_slowly) decides.
    ///
    /// The breaker is looked at once, before the tokens are taken: an attempt that slips through while another one trips
    /// it is an attempt that was let through before.
    #[inline]
    pub fn admit(&mut self) -> bool {
        self.admit_at(clock::now(), 1)
    }

    /// As [`admit`](Call::admit), for a call that has a timeout or may have one.
    #[inline]
    pub fn admit_timed(&mut self) -> bool {
        self.admit_in_time(1)
    }

    /// As [`admit_timed`](Call::admit_timed), for attempts that cost what [`costing`](Call::costing) says.
    #[inline]
    pub fn admit_costing(&mut self) -> bool {
        self.admit_in_time(self.cost)
    }

    #[inline]
    fn admit_in_time(&mut self, cost: u32) -> bool {
        let now = clock::now();
        if self.attempts == 0 {
            self.deadline = now.saturating_add(self.timeout());
        } else if now >= self.deadline {
            return false;
        }
        self.admit_at(now, cost)
    }

    /// The cost is given by those who know it, so that the good path of most calls has it as a constant.
    #[inline]
    fn admit_at(&mut self, now: u64, cost: u32) -> bool {
        let Some(generation) = self.part.admit(&self.policy, cost, now) else { return false };
        self.since = now;
        self.granted = now;
        self.attempts = self.attempts.saturating_add(1);
        self.running = Running::attempt(Pass(generation), Flight::UNCOUNTED);
        true
    }

    /// Lets the next attempt through, makes it wait, or rejects it.
    #[cold]
    #[inline(never)]
    pub fn admit_slowly(&mut self) -> Admission<'_> {
        match self.decide() {
            Decision::Admitted => Admission::Admitted,
            Decision::Rejected(rejected) => Admission::Rejected(rejected),
            Decision::Waits(turn, since) => Admission::Waiting(Wait(Box::pin(self.wait(turn, since)))),
        }
    }

    /// As [`admit_slowly`](Call::admit_slowly), for those who keep the call in its [`wait`](Call::wait).
    pub(crate) fn decide(&mut self) -> Decision<S::Limiter> {
        let now = clock::now();
        if self.policy.is_shadow() {
            self.admit_in_shadow(now);
            return Decision::Admitted;
        }
        if self.attempts > 0 && now >= self.deadline {
            return Decision::Rejected(self.call_timed_out(now.saturating_sub(self.since)));
        }
        if let Err(retry_after) = self.check_breaker(now) {
            return Decision::Rejected(self.circuit_open(retry_after));
        }
        // Half of the time that is left is the attempt's: with a turn at the very deadline, an overloaded policy would spend
        // its rate on attempts that are cut off, and hold that against the service.
        let patience = self.patience().min(self.last_instant().saturating_sub(now) / 2);
        let latest = now.saturating_add(patience);
        match self.part.enter(&self.policy, self.cost, now, latest) {
            Err(refusal) => Decision::Rejected(self.refused(refusal)),
            Ok(Entry::Turn(ticket)) => Decision::Waits(Turn::new(self.part.limiter(&self.policy), ticket), now),
            Ok(Entry::Taken(taken)) => match self.admit_to_breaker(taken, now) {
                Ok(()) => Decision::Admitted,
                Err(rejected) => Decision::Rejected(rejected),
            },
        }
    }

    /// Whether the breaker refuses attempts at an instant, and for how long.
    fn check_breaker(&self, at: u64) -> Result<(), Duration> {
        let Some(State { breaker, .. }) = self.part.known(&self.policy) else { return Ok(()) };
        if breaker.pass_if_closed().is_some() {
            return Ok(());
        }
        // One that is forced open refuses without settings, too.
        breaker.check(at, &self.breaker().unwrap_or(NO_BREAKER)).map_err(|open| open.retry_after)
    }

    /// The breaker's permit, and what it changed; or for how long it gives none.
    fn permit(&self, now: u64) -> Result<(Pass, Option<Change>), Duration> {
        let Some(State { breaker, .. }) = self.part.known(&self.policy) else {
            return Ok((Pass(self.part.first(&self.policy)), None));
        };
        breaker.admit(now, &self.breaker().unwrap_or(NO_BREAKER)).map_err(|open| open.retry_after)
    }

    /// The last step: the breaker's permit. What was taken goes back if there is none.
    fn admit_to_breaker(&mut self, taken: Taken, now: u64) -> Result<(), Rejected> {
        let (pass, change) = match self.permit(now) {
            Ok(permit) => permit,
            Err(retry_after) => {
                self.state().limiter.give_back(taken);
                return Err(self.circuit_open(retry_after));
            }
        };
        self.since = now;
        self.granted = taken.at();
        self.attempts = self.attempts.saturating_add(1);
        self.running = Running::attempt(pass, taken.flight());
        self.changed(change);
        Ok(())
    }

    /// Waits for a turn, since an instant.
    pub(crate) async fn wait(&mut self, turn: Turn<S::Limiter>, since: u64) -> Result<(), Rejected> {
        count(&self.policy.counters.waits);
        let ended = turn.await;
        let now = clock::now();
        if self.policy.is_shadow() || matches!(ended, Err(Refusal::LetGo)) {
            // It began to watch meanwhile: nothing that came of the wait holds the call up.
            if let Ok(taken) = ended {
                self.state().limiter.give_back(taken);
            }
            self.admit_in_shadow(now);
            return Ok(());
        }
        let taken = match ended {
            Ok(taken) => taken,
            Err(refused) => return Err(self.refused(refused)),
        };
        if now >= self.deadline {
            // The runtime stood still: the call is over.
            self.state().limiter.give_back(taken);
            return Err(self.call_timed_out(now.saturating_sub(since)));
        }
        self.admit_to_breaker(taken, now)?;
        self.tell(false, EventKind::Waited { wait: Duration::from_nanos(now.saturating_sub(since)) });
        Ok(())
    }

    pub(crate) async fn admitted(&mut self) -> Result<(), Rejected> {
        if self.admit_timed() {
            return Ok(());
        }
        match self.admit_slowly() {
            Admission::Admitted => Ok(()),
            Admission::Rejected(rejected) => Err(rejected),
            Admission::Waiting(wait) => wait.await,
        }
    }

    // ---- the attempt

    /// The attempt, ended by the timeouts of its site: the timer is part of the future.
    #[inline]
    pub fn timed<F: Future>(&self, body: F) -> Timed<F, Timer> {
        Timed { body, limit: self.limit(), timer: None }
    }

    /// The attempt, ended by timeouts that the policy may have: the timer is made if it is needed.
    #[inline]
    pub fn maybe_timed<F: Future>(&self, body: F) -> Timed<F, Pin<Box<Timer>>> {
        Timed { body, limit: self.limit(), timer: None }
    }

    /// The attempt, which may ask for its number and say what it has heard.
    #[inline]
    pub fn watched<'h, F: Future>(&self, heard: &'h Heard, body: F) -> Watched<'h, F> {
        Watched { body, attempt: self.attempts, heard }
    }

    /// When the attempt has to end; `u64::MAX` for never.
    fn limit(&self) -> u64 {
        // Of a call that began before its policy only watched.
        let is_free = self.attempts > 1 && self.policy.is_shadow();
        self.since.saturating_add(self.attempt_timeout()).min(if is_free { u64::MAX } else { self.deadline })
    }

    // ---- what happened

    fn changed(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.policy.changed(change);
        }
    }

    /// Tells those who watch, without a lock. Whether something happened in shadow is known to who did it: the policy may be in
    /// shadow only since then.
    fn tell(&self, shadow: bool, kind: EventKind) {
        telemetry::tell(&self.policy, shadow, kind);
    }
}

impl<'p, S: Part<'p>> Drop for Call<'p, S> {
    #[inline]
    fn drop(&mut self) {
        if self.running != Running::NOTHING {
            self.abandon();
        }
        self.part.leave(&self.policy);
    }
}
