//! The breaker as a whole.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::state::{COUNT_MAX, GENERATION_MASK, Parts, Phase};
use super::*;
use crate::clock::NANOS_PER_MS;

const SECOND: u64 = 1_000 * NANOS_PER_MS;

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(Breaker::consecutive(3).recovery(Duration::from_secs(10)).recovery_jitter(0.0)).unwrap()
}

impl CircuitBreaker {
    fn admit(&self, now: u64) -> Result<(Pass, Option<Change>), CircuitOpen> {
        self.core.admit(now, &self.settings)
    }

    fn settle(&self, pass: Pass, sign: Sign, now: u64) -> Option<Change> {
        self.settle_after(pass, sign, 0, now)
    }

    fn settle_after(&self, pass: Pass, sign: Sign, ran: u64, now: u64) -> Option<Change> {
        self.core.settle(pass, Ended { sign, ran, hold: 0 }, now, &self.settings)
    }
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
        Phase::Watched,
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
fn a_breaker_that_is_open_for_longer_than_its_word_can_say_is_open_as_long_as_that() {
    for until in [COUNT_MAX + 1, u64::MAX / NANOS_PER_MS, u64::MAX] {
        let last = Parts { phase: Phase::Open { until: COUNT_MAX }, generation: 7 };
        assert_eq!(Parts { phase: Phase::Open { until }, ..last }.pack(), last.pack());
    }
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
fn it_is_open_until_a_probe_may_run_and_not_after() {
    let breaker = breaker();
    assert!(!breaker.core.is_open(0), "closed");
    (0..3).for_each(|_| attempt(&breaker, Sign::Bad, 0));
    assert!(breaker.core.is_open(0) && breaker.core.is_open(10 * SECOND - 1));
    assert!(!breaker.core.is_open(10 * SECOND));
    let _probe = breaker.admit(10 * SECOND).unwrap();
    assert!(!breaker.core.is_open(10 * SECOND), "half-open");
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
    let breaker = CircuitBreaker::new(
        Breaker::consecutive(1).probes(3).successes(1_000).recovery(Duration::from_secs(10)).recovery_jitter(0.0),
    )
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
    let breaker = CircuitBreaker::new(Breaker::consecutive(1).recovery_jitter(0.0)).unwrap();
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), BreakerState::Open);
    // It opens again with a whole millisecond.
    tokio::time::advance(Duration::from_millis(60_001)).await;
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

/// Windowed: opens at half of the calls, of at least four; open for 10 s.
fn windowed() -> Breaker {
    Breaker::failure_rate(0.5).min_calls(4).recovery(Duration::from_secs(10)).recovery_jitter(0.0)
}

#[test]
fn a_breaker_is_small_and_makes_its_window_when_it_is_needed() {
    assert!(size_of::<Core>() <= 16 + size_of::<usize>(), "a word, and where more is: {}", size_of::<Core>());
    let breaker = CircuitBreaker::new(Breaker::consecutive(3)).unwrap();
    for sign in [Sign::Good, Sign::Bad, Sign::Answered, Sign::Dropped] {
        attempt(&breaker, sign, 0);
    }
    assert!(!breaker.core.has_more(), "two failures are counted in the word");
    assert!(breaker.core.is_well());
}

#[test]
fn a_healthy_windowed_breaker_is_told_of_every_call() {
    let breaker = CircuitBreaker::new(windowed().window_calls(100)).unwrap();
    assert!(!breaker.core.is_well() && breaker.core.pass_if_closed().is_some());
    for sign in [Sign::Good, Sign::Answered, Sign::Dropped, Sign::None, Sign::Bad] {
        attempt(&breaker, sign, 0);
    }
    assert_eq!((breaker.calls_in_window(), breaker.failures(), breaker.slow_calls()), (3, 1, 0));
    attempt(&breaker, Sign::Bad, 0);
    assert_eq!(breaker.core.load().state(), BreakerState::Open, "at half, not above");
    assert_eq!((breaker.calls_in_window(), breaker.failures()), (0, 0));
}

#[test]
fn entering_closed_begins_an_empty_window() {
    let breaker = CircuitBreaker::new(windowed().window_calls(100)).unwrap();
    (0..4).for_each(|_| attempt(&breaker, Sign::Bad, 0));
    (0..2).for_each(|_| attempt(&breaker, Sign::Good, 10 * SECOND));
    assert_eq!((breaker.core.load().phase, breaker.calls_in_window()), (Phase::Watched, 0));
    (0..3).for_each(|_| attempt(&breaker, Sign::Bad, 10 * SECOND));
    assert_eq!(breaker.core.load().phase, Phase::Watched);
    attempt(&breaker, Sign::Bad, 10 * SECOND);
    assert_eq!(breaker.core.load().state(), BreakerState::Open);
}

#[test]
fn slow_calls_open_it_and_a_slow_probe_opens_it_again() {
    let settings = Breaker::slow_calls(Duration::from_secs(2)).slow_rate(0.8).min_calls(5).recovery_jitter(0.0);
    let breaker = CircuitBreaker::new(settings.successes(1)).unwrap();
    let call = |sign, ran, now| {
        let (pass, _) = breaker.admit(now).unwrap();
        breaker.settle_after(pass, sign, ran, now + ran);
    };
    for (sign, ran) in
        [(Sign::Good, SECOND), (Sign::Good, 2 * SECOND), (Sign::Bad, 3 * SECOND), (Sign::Answered, 2 * SECOND)]
    {
        call(sign, ran, 0);
    }
    // B08: one that the caller gave up on later than that is slow, too.
    call(Sign::Dropped, 2 * SECOND, 0);
    assert_eq!(breaker.core.load().phase, Phase::Open { until: 62_000 });
    call(Sign::Good, 2 * SECOND, 62 * SECOND);
    assert_eq!(breaker.core.load().phase, Phase::Open { until: 124_000 }, "a slow probe");
    call(Sign::Dropped, 2 * SECOND, 124 * SECOND);
    assert_eq!(breaker.core.load().phase, Phase::Open { until: 186_000 }, "one that nobody waited for");
    call(Sign::Dropped, SECOND, 186 * SECOND);
    call(Sign::Good, SECOND, 186 * SECOND);
    assert_eq!(breaker.core.load().phase, Phase::Watched);
}

#[test]
fn b01_a_probe_that_is_dropped_or_leaked_blocks_nobody_for_long() {
    for settings in [Breaker::consecutive(4), windowed(), windowed().window_calls(10)] {
        let breaker = CircuitBreaker::new(settings.recovery(Duration::from_secs(10)).recovery_jitter(0.0)).unwrap();
        (0..4).for_each(|_| attempt(&breaker, Sign::Bad, 0));
        for _ in 0..10_000 {
            attempt(&breaker, Sign::Dropped, 10 * SECOND);
        }
        let _leaked = breaker.admit(10 * SECOND).unwrap();
        assert!(breaker.admit(70 * SECOND - 1).is_err());
        attempt(&breaker, Sign::Good, 70 * SECOND);
        attempt(&breaker, Sign::Good, 70 * SECOND);
        assert_eq!(breaker.core.load().state(), BreakerState::Closed);
    }
}

#[test]
fn b03_b04_what_started_before_it_opened_decides_nothing_after() {
    for (late, probe, then) in
        [(Sign::Good, Sign::Bad, BreakerState::Open), (Sign::Bad, Sign::Good, BreakerState::Closed)]
    {
        let breaker = CircuitBreaker::new(windowed().successes(1)).unwrap();
        let stale: Vec<_> = (0..4).map(|_| breaker.admit(0).unwrap().0).collect();
        (0..4).for_each(|_| attempt(&breaker, Sign::Bad, 0));
        let (at, settle) = (10 * SECOND, |pass| breaker.settle(pass, late, 10 * SECOND));
        assert_eq!(settle(stale[0]), None, "open");
        let (pass, _) = breaker.admit(at).unwrap();
        assert_eq!(settle(stale[1]), None, "half-open");
        breaker.settle(pass, probe, at);
        assert_eq!(breaker.core.load().state(), then);
        assert_eq!((settle(stale[2]), settle(stale[3])), (None, None));
        assert_eq!((breaker.core.load().state(), breaker.calls_in_window()), (then, 0));
    }
}

#[test]
fn b13_the_callers_mistakes_free_the_probes_place_and_decide_nothing() {
    let breaker = CircuitBreaker::new(windowed().slow_call(Duration::from_secs(1))).unwrap();
    (0..4).for_each(|_| attempt(&breaker, Sign::Bad, 0));
    for n in 0..1_000 {
        let (pass, _) = breaker.admit(10 * SECOND).unwrap();
        let sign = if n % 2 == 0 { Sign::Answered } else { Sign::None };
        breaker.settle_after(pass, sign, n * SECOND, 10 * SECOND);
    }
    assert_eq!(breaker.core.load().phase, Phase::HalfOpen { successes: 0, running: 0 });
}

#[test]
fn b14_a_fleet_that_opened_together_does_not_probe_together() {
    let breakers: Vec<_> = (0..200)
        .map(|_| {
            let breaker = CircuitBreaker::new(Breaker::consecutive(1)).unwrap();
            attempt(&breaker, Sign::Bad, 0);
            breaker
        })
        .collect();
    // 60 s and up to a tenth more: 33 of 200 in each second.
    let admitted = |second: u64| breakers.iter().filter(|breaker| breaker.admit(second * SECOND).is_ok()).count();
    assert!(admitted(60) <= 1, "none is early");
    let each: Vec<_> = (61..=66).map(admitted).collect();
    assert!(each.iter().all(|probes| (8..=70).contains(probes)), "{each:?}");
    assert_eq!(admitted(66), 0, "all of them have probed");
}

#[test]
fn b15_results_of_before_a_forced_state_a_reset_or_other_settings_do_not_count() {
    let forms = [Breaker::consecutive(1), windowed().min_calls(1), windowed().min_calls(1).window_calls(5)];
    for settings in forms {
        for other in forms {
            let core = Core::new(Some(&settings));
            let flying: Vec<_> = (0..1_000).map(|_| core.admit(0, &settings).unwrap().0).collect();
            let bad = Ended { sign: Sign::Bad, ran: 0, hold: 0 };
            let after = [BreakerState::ForcedOpen, BreakerState::ForcedClosed, BreakerState::Closed];
            for (state, flying) in after.into_iter().zip(flying.chunks(333)) {
                core.force(state, Some(&other));
                for pass in flying {
                    assert_eq!(core.settle(*pass, bad, 0, &other), None);
                }
                assert_eq!((core.load().state(), core.counts().calls), (state, 0));
            }
            let (pass, _) = core.admit(0, &other).unwrap();
            assert!(core.settle(pass, bad, 0, &other).is_some(), "what comes after counts");
        }
    }
}

#[test]
fn settings_that_come_before_their_state_are_no_harm() {
    let bad = Ended { sign: Sign::Bad, ran: 0, hold: 0 };
    let (windowed, consecutive) = (windowed(), Breaker::consecutive(4));
    for (made, then) in [(consecutive, windowed), (windowed, consecutive)] {
        let core = Core::new(Some(&made));
        assert!(core.fits(Some(&made)) && !core.fits(Some(&then)));
        for _ in 0..4 {
            assert_eq!(core.load().state(), BreakerState::Closed);
            core.settle(core.admit(0, &then).unwrap().0, bad, 0, &then);
        }
        assert_eq!(core.load().state(), BreakerState::Open);
    }
}

#[test]
fn a_server_that_says_when_to_come_back_holds_it_open_until_then() {
    let settings = Breaker::consecutive(1).recovery(Duration::from_secs(10)).recovery_jitter(0.0);
    let core = Core::new(Some(&settings));
    let fail = |hold, now| {
        let (pass, _) = core.admit(now, &settings).unwrap();
        core.settle(pass, Ended { sign: Sign::Bad, ran: 0, hold }, now, &settings);
        core.load().phase
    };
    assert_eq!(fail(5 * SECOND, 0), Phase::Open { until: 10_000 }, "less than the recovery");
    assert_eq!(fail(30 * SECOND, 10 * SECOND), Phase::Open { until: 40_000 }, "as it opens again, too");
    assert_eq!(fail(u64::MAX, 40 * SECOND), Phase::Open { until: 3_640_000 }, "at most an hour");
}

#[test]
fn of_many_threads_every_call_is_counted_once_and_none_of_before_a_reset() {
    let breaker = CircuitBreaker::new(windowed().window_calls(10_000).min_calls(10_000)).unwrap();
    for round in 0..20 {
        let stale: Vec<_> = (0..200).map(|_| breaker.admit(0).unwrap().0).collect();
        breaker.reset();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (breaker, stale) = (&breaker, &stale);
                scope.spawn(move || {
                    for call in 0..500 {
                        let sign = if call % 4 == 0 { Sign::Bad } else { Sign::Good };
                        attempt(breaker, sign, 0);
                        stale.get(call).map(|pass| breaker.settle(*pass, Sign::Bad, 0));
                    }
                    assert!(breaker.failures() >= 125, "round {round} of thread {thread}");
                });
            }
        });
        assert_eq!((breaker.calls_in_window(), breaker.failures()), (2_000, 500), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_knows_how_long_its_attempt_took() {
    let slow = Breaker::slow_calls(Duration::from_secs(2)).min_calls(3).slow_rate(1.0);
    let breaker = CircuitBreaker::new(slow).unwrap();
    for (ended, end) in [Permit::success, Permit::failure, drop::<Permit<'_>>].into_iter().enumerate() {
        assert_eq!(breaker.slow_calls(), ended as u64);
        let permit = breaker.try_acquire().unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        end(permit);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn b07_calls_that_are_dropped_at_once_are_no_failures() {
    let breaker = CircuitBreaker::new(windowed().min_calls(1).slow_call(Duration::from_secs(1))).unwrap();
    for _ in 0..10 {
        let permit = breaker.try_acquire().unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        drop(permit);
    }
    assert_eq!((breaker.state(), breaker.calls_in_window()), (BreakerState::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_idle_again_when_its_window_is_empty_and_its_growth_over() {
    let breaker = CircuitBreaker::new(windowed().window(Duration::from_secs(32))).unwrap();
    assert!(breaker.is_idle());
    breaker.try_acquire().unwrap().success();
    assert!(!breaker.is_idle());
    tokio::time::advance(Duration::from_secs(32)).await;
    assert!(breaker.is_idle());
    let growing = Breaker::consecutive(1).successes(1).recovery_cap(Duration::from_secs(60)).recovery_jitter(0.0);
    let breaker = CircuitBreaker::new(growing).unwrap();
    breaker.try_acquire().unwrap().failure();
    tokio::time::advance(Duration::from_millis(60_001)).await;
    breaker.try_acquire().unwrap().success();
    assert!(breaker.state() == BreakerState::Closed && !breaker.is_idle());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(breaker.is_idle());
}

#[test]
fn b15_what_ends_after_a_reset_takes_nothing_from_what_began_after_it() {
    let settings = windowed().window_calls(10_000).recovery(Duration::from_secs(1));
    let core = Core::new(Some(&settings));
    let call = || {
        let (pass, _) = core.admit(0, &settings).unwrap();
        core.settle(pass, Ended { sign: Sign::Good, ran: 0, hold: 0 }, 0, &settings);
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    call();
                }
            });
        }
        let counted: Vec<u64> = (0..20_000)
            .map(|_| {
                core.force(BreakerState::Closed, Some(&settings));
                (0..5).for_each(|_| call());
                core.counts().calls
            })
            .collect();
        stop.store(true, Relaxed);
        assert!(counted.iter().all(|calls| *calls >= 5), "calls of the present were forgotten with those of the past");
    });
}
