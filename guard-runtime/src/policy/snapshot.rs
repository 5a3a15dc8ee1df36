//! How a policy stands: plain numbers, to be shown or sent.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guard_spec::Settings;

use crate::breaker::Counts;
use crate::clock::NANOS_PER_MS;
use crate::{BreakerState, PolicyName};

/// How a policy stands and what it has done since the program began. Each number is exact; while calls run, two of them
/// may be a moment apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The policy's name.
    pub name: PolicyName,
    /// Its settings.
    pub settings: Settings,
    /// Calls whose first attempt has ended, or that were rejected before it.
    pub calls: u64,
    /// Attempts after the first of a call that have ended.
    pub retries: u64,
    /// Retries that were not made since the budget did not allow them: the outcome was returned.
    pub over_budget: u64,
    /// Retries that the budget allows now; `None` without retries or without a budget (that of a function which sets
    /// `retries` for itself is not told).
    pub retry_budget: Option<u32>,
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
    /// Which way the breaker stands; `None` without one, unless it is forced.
    pub breaker: Option<BreakerState>,
    /// Failures in a row that the closed breaker has counted; 0 for one with a window.
    pub failures_in_a_row: u32,
    /// What the window of the breaker holds; `None` without one.
    pub window: Option<InWindow>,
    /// The last change of the breaker, or of one of the keys'.
    pub last_change: Option<Transition>,
    /// What a policy in shadow would have done.
    pub shadow: Unenforced,
    /// Keys that have something of their own (`key = …`), those included that are idle and have not been dropped yet. What is said
    /// above of tokens, breaker and waiting tasks is that of the calls without a key.
    pub keys: usize,
}

impl Snapshot {
    /// All attempts that have ended.
    pub fn attempts(&self) -> u64 {
        self.outcomes.total()
    }
}

/// The attempts that the window of a breaker holds: none unless it is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InWindow {
    /// All of them.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow.
    pub slow: u64,
}

impl From<Counts> for InWindow {
    fn from(Counts { calls, failures, slow }: Counts) -> InWindow {
        InWindow { calls, failures, slow }
    }
}

/// A change of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// What it was.
    pub from: BreakerState,
    /// What it became.
    pub to: BreakerState,
    /// How long ago, to the millisecond.
    pub ago: Duration,
}

/// What a policy in shadow let through and would not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unenforced {
    /// Calls that it would have rejected.
    pub rejected: u64,
    /// Attempts that would have waited for their turn.
    pub delayed: u64,
    /// Attempts that it would have retried.
    pub retried: u64,
}

/// When a breaker changed last, and how: one word, in ms above the two states.
pub(super) struct LastChange(AtomicU64);

impl LastChange {
    pub(super) const fn new() -> LastChange {
        LastChange(AtomicU64::new(0))
    }

    pub(super) fn set(&self, from: BreakerState, to: BreakerState, now: u64) {
        // A breaker changes to another state: so 0 is none.
        let states = (from as u64) << 4 | to as u64;
        self.0.store(((now / NANOS_PER_MS) << 8) | states, Relaxed);
    }

    pub(super) fn read(&self, now: u64) -> Option<Transition> {
        let word = self.0.load(Relaxed);
        let state = |nibble: u64| BreakerState::ALL.get((nibble & 15) as usize).copied();
        let (from, to) = (state(word >> 4)?, state(word)?);
        let ago = Duration::from_millis((now / NANOS_PER_MS).saturating_sub(word >> 8));
        (from != to).then_some(Transition { from, to, ago })
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
    /// By a rate, a quota, or a pause that the server asked for.
    pub rate_limited: u64,
    /// As many attempts as may be were in flight, for too long.
    pub saturated: u64,
    /// By the breaker.
    pub circuit_open: u64,
    /// By a timeout of the policy, after their attempts.
    pub timed_out: u64,
    /// For another reason: they cost more than there can ever be (`cost_too_high`).
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
        if self.keys > 0 {
            // What stands below is that of the calls without one.
            write!(f, "; {} keys", self.keys)?;
        } else {
            if let Some(tokens) = self.tokens {
                write!(f, "; {tokens} tokens, {} waiting", self.waiting)?;
            }
            if let Some(in_flight) = self.in_flight {
                write!(f, "; {in_flight} in flight")?;
            }
        }
        if let Some(breaker) = self.breaker.filter(|breaker| self.keys == 0 || *breaker != BreakerState::Closed) {
            write!(f, "; breaker {breaker}")?;
        }
        if self.settings.is_shadow() {
            let Unenforced { rejected, delayed, retried } = self.shadow;
            write!(f, "; in shadow, would have rejected {rejected}, delayed {delayed}, retried {retried}")?;
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
