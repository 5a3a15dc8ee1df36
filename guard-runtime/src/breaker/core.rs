//! The state of a breaker: one atomic word, changed by compare-exchange only.
//!
//! The word holds the state, a generation that every change of state moves on, and what the state counts: failures in a
//! row (closed), the millisecond at which probing may begin (open), good probes and running probes (half-open). An
//! attempt carries the generation in which it was admitted; its result counts only while that is the present one, so
//! nothing that was admitted before a change counts after it. Closed and healthy, an attempt costs two loads.
//!
//! Orderings: the word is the whole truth of the state, so the good path's loads are relaxed. `last_probe` only ever grows
//! and is written before the exchange that publishes its probe; the exchange releases and the bad path's loads acquire, so
//! whoever sees a probe's place taken sees when: it may be taken for younger than it is, never for older.

use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::time::Duration;

use guard_spec::Breaker;

use super::CircuitOpen;
use super::state::{
    BreakerState, CLOSED, COUNT_SHIFT, Change, GENERATION_MASK, GENERATION_SHIFT, Parts, Pass, Phase, STATE_MASK, Sign,
    change, decide, record,
};
use crate::clock::{self, NANOS_PER_MS};

/// The state of a breaker, whose settings are kept elsewhere: those of a policy are the same for all its keys, and change
/// while it runs. One that is never told of a failure stays closed, which is as good as none.
pub(crate) struct Core {
    word: AtomicU64,
    /// When the last probe was admitted.
    last_probe: AtomicU64,
}

impl Core {
    /// Closed.
    pub(crate) const fn new() -> Core {
        Core { word: AtomicU64::new(0), last_probe: AtomicU64::new(0) }
    }

    /// Which way it stands. Open becomes half-open when the recovery time has passed.
    pub(crate) fn state(&self) -> BreakerState {
        let parts = self.load();
        match parts.phase {
            Phase::Open { until } if clock::now() / NANOS_PER_MS >= until => BreakerState::HalfOpen,
            _ => parts.state(),
        }
    }

    /// Failures in a row; 0 unless closed.
    pub(crate) fn failures(&self) -> u32 {
        match self.load().phase {
            Phase::Closed { failures } => failures,
            _ => 0,
        }
    }

    /// Whether it is as if it had just been made.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.load().phase, Phase::Closed { failures: 0 })
    }

    /// To the forced state, or closed for any other; attempts that are running now do not count any more.
    pub(crate) fn force(&self, state: BreakerState) -> Option<Change> {
        let phase = match state {
            BreakerState::ForcedOpen => Phase::ForcedOpen,
            BreakerState::ForcedClosed => Phase::ForcedClosed,
            _ => Phase::Closed { failures: 0 },
        };
        let mut word = self.word.load(Acquire);
        loop {
            let old = Parts::unpack(word);
            let new = old.change_to(phase);
            match self.word.compare_exchange_weak(word, new.pack(), AcqRel, Acquire) {
                Ok(_) => return change(old, new),
                Err(changed) => word = changed,
            }
        }
    }

    pub(super) fn load(&self) -> Parts {
        Parts::unpack(self.word.load(Acquire))
    }

    /// The good path of [`admit`](Core::admit): one load.
    #[inline]
    pub(crate) fn pass_if_closed(&self) -> Option<Pass> {
        let word = self.word.load(Relaxed);
        (word & STATE_MASK == CLOSED).then_some(Pass((word >> GENERATION_SHIFT) as u32 & GENERATION_MASK))
    }

    /// Whether it is closed and a good result would change nothing: one load.
    #[inline]
    pub(crate) fn is_well(&self) -> bool {
        let word = self.word.load(Relaxed);
        word & STATE_MASK == CLOSED && word >> COUNT_SHIFT == 0
    }

    /// Whether attempts are refused at an instant; takes nothing.
    pub(crate) fn check(&self, now: u64, settings: &Breaker) -> Result<(), CircuitOpen> {
        match decide(self.load(), now, self.last_probe.load(Relaxed), settings) {
            Ok(_) => Ok(()),
            Err(nanos) => Err(CircuitOpen { retry_after: Duration::from_nanos(nanos) }),
        }
    }

    /// Lets an attempt through or not.
    pub(crate) fn admit(&self, now: u64, settings: &Breaker) -> Result<(Pass, Option<Change>), CircuitOpen> {
        match self.pass_if_closed() {
            Some(pass) => Ok((pass, None)),
            None => self.admit_slowly(now, settings),
        }
    }

    #[cold]
    fn admit_slowly(&self, now: u64, settings: &Breaker) -> Result<(Pass, Option<Change>), CircuitOpen> {
        let mut word = self.word.load(Acquire);
        loop {
            let parts = Parts::unpack(word);
            let last_probe = self.last_probe.load(Relaxed);
            let next = decide(parts, now, last_probe, settings)
                .map_err(|nanos| CircuitOpen { retry_after: Duration::from_nanos(nanos) })?;
            let Some(next) = next else { return Ok((Pass(parts.generation), None)) };
            if next == parts {
                // A probe is written off: the word stays, and of those who come at once one takes the place.
                if self.last_probe.compare_exchange(last_probe, now, AcqRel, Acquire).is_ok() {
                    return Ok((Pass(parts.generation), None));
                }
                word = self.word.load(Acquire);
                continue;
            }
            // Before the exchange: see "Orderings" above.
            self.last_probe.fetch_max(now, Relaxed);
            match self.word.compare_exchange_weak(word, next.pack(), AcqRel, Acquire) {
                Ok(_) => return Ok((Pass(next.generation), change(parts, next))),
                Err(changed) => word = changed,
            }
        }
    }

    /// Records what an attempt that was let through says of the service.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle(&self, pass: Pass, sign: Sign, now: u64, settings: &Breaker) -> Option<Change> {
        let mut word = self.word.load(Acquire);
        loop {
            let parts = Parts::unpack(word);
            if parts.generation != pass.0 {
                return None;
            }
            let next = record(parts, sign, now, settings)?;
            match self.word.compare_exchange_weak(word, next.pack(), AcqRel, Acquire) {
                Ok(_) => return change(parts, next),
                Err(changed) => word = changed,
            }
        }
    }
}
