//! A policy: a name, settings, and the state that they govern. Plain atomics, made in a `static`, shared by path.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guard_spec::{Breaker, Concurrency, InvalidSettings, Quota, Rate, Retry, Settings};

use crate::breaker::{BreakerState, CircuitBreaker};
use crate::call::{Call, Part};
use crate::counters::Counters;
use crate::keyed::{Keyed, State};
use crate::verdict::{self, Judged};
use crate::{Error, PolicyName, telemetry};

/// The rules for calling one service, and what they have seen of it so far.
///
/// A guarded function has one of its own, or shares one by its path:
///
/// ```
/// use apiguard::{Breaker, Policy, Rate, Settings};
///
/// static STRIPE: Policy = Policy::new(
///     "stripe",
///     Settings::new().rate(Rate::per_second(100).burst(20)).breaker(Breaker::consecutive(5)),
/// );
/// assert_eq!(STRIPE.snapshot().name, "stripe");
/// ```
///
/// (`policy!` does the same and lists it in the registry.)
pub struct Policy {
    name: PolicyName,
    settings: Settings,
    pub(crate) state: State,
    /// A state for each key of the calls that have one.
    pub(crate) keys: Keyed<u64, State>,
    pub(crate) counters: Counters,
}

impl Policy {
    /// A policy with these settings, full buckets and a closed breaker.
    ///
    /// # Panics
    /// When a setting is out of range: in a `static` or `const` that is a compile error. For settings that come at run
    /// time there is [`Policy::builder`].
    #[track_caller]
    pub const fn new(name: &'static str, settings: Settings) -> Policy {
        Policy::unchecked(PolicyName::new(name), &settings.checked())
    }

