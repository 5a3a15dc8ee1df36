//! The maths of the breaker: what a state admits, and what a result makes of it. Numbers in, numbers out; no clock.

use std::fmt;

use guard_spec::Breaker;

use super::window::Call;
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
    /// All of them.
    pub(crate) const ALL: [BreakerState; 5] = [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
        BreakerState::ForcedOpen,
        BreakerState::ForcedClosed,
    ];

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

impl Pass {
    /// The generation before it.
    pub(crate) fn before(self) -> Pass {
        Pass(self.0.wrapping_sub(1) & GENERATION_MASK)
    }
}

/// What an attempt says of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Good,
    Bad,
    /// It answered, and the caller was wrong: a good call among others, and it proves nothing of a probe.
    Answered,
    /// Nobody waited for its end: it says something only if it was slow by then.
    Dropped,
    None,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) sign: Sign,
    /// How long it ran, in nanoseconds.
    pub(crate) ran: u64,
    /// For how long the server does not want to be called, in nanoseconds.
    pub(crate) hold: u64,
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
    /// Closed, with a window in which every call is counted.
    Watched,
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
/// Beyond any number of failures; and not 0, so that no call passes for one that changes nothing.
const WATCHED: u64 = 1 << 40;
const RUNNING_BITS: u32 = 20;

impl Parts {
    pub(super) fn unpack(word: u64) -> Parts {
        let count = word >> COUNT_SHIFT;
        let phase = match word & STATE_MASK {
            CLOSED if count == WATCHED => Phase::Watched,
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

    pub(super) const fn pack(self) -> u64 {
        let (state, count) = match self.phase {
            Phase::Closed { failures } => (CLOSED, failures as u64),
            Phase::Watched => (CLOSED, WATCHED),
            Phase::Open { until } => (1, if until > COUNT_MAX { COUNT_MAX } else { until }),
            // Both at most 1 000, which the settings' check holds.
            Phase::HalfOpen { successes, running } => (2, (successes as u64) << RUNNING_BITS | running as u64),
            Phase::ForcedOpen => (3, 0),
            Phase::ForcedClosed => (4, 0),
        };
        count << COUNT_SHIFT | (self.generation as u64) << GENERATION_SHIFT | state
    }

    pub(super) fn state(self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } | Phase::Watched => BreakerState::Closed,
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
        Phase::Closed { .. } | Phase::Watched | Phase::ForcedClosed => Ok(None),
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

/// What a result makes of the state in which its attempt was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stay,
    /// The same state with other counts.
    To(Parts),
    /// Closed; the window decides.
    Count(Call),
    Open,
    Close,
}

/// What a result of its own generation makes of a word that was [`mended`].
pub(super) fn record(parts: Parts, ended: Ended, settings: &Breaker) -> Step {
    let slow = settings.slow_call_time().is_some_and(|least| ended.ran >= clock::nanos(least));
    match (parts.phase, ended.sign) {
        (Phase::Watched, Sign::Good | Sign::Answered) => Step::Count(Call { failed: false, slow }),
        (Phase::Watched, Sign::Bad) => Step::Count(Call { failed: true, slow }),
        (Phase::Watched, Sign::Dropped) if slow => Step::Count(Call { failed: false, slow }),
        (Phase::Closed { failures: 1.. }, Sign::Good | Sign::Answered) => {
            Step::To(parts.with(Phase::Closed { failures: 0 }))
        }
        (Phase::Closed { failures }, Sign::Bad) => {
            let failures = failures.saturating_add(1);
            let trips = settings.failure_threshold().is_some_and(|threshold| failures >= threshold);
            if trips { Step::Open } else { Step::To(parts.with(Phase::Closed { failures })) }
        }
        (Phase::HalfOpen { .. }, Sign::Bad) => Step::Open,
        (Phase::HalfOpen { .. }, Sign::Good | Sign::Dropped) if slow => Step::Open,
        (Phase::HalfOpen { successes, running }, Sign::Good) => {
            let successes = successes + 1;
            if successes >= settings.success_threshold() {
                return Step::Close;
            }
            Step::To(parts.with(Phase::HalfOpen { successes, running: running.saturating_sub(1) }))
        }
        (Phase::HalfOpen { successes, running }, Sign::Answered | Sign::Dropped | Sign::None) => {
            Step::To(parts.with(Phase::HalfOpen { successes, running: running.saturating_sub(1) }))
        }
        // Open and forced states admit nothing that they count.
        _ => Step::Stay,
    }
}

/// Closed, as these settings have it.
pub(super) const fn closed(settings: Option<&Breaker>) -> Phase {
    match settings {
        Some(settings) if settings.is_windowed() => Phase::Watched,
        _ => Phase::Closed { failures: 0 },
    }
}

/// Whether the state is one that a breaker with these settings can have: settings and state change one after the other.
pub(super) fn fits(parts: Parts, settings: Option<&Breaker>) -> bool {
    match parts.phase {
        Phase::Closed { .. } => closed(settings) != Phase::Watched,
        Phase::Watched => closed(settings) == Phase::Watched,
        _ => true,
    }
}

/// The word as its settings have it: one that does not fit them has counted nothing that they know.
pub(super) fn mended(parts: Parts, settings: &Breaker) -> Parts {
    if fits(parts, Some(settings)) { parts } else { parts.with(closed(Some(settings))) }
}

/// How the recovery has grown; all zero where it does not grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// The last recovery in nanoseconds; 0 before the first.
    last: u64,
    /// When it is forgotten, once closed.
    until: u64,
}

impl Growth {
    /// The recovery when it opens at `now`, and the growth after that.
    pub(super) fn opened(self, from: BreakerState, now: u64, settings: &Breaker) -> (u64, Growth) {
        let recovery = recovery(settings);
        let Some(cap) = settings.longest_recovery().map(clock::nanos) else { return (recovery, Growth::default()) };
        let is_forgotten = self.last == 0 || from == BreakerState::Closed && now >= self.until;
        let next = if is_forgotten { recovery } else { self.last.saturating_mul(2).min(cap) };
        (next, Growth { last: next, until: 0 })
    }

