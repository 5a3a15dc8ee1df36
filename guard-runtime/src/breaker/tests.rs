//! The breaker as a whole.

use super::state::{COUNT_MAX, GENERATION_MASK, Parts, Phase};
use super::*;
use crate::clock::NANOS_PER_MS;

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