    /// A policy whose name and settings are known at run time only.
    ///
    /// ```
    /// use apiguard::{Policy, Rate};
    ///
    /// let policy = Policy::builder("tenant-7").rate(Rate::per_second(10)).build()?;
    /// let wrong = Policy::builder("tenant-8").rate(Rate::per_second(0)).build().unwrap_err();
    /// assert_eq!(wrong.to_string(), "`rate = \"0/s\"` never admits a call; write at least `1/s`");
    /// # Ok::<(), apiguard::InvalidSettings>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder { name: name.into(), settings: Settings::new() }
    }

    pub(crate) const fn unchecked(name: PolicyName, settings: &Settings) -> Policy {
        Policy {
            name,
            settings: *settings,
            state: State::unchecked(settings),
            keys: Keyed::new(),
            counters: Counters::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn policy_name(&self) -> &PolicyName {
        &self.name
    }

    /// Its settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls an async closure under this policy: limits, breaker, retries and timeouts as with the attribute.
    ///
    /// The closure runs once per attempt, so it borrows what it needs or clones it inside. (In a task that is spawned write
    /// `async move ||` and clone inside: the compiler does not yet see that a borrowing async closure is `Send`.) An error is judged by the
    /// first in its chain of sources that is known (an I/O, reqwest or status error, a rejection by another guard), else
    /// it is transient; [`call_with`](Policy::call_with) judges otherwise.
    ///
    /// ```
    /// # use apiguard::{Policy, Settings, Retry};
    /// static FLAKY: Policy = Policy::new("flaky", Settings::new().retries(Retry::new(3)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let answer = FLAKY.call(async || Ok::<_, std::io::Error>(42)).await;
    /// assert_eq!(answer.unwrap(), 42);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Rejected`] when the guard did not run the call or gave up on it; [`Error::Call`] with the last attempt's
    /// error and the number of attempts.
    ///
    /// # Cancel safety
    /// Dropping the future at any point gives back what it holds: a place among the waiters, tokens whose attempt has
    /// not begun, a probe's place.
    pub async fn call<T, E, F>(&self, attempt: F) -> Result<T, Error<E>>
    where
        F: AsyncFnMut() -> Result<T, E>,
        E: std::error::Error + 'static,
    {
        let judge = |outcome: &Result<T, E>| match outcome {
            Ok(_) => Judged::SUCCESS,
            Err(error) => verdict::judge_chain(error),
        };
        self.run(Call::new(self, None), attempt, judge).await
    }

    /// Calls an async closure under the limits and the breaker that this policy has for a key: each key has its own, and one
    /// that is idle costs nothing. (As `key = …` in the attribute; [`Keyed`](crate::Keyed) says more.)
    ///
    /// # Errors
    /// As [`call`](Policy::call).
    ///
    /// # Cancel safety
    /// As [`call`](Policy::call).
    pub async fn call_keyed<Q, T, E, F>(&self, key: &Q, attempt: F) -> Result<T, Error<E>>
    where
        Q: Hash + ?Sized,
        F: AsyncFnMut() -> Result<T, E>,
        E: std::error::Error + 'static,
    {
        let judge = |outcome: &Result<T, E>| match outcome {
            Ok(_) => Judged::SUCCESS,
            Err(error) => verdict::judge_chain(error),
        };
        self.run(Call::keyed(self, None, key), attempt, judge).await
    }

    /// Calls an async closure under this policy and judges its outcomes by a function.
    ///
    /// # Errors
    /// As [`call`](Policy::call).
    ///
    /// # Cancel safety
    /// As [`call`](Policy::call).
    pub async fn call_with<T, E, F, C>(&self, classify: C, attempt: F) -> Result<T, Error<E>>
    where
        F: AsyncFnMut() -> Result<T, E>,
        C: Fn(&Result<T, E>) -> crate::Verdict,
    {
        self.run(Call::new(self, None), attempt, |outcome| Judged::by(classify(outcome))).await
    }

    async fn run<'p, S, T, E, F, J>(&'p self, mut call: Call<'p, S>, mut attempt: F, judge: J) -> Result<T, Error<E>>
    where
        S: Part<'p>,
        F: AsyncFnMut() -> Result<T, E>,
        J: Fn(&Result<T, E>) -> Judged,
    {
        loop {
            call.admitted().await.map_err(Error::Rejected)?;
            let pause = match call.maybe_timed(attempt()).await {
                Ok(outcome) => {
                    let judged = judge(&outcome);
                    let pause = if call.succeeded(&judged) { None } else { call.settle(&judged) };
                    match pause {
                        Some(pause) => pause,
                        None => return outcome.map_err(|source| Error::Call { source, attempts: call.attempts() }),
                    }
                }
                Err(timed_out) => call.settle_timed_out(timed_out).map_err(Error::Rejected)?,
            };
            pause.await;
        }
    }

    /// Rejects every call until [`force_closed`](Policy::force_closed) or [`reset`](Policy::reset). Nothing for a policy
    /// without a breaker.
    pub fn force_open(&self) {
        self.force(BreakerState::ForcedOpen);
    }

    /// Keeps the breaker closed, whatever fails, until [`force_open`](Policy::force_open) or [`reset`](Policy::reset).
    pub fn force_closed(&self) {
        self.force(BreakerState::ForcedClosed);
    }

    /// Closes the breaker and forgets what it has counted, and ends a pause that a server asked for. Tokens are not given
    /// back: the server has seen those attempts.
    pub fn reset(&self) {
        self.each_state(|state| state.limiter.resume());
        self.force(BreakerState::Closed);
    }

    fn force(&self, state: BreakerState) {
        self.each_state(|each| {
            if let Some(change) = each.breaker.as_ref().and_then(|breaker| breaker.force(state)) {
                telemetry::changed(&self.name, change);
            }
        });
    }

    fn each_state(&self, change: impl Fn(&State)) {
        change(&self.state);
        self.keys.values().iter().for_each(|state| change(state));
    }

    /// The state of a key, by its hash.
    pub(crate) fn state_of<T: Hash + ?Sized>(&self, key: &T) -> Arc<State> {
        let hash = self.keys.hash_of(key);
        self.keys.get_or_insert_with(&hash, || {
            let state = State::unchecked(self.settings());
            // A key that comes while the policy is forced open or closed is, too.
            if let (Some(breaker), Some(all)) = (&state.breaker, &self.state.breaker) {
                if matches!(all.state(), BreakerState::ForcedOpen | BreakerState::ForcedClosed) {
                    breaker.force(all.state());
                }
            }
            state
        })
    }

    /// What it has done so far and how it stands.
    pub fn snapshot(&self) -> Snapshot {
        let State { limiter, breaker } = &self.state;
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        // Before the outcomes and rejections that they are a part of, so that `calls` is never too low.
        let (retries, rejected_retries) = (read(&counters.retries), read(&counters.rejected_retries));
        let outcomes = Outcomes {
            successes: counters.successes(),
            permanent: read(&counters.permanent),
            failures: read(&counters.failures),
            throttled: read(&counters.throttled),
            abandoned: read(&counters.abandoned),
        };
        let rejections = Rejections {
            rate_limited: read(&counters.rate_limited),
            circuit_open: read(&counters.circuit_open),
            timed_out: read(&counters.calls_timed_out),
            saturated: read(&counters.saturated),
            other: read(&counters.rejected_otherwise),
        };
        let never_ran = rejections.total().saturating_sub(rejected_retries);
        Snapshot {
            name: self.name.clone(),
            settings: *self.settings(),
            calls: outcomes.total().saturating_sub(retries) + never_ran,
            retries,
            waits: read(&counters.waits),
            timed_out: read(&counters.timed_out),
            outcomes,
            rejections,
            tokens: limiter.available(),
            in_flight: limiter.in_flight(),
            waiting: limiter.waiting(),
            breaker: breaker.as_ref().map(CircuitBreaker::state),
            failures_in_a_row: breaker.as_ref().map_or(0, CircuitBreaker::failures),
            keys: self.keys.len(),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name).field("settings", self.settings()).finish_non_exhaustive()
    }
}

/// Makes a [`Policy`] from settings that are known at run time only.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicyBuilder {
    name: String,
    settings: Settings,
}

