//! The maths of the breaker: what a state admits, and what a result makes of it. Numbers in, numbers out; no clock.

use std::fmt;

use guard_spec::Breaker;

use crate::clock::{self, NANOS_PER_MS};

/// Which way a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Everything is let through.
    Closed,
    /// Nothing is let through until the recovery time has passed.
    Open,
    /// Some probes are let through to see whether the service is well again.
    HalfOpen,
    /// Nothing is let through until somebody says otherwise.
    ForcedOpen,
    /// Everything is let through and nothing is counted until somebody says otherwise.
    ForcedClosed,
}

impl BreakerState {
    /// `closed`, `open`, `half-open`, `forced-open` or `forced-closed`.
    pub const fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
            BreakerState::ForcedOpen => "forced-open",
            BreakerState::ForcedClosed => "forced-closed",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// In which generation an attempt was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass(pub(crate) u32);

/// What an attempt says of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Good,
    Bad,
    /// It answered, and the caller was wrong: that ends a row of failures, and proves nothing of a probe.
    Answered,
    None,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: BreakerState,
    pub(crate) to: BreakerState,
}

/// The word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) phase: Phase,
    pub(super) generation: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed {
        failures: u32,
    },
    /// Until this millisecond.
    Open {
        until: u64,
    },
    HalfOpen {
        successes: u32,
        running: u32,
    },
    ForcedOpen,
    ForcedClosed,
}

// Layout: 3 bits of state, 20 of generation, 41 of count. A generation comes again after a million changes of state (of
// its own accord the breaker makes two in each recovery of at least a millisecond); 2^41 milliseconds are 69 years.
pub(super) const STATE_MASK: u64 = 0b111;
pub(super) const CLOSED: u64 = 0;
pub(super) const GENERATION_SHIFT: u32 = 3;
pub(super) const GENERATION_MASK: u32 = (1 << 20) - 1;
pub(super) const COUNT_SHIFT: u32 = 23;
pub(super) const COUNT_MAX: u64 = (1 << 41) - 1;
const RUNNING_BITS: u32 = 20;

impl Parts {
    pub(super) fn unpack(word: u64) -> Parts {
        let count = word >> COUNT_SHIFT;
        let phase = match word & STATE_MASK {
            CLOSED => Phase::Closed { failures: count as u32 },
            1 => Phase::Open { until: count },
            2 => Phase::HalfOpen {
                successes: (count >> RUNNING_BITS) as u32,
                running: (count & ((1 << RUNNING_BITS) - 1)) as u32,
            },
            3 => Phase::ForcedOpen,
            _ => Phase::ForcedClosed,
        };
        Parts { phase, generation: (word >> GENERATION_SHIFT) as u32 & GENERATION_MASK }
    }

    pub(super) fn pack(self) -> u64 {
        let (state, count) = match self.phase {
            Phase::Closed { failures } => (CLOSED, u64::from(failures)),
            Phase::Open { until } => (1, until.min(COUNT_MAX)),
            // Both at most 1 000, which the settings' check holds.
            Phase::HalfOpen { successes, running } => (2, u64::from(successes) << RUNNING_BITS | u64::from(running)),
            Phase::ForcedOpen => (3, 0),
            Phase::ForcedClosed => (4, 0),
        };
        count << COUNT_SHIFT | u64::from(self.generation) << GENERATION_SHIFT | state
    }

    pub(super) fn state(self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
            Phase::ForcedClosed => BreakerState::ForcedClosed,
        }
    }

    /// Another phase in the same generation.
    fn with(self, phase: Phase) -> Parts {
        Parts { phase, ..self }
    }

    /// Another phase in a new generation: results of the old one no longer count.
    pub(super) fn change_to(self, phase: Phase) -> Parts {
        Parts { phase, generation: (self.generation + 1) & GENERATION_MASK }
    }
}

/// Whether an attempt may run at `now`, and the word after that; `None` when the word stays as it is.
pub(super) fn decide(parts: Parts, now: u64, last_probe: u64, settings: &Breaker) -> Result<Option<Parts>, u64> {
    match parts.phase {
        Phase::Closed { .. } | Phase::ForcedClosed => Ok(None),
        Phase::Open { until } if now / NANOS_PER_MS >= until => {
            Ok(Some(parts.change_to(Phase::HalfOpen { successes: 0, running: 1 })))
        }
        Phase::Open { until } => Err((until * NANOS_PER_MS).saturating_sub(now)),
        Phase::HalfOpen { successes, running } if running < settings.probe_limit() => {
            Ok(Some(parts.with(Phase::HalfOpen { successes, running: running + 1 })))
        }
        Phase::HalfOpen { successes, running } if now.saturating_sub(last_probe) >= written_off_after(settings) => {
            // The newcomer takes over the place of the lost one.
            Ok(Some(parts.with(Phase::HalfOpen { successes, running })))
        }
        Phase::HalfOpen { .. } => Err(recovery(settings).min(1_000 * NANOS_PER_MS)),
        Phase::ForcedOpen => Err(recovery(settings)),
    }
}

/// The word after a result of its own generation; `None` when it stays as it is.
pub(super) fn record(parts: Parts, sign: Sign, now: u64, settings: &Breaker) -> Option<Parts> {
    let open = || {
        let until = now.saturating_add(recovery(settings)).div_ceil(NANOS_PER_MS);
        parts.change_to(Phase::Open { until })
    };
    match (parts.phase, sign) {
        (Phase::Closed { failures: 1.. }, Sign::Good | Sign::Answered) => {
            Some(parts.with(Phase::Closed { failures: 0 }))
        }
        (Phase::Closed { failures }, Sign::Bad) => {
            let failures = failures.saturating_add(1);
            let trips = failures >= settings.failure_threshold();
            Some(if trips { open() } else { parts.with(Phase::Closed { failures }) })
        }
        (Phase::HalfOpen { successes, running }, Sign::Good) => {
            let successes = successes + 1;
            Some(if successes >= settings.success_threshold() {
                parts.change_to(Phase::Closed { failures: 0 })
            } else {
                parts.with(Phase::HalfOpen { successes, running: running.saturating_sub(1) })
            })
        }
        (Phase::HalfOpen { .. }, Sign::Bad) => Some(open()),
        (Phase::HalfOpen { successes, running }, Sign::Answered | Sign::None) => {
            Some(parts.with(Phase::HalfOpen { successes, running: running.saturating_sub(1) }))
        }
        // Open and forced states admit nothing that they count.
        _ => None,
    }
}

const fn recovery(settings: &Breaker) -> u64 {
    clock::nanos(settings.recovery_time())
}

const fn written_off_after(settings: &Breaker) -> u64 {
    let (recovery, minute) = (recovery(settings), 60_000 * NANOS_PER_MS);
    if recovery > minute { recovery } else { minute }
}

pub(super) fn change(old: Parts, new: Parts) -> Option<Change> {
    (old.state() != new.state()).then(|| Change { from: old.state(), to: new.state() })
}
