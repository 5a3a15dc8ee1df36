//! The circuit breaker: one atomic word, changed by compare-exchange only.
//!
//! ```text
//!            `failures` failures in a row
//!   closed ------------------------------> open <---------+
//!      ^                                     |            | one failure
//!      |                                     | `recovery` |
//!      +---------- half-open <---------------+            |
//!  `successes` good   |                                   |
//!  probes in a row    +-----------------------------------+
//! ```
//!
//! The word holds the state, a generation that every change of state moves on, and what the state counts: failures in a
//! row (closed), the millisecond at which probing may begin (open), good probes and running probes (half-open). An
//! attempt carries the generation in which it was admitted; its result counts only while that is the present one, so
//! nothing that was admitted before a change counts after it. Closed and healthy, an attempt costs two loads.
//!
//! An answer that is the caller's own mistake ends a row of failures and decides no probe; a throttled call and an attempt
//! that was dropped early say nothing; all of them free a probe's place. A probe that does not end (its permit was leaked,
//! or the service is slow) is written off after `recovery`, at least 60 s: another one takes its place. If it ends after
//! all its result counts, and as long as both ran one more than `probes` may have run.
//!
//! Orderings: the word is the whole truth of the state, so the good path's loads are relaxed. `last_probe` only ever grows
//! and is written before the exchange that publishes its probe; the exchange releases and the bad path's loads acquire, so
//! whoever sees a probe's place taken sees when: it may be taken for younger than it is, never for older.
//!
//! Source of the pattern: Michael Nygard, "Release It!", 2007; of the generations: Sony's gobreaker.

mod state;

use std::fmt;
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::time::Duration;

use guard_spec::{Breaker, Problem, Settings};

pub use self::state::BreakerState;
use self::state::{
    CLOSED, COUNT_SHIFT, GENERATION_MASK, GENERATION_SHIFT, Parts, Phase, STATE_MASK, change, decide, record,
};
pub(crate) use self::state::{Change, Pass, Sign};
use crate::clock::{self, NANOS_PER_MS};
use crate::sync::AtomicU64;

/// A circuit breaker: stops calling a service that is down, and finds out when it is well again.
///
/// ```
/// use apiguard::{Breaker, BreakerState, CircuitBreaker};
///
/// let breaker = CircuitBreaker::new(Breaker::consecutive(2))?;
/// for _ in 0..2 {
///     breaker.try_acquire().unwrap().failure();
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// assert!(breaker.try_acquire().is_err());
/// # Ok::<(), apiguard::Problem>(())
/// ```
pub struct CircuitBreaker {
    core: Core,
    settings: Breaker,
}

/// The state of a breaker, whose settings are kept elsewhere: those of a policy are the same for all its keys, and change
/// while it runs. One that is never told of a failure stays closed, which is as good as none.
pub(crate) struct Core {
    word: AtomicU64,
    /// When the last probe was admitted.
    last_probe: AtomicU64,
}

/// The breaker lets nothing through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit is open; next probe in {}", guard_spec::InWords::duration(*retry_after))]
#[non_exhaustive]
pub struct CircuitOpen {
    /// When the next probe may be let through. While all probes are running nobody knows: then it is the recovery
    /// time, at most one second.
    pub retry_after: Duration,
}

/// The right to one attempt: say how it went, or drop it, which says nothing.
#[must_use = "dropped at once, a permit says nothing of the attempt"]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    pass: Pass,
}

impl CircuitBreaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(settings: Breaker) -> Result<CircuitBreaker, Problem> {
        match Settings::new().breaker(settings).problems().first() {
            Some(problem) => Err(problem),
            None => Ok(CircuitBreaker { core: Core::new(), settings }),
        }
    }

    /// The right to one attempt.
    ///
    /// # Errors
    /// [`CircuitOpen`] while the breaker is open, or half-open with all its probes running.
    pub fn try_acquire(&self) -> Result<Permit<'_>, CircuitOpen> {
        let (pass, _) = self.admit(clock::now())?;
        Ok(Permit { breaker: self, pass })
    }

    /// Which way the breaker stands. Open becomes half-open when the recovery time has passed.
    pub fn state(&self) -> BreakerState {
        self.core.state()
    }

    /// Failures in a row; 0 unless closed.
    pub fn failures(&self) -> u32 {
        self.core.failures()
    }

    /// Lets nothing through until [`force_closed`](CircuitBreaker::force_closed) or [`reset`](CircuitBreaker::reset).
    pub fn force_open(&self) {
        self.core.force(BreakerState::ForcedOpen);
    }

    /// Lets everything through and counts nothing until [`force_open`](CircuitBreaker::force_open) or
    /// [`reset`](CircuitBreaker::reset).
    pub fn force_closed(&self) {
        self.core.force(BreakerState::ForcedClosed);
    }

    /// Closes it and forgets what it has counted; attempts that are running now do not count any more.
    pub fn reset(&self) {
        self.core.force(BreakerState::Closed);
    }

    fn admit(&self, now: u64) -> Result<(Pass, Option<Change>), CircuitOpen> {
        self.core.admit(now, &self.settings)
    }

    fn settle(&self, pass: Pass, sign: Sign, now: u64) -> Option<Change> {
        self.core.settle(pass, sign, now, &self.settings)
    }
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

    fn load(&self) -> Parts {
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

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Permit<'_> {
    /// The attempt worked.
    pub fn success(self) {
        self.end(Sign::Good);
    }

    /// The service failed.
    pub fn failure(self) {
        self.end(Sign::Bad);
    }

    fn end(self, sign: Sign) {
        self.breaker.settle(self.pass, sign, clock::now());
        // The drop below would free the probe's place a second time.
        std::mem::forget(self);
    }
}