impl PolicyBuilder {
    /// All settings at once.
    pub fn settings(mut self, settings: Settings) -> PolicyBuilder {
        self.settings = settings;
        self
    }

    /// Limits the rate of attempts.
    pub fn rate(mut self, rate: Rate) -> PolicyBuilder {
        self.settings = self.settings.rate(rate);
        self
    }

    /// Limits the attempts in any window: by this quota alone.
    pub fn quota(mut self, quota: Quota) -> PolicyBuilder {
        self.settings = self.settings.quota(quota);
        self
    }

    /// Limits the attempts in flight.
    pub fn concurrency(mut self, concurrency: Concurrency) -> PolicyBuilder {
        self.settings = self.settings.concurrency(concurrency);
        self
    }

    /// Stops calling while the service is down.
    pub fn breaker(mut self, breaker: Breaker) -> PolicyBuilder {
        self.settings = self.settings.breaker(breaker);
        self
    }

    /// Repeats attempts that failed in a way that may pass.
    pub fn retries(mut self, retries: Retry) -> PolicyBuilder {
        self.settings = self.settings.retries(retries);
        self
    }

    /// Bounds a whole call.
    pub fn timeout(mut self, timeout: Duration) -> PolicyBuilder {
        self.settings = self.settings.timeout(timeout);
        self
    }