    /// After it closes at `now`.
    pub(super) fn closed(self, now: u64) -> Growth {
        Growth { until: now.saturating_add(self.last), ..self }
    }

    /// Whether nothing of it is left for a closed breaker.
    pub(super) fn is_over(self, now: u64) -> bool {
        self.last == 0 || now >= self.until
    }
}

/// The millisecond at which probing may begin after it opens at `now`: after the recovery or when the server allows it, at
/// most an hour later, and a part of that at random; `random` being uniform in 0..2^64.
pub(super) fn open_until(now: u64, recovery: u64, hold: u64, random: u64, settings: &Breaker) -> u64 {
    let least = recovery.max(hold.min(LONGEST_HOLD));
    let share = u128::from(settings.recovery_randomness().millionths());
    let most = u128::from(least) * share / 1_000_000;
    let more = (most.min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    now.saturating_add(least).saturating_add(more as u64).div_ceil(NANOS_PER_MS)
}

/// A server holds a breaker open for at most one hour.
const LONGEST_HOLD: u64 = 3_600_000 * NANOS_PER_MS;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000 * NANOS_PER_MS;

    #[test]
    fn the_recovery_doubles_until_it_stays_closed_as_long() {
        let settings = Breaker::consecutive(1).recovery(Duration::from_secs(10)).recovery_cap(Duration::from_secs(35));
        let mut growth = Growth::default();
        let open = |growth: &mut Growth, from, second: u64| {
            let (recovery, next) = growth.opened(from, second * SECOND, &settings);
            *growth = next;
            recovery / SECOND
        };
        assert_eq!(open(&mut growth, BreakerState::Closed, 0), 10);
        assert_eq!(open(&mut growth, BreakerState::HalfOpen, 10), 20);
        assert_eq!(open(&mut growth, BreakerState::HalfOpen, 30), 35, "the cap");
        growth = growth.closed(100 * SECOND);
        assert!(!growth.is_over(134 * SECOND));
        assert_eq!(open(&mut growth, BreakerState::Closed, 134), 35, "closed for too short a time");
        growth = growth.closed(200 * SECOND);
        assert!(growth.is_over(235 * SECOND));
        assert_eq!(open(&mut growth, BreakerState::Closed, 235), 10);
        let plain = Breaker::consecutive(1);
        let (recovery, none) = growth.opened(BreakerState::HalfOpen, 0, &plain);
        assert_eq!((recovery, none), (60 * SECOND, Growth::default()), "without a cap nothing grows");
    }

    #[test]
    fn a_probe_that_does_not_end_is_written_off_after_the_recovery_or_a_minute() {
        let parts = Parts { phase: Phase::HalfOpen { successes: 0, running: 1 }, generation: 0 };
        for (recovery, after) in [(10, 60), (60, 60), (300, 300)] {
            let settings = Breaker::consecutive(1).recovery(Duration::from_secs(recovery)).probes(1);
            let decided = |second| decide(parts, second * SECOND, 0, &settings);
            assert!(decided(after - 1).is_err(), "{recovery} s");
            assert_eq!(decided(after), Ok(Some(parts)), "{recovery} s");
        }
    }

    #[test]
    fn generations_go_round() {
        assert_eq!(Pass(1).before(), Pass(0));
        assert_eq!(Pass(0).before(), Pass(GENERATION_MASK), "which fits beside what else a call keeps in its word");
    }

    #[test]
    fn jitter_and_a_servers_word_lengthen_only() {
        let settings = Breaker::consecutive(1).recovery_jitter(0.5);
        let until =
            |recovery: u64, hold: u64, random| open_until(0, recovery * SECOND, hold, random, &settings) / 1_000;
        assert_eq!(until(10, 0, 0), 10);
        assert_eq!(until(10, 0, 1 << 63), 12);
        assert_eq!(until(10, 0, u64::MAX), 15, "rounded up to the millisecond");
        assert_eq!(until(10, 20 * SECOND, 0), 20);
        assert_eq!(until(10, 20 * SECOND, u64::MAX), 30);
        assert_eq!(until(10, u64::MAX, 0), 3_600, "at most an hour");
        assert_eq!(until(86_400, u64::MAX, 0), 86_400);
        assert_eq!(open_until(u64::MAX, u64::MAX, u64::MAX, u64::MAX, &settings), u64::MAX.div_ceil(NANOS_PER_MS));
    }
}