/// Gives the place back; says nothing of the service.
impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.settle(self.pass, Sign::None, clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::state::COUNT_MAX;
    use super::*;

    const SECOND: u64 = 1_000 * NANOS_PER_MS;

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(Breaker::consecutive(3).recovery(Duration::from_secs(10))).unwrap()
    }

    fn attempt(breaker: &CircuitBreaker, sign: Sign, now: u64) {
        let (pass, _) = breaker.admit(now).unwrap();
        breaker.settle(pass, sign, now);
    }

    /// A breaker that has opened at instant 0.
    fn opened() -> CircuitBreaker {
        let breaker = breaker();
        (0..3).for_each(|_| attempt(&breaker, Sign::Bad, 0));
        breaker
    }

    #[test]
    fn every_word_survives_packing() {
        let phases = [
            Phase::Closed { failures: u32::MAX },
            Phase::Open { until: COUNT_MAX },
            Phase::HalfOpen { successes: 1_000, running: 1_000 },
            Phase::ForcedOpen,
            Phase::ForcedClosed,
        ];
        for phase in phases {
            for generation in [0, 1, GENERATION_MASK] {
                let parts = Parts { phase, generation };
                assert_eq!(Parts::unpack(parts.pack()), parts);
            }
        }
        assert_eq!(Parts::unpack(0), Parts { phase: Phase::Closed { failures: 0 }, generation: 0 });
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = breaker();
        for sign in [Sign::Bad, Sign::Bad, Sign::Good, Sign::Bad, Sign::None, Sign::Bad] {
            attempt(&breaker, sign, 0);
        }
        assert_eq!(breaker.core.load().state(), BreakerState::Closed);
        attempt(&breaker, Sign::Bad, 0);
        assert_eq!(breaker.core.load().state(), BreakerState::Open);
        assert_eq!(breaker.admit(SECOND).unwrap_err().retry_after, Duration::from_secs(9));
    }

    #[test]
    fn an_answer_that_is_the_callers_fault_ends_a_row_of_failures_and_decides_no_probe() {
        let breaker = breaker();
        for sign in [Sign::Bad, Sign::Bad, Sign::Answered, Sign::Bad, Sign::Bad] {
            attempt(&breaker, sign, 0);
        }
        assert_eq!(breaker.core.load().phase, Phase::Closed { failures: 2 });
        attempt(&breaker, Sign::Bad, 0);
        for _ in 0..20 {
            attempt(&breaker, Sign::Answered, 10 * SECOND);
        }
        assert_eq!(breaker.core.load().phase, Phase::HalfOpen { successes: 0, running: 0 });
    }

    #[test]
    fn one_probe_at_a_time_and_two_good_ones_close_it() {
        let breaker = opened();
        let (first, changed) = breaker.admit(10 * SECOND).unwrap();
        assert_eq!(changed, Some(Change { from: BreakerState::Open, to: BreakerState::HalfOpen }));
        assert_eq!(breaker.admit(10 * SECOND).unwrap_err().retry_after, Duration::from_secs(1));
        assert_eq!(breaker.settle(first, Sign::Good, 0), None);
        let (second, _) = breaker.admit(10 * SECOND).unwrap();
        let closed = breaker.settle(second, Sign::Good, 0);
        assert_eq!(closed, Some(Change { from: BreakerState::HalfOpen, to: BreakerState::Closed }));
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_whole_recovery() {
        let breaker = opened();
        attempt(&breaker, Sign::Bad, 10 * SECOND);
        assert_eq!(breaker.admit(19 * SECOND).unwrap_err().retry_after, Duration::from_secs(1));
        assert!(breaker.admit(20 * SECOND).is_ok());
    }

    #[test]
    fn a_probe_that_says_nothing_frees_its_place() {
        let breaker = opened();
        for _ in 0..10_000 {
            attempt(&breaker, Sign::None, 10 * SECOND);
        }
        assert_eq!(breaker.core.load().phase, Phase::HalfOpen { successes: 0, running: 0 });
    }

    #[test]
    fn a_leaked_probe_is_written_off_and_one_takes_its_place() {
        let breaker = opened();
        let _leaked = breaker.admit(10 * SECOND).unwrap();
        assert!(breaker.admit(69 * SECOND).is_err());
        let (probe, _) = breaker.admit(70 * SECOND).unwrap();
        assert!(breaker.admit(70 * SECOND).is_err());
        breaker.settle(probe, Sign::Good, 70 * SECOND);
        assert_eq!(breaker.core.load().phase, Phase::HalfOpen { successes: 1, running: 0 });
        attempt(&breaker, Sign::Good, 71 * SECOND);
        assert_eq!(breaker.core.load().state(), BreakerState::Closed);
    }

    #[test]
    fn a_service_that_is_slower_than_the_write_off_closes_it_all_the_same() {
        let breaker = opened();
        let mut running = std::collections::VecDeque::new();
        // A call each second, of 90 s each, all of them good.
        for second in 10..300 {
            let now = second * SECOND;
            while running.front().is_some_and(|(begun, _)| begun + 90 * SECOND <= now) {
                let (_, pass) = running.pop_front().unwrap();
                breaker.settle(pass, Sign::Good, now);
            }
            running.extend(breaker.admit(now).ok().map(|(pass, _)| (now, pass)));
        }
        assert_eq!(breaker.core.load().state(), BreakerState::Closed);
    }

    #[test]
    fn results_from_before_a_change_of_state_do_not_count_after_it() {
        for late in [Sign::Good, Sign::Bad, Sign::None] {
            let breaker = breaker();
            let (stale, _) = breaker.admit(0).unwrap();
            (0..3).for_each(|_| attempt(&breaker, Sign::Bad, 0));
            let open = breaker.core.load();
            breaker.settle(stale, late, SECOND);
            assert_eq!(breaker.core.load(), open);
            let (probe, _) = breaker.admit(10 * SECOND).unwrap();
            let half_open = breaker.core.load();
            breaker.settle(stale, late, 10 * SECOND);
            assert_eq!(breaker.core.load(), half_open);
            breaker.settle(probe, Sign::Bad, 10 * SECOND);
            assert_eq!(breaker.core.load().state(), BreakerState::Open);
        }
    }

    #[test]
    fn forced_states_hold_and_reset_forgets() {
        let breaker = breaker();
        breaker.force_open();
        assert!(breaker.admit(1_000 * SECOND).is_err());
        breaker.force_closed();
        (0..10).for_each(|_| attempt(&breaker, Sign::Bad, 0));
        assert_eq!(breaker.core.load().state(), BreakerState::ForcedClosed);
        let (before, _) = breaker.admit(0).unwrap();
        breaker.reset();
        breaker.settle(before, Sign::Bad, 0);
        assert_eq!(breaker.core.load().phase, Phase::Closed { failures: 0 });
    }

    #[test]
    fn a_clock_at_its_end_or_stepping_back_does_no_harm() {
        let breaker = breaker();
        (0..3).for_each(|_| attempt(&breaker, Sign::Bad, u64::MAX));
        assert!(breaker.admit(0).is_err());
        let _ = breaker.admit(u64::MAX);
    }

    #[test]
    fn of_many_threads_exactly_as_many_as_allowed_probe() {
        let breaker =
            CircuitBreaker::new(Breaker::consecutive(1).probes(3).successes(1_000).recovery(Duration::from_secs(10)))
                .unwrap();
        for round in 1..200 {
            breaker.reset();
            let now = round * 1_000 * SECOND;
            attempt(&breaker, Sign::Bad, now);
            let at = now + 10 * SECOND;
            let admitted: usize = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| (0..10).filter(|_| breaker.admit(at).is_ok()).count())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(admitted, 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_give_themselves_back() {
        let breaker = CircuitBreaker::new(Breaker::consecutive(1)).unwrap();
        breaker.try_acquire().unwrap().failure();
        assert_eq!(breaker.state(), BreakerState::Open);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        for _ in 0..3 {
            let probe = breaker.try_acquire().unwrap();
            assert!(breaker.try_acquire().is_err());
            drop(probe);
        }
        breaker.try_acquire().unwrap().success();
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