    /// Bounds one attempt.
    pub fn attempt_timeout(mut self, timeout: Duration) -> PolicyBuilder {
        self.settings = self.settings.attempt_timeout(timeout);
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn build(self) -> Result<Policy, InvalidSettings> {
        self.settings.validate()?;
        Ok(Policy::unchecked(PolicyName::from(self.name), &self.settings))
    }
}

/// How a policy stands and what it has done since the program began. Each number is exact; while calls run, two of them
/// may be a moment apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The policy's name.
    pub name: PolicyName,
    /// Its settings.
    pub settings: Settings,
    /// Calls that have made an attempt or were rejected.
    pub calls: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
    /// Attempts that had to wait for their turn.
    pub waits: u64,
    /// Attempts that were ended by a timeout of the policy (they count as failures, too).
    pub timed_out: u64,
    /// What the attempts returned.
    pub outcomes: Outcomes,
    /// Calls that were not let through or given up on.
    pub rejections: Rejections,
    /// Tokens that are there for the taking, by the limit that has fewest; `None` without a rate or a quota.
    pub tokens: Option<u32>,
    /// Attempts in flight; `None` where they are not limited.
    pub in_flight: Option<u32>,
    /// Tasks that wait for their turn.
    pub waiting: usize,
    /// Which way the breaker stands; `None` without one.
    pub breaker: Option<BreakerState>,
    /// Failures in a row that the closed breaker has counted.
    pub failures_in_a_row: u32,
    /// Keys that have a state of their own (`key = …`); tokens, breaker and what else stands above are those of the calls that
    /// have no key.
    pub keys: usize,
}

impl Snapshot {
    /// All attempts that have ended.
    pub fn attempts(&self) -> u64 {
        self.outcomes.total()
    }
}

/// What attempts returned, by what it meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcomes {
    /// It worked.
    pub successes: u64,
    /// The caller's fault.
    pub permanent: u64,
    /// The service's fault, retried or not.
    pub failures: u64,
    /// The service asked for fewer requests.
    pub throttled: u64,
    /// Dropped by the caller, or ended by a panic.
    pub abandoned: u64,
}

impl Outcomes {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.successes + self.permanent + self.failures + self.throttled + self.abandoned
    }
}

/// Calls that a policy did not let through or gave up on, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejections {
    /// By the rate.
    pub rate_limited: u64,
    /// As many attempts as may be were in flight, for too long.
    pub saturated: u64,
    /// By the breaker.
    pub circuit_open: u64,
    /// By a timeout of the policy, after their attempts.
    pub timed_out: u64,
    /// For another reason.
    pub other: u64,
}

impl Rejections {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.rate_limited + self.circuit_open + self.timed_out + self.saturated + self.other
    }
}

/// One line; with `{:#}` the settings, too.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { name, calls, retries, outcomes, rejections, .. } = self;
        write!(f, "{name}: {calls} calls, {} attempts", self.attempts())?;
        write_parts(
            f,
            &[
                (outcomes.successes, "good"),
                (outcomes.permanent, "permanent"),
                (outcomes.failures, "failed"),
                (outcomes.throttled, "throttled"),
                (outcomes.abandoned, "abandoned"),
            ],
        )?;
        write!(f, ", {retries} retries, {} rejected", rejections.total())?;
        write_parts(
            f,
            &[
                (rejections.rate_limited, "rate limited"),
                (rejections.saturated, "saturated"),
                (rejections.circuit_open, "circuit open"),
                (rejections.timed_out, "timed out"),
                (rejections.other, "for another reason"),
            ],
        )?;
        if let Some(tokens) = self.tokens {
            write!(f, "; {tokens} tokens, {} waiting", self.waiting)?;
        }
        if let Some(breaker) = self.breaker {
            write!(f, "; breaker {breaker}")?;
        }
        if f.alternate() { write!(f, " ({})", self.settings) } else { Ok(()) }
    }
}

/// ` (3 good, 1 failed)`, without those that are zero.
fn write_parts(f: &mut fmt::Formatter<'_>, parts: &[(u64, &str)]) -> fmt::Result {
    let mut opening = " (";
    for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
        write!(f, "{opening}{count} {what}")?;
        opening = ", ";
    }
    if opening == ", " { f.write_str(")") } else { Ok(()) }
}
