//! The mechanisms alone, with any settings that are sound, on a clock that a test has paused and that may jump by years.
//!
//! Their histories with ordinary settings, and against models, are beside their code; here it is the ends of the ranges, and what is
//! said of waiting: who comes back after `retry_after`, and is alone, is let through.

use std::time::Duration;

use apiguard::{
    Backoff, BreakerState, Budget, CircuitBreaker, Idle, Jitter, Keyed, Ratio, Refused, RetryBudget, TokenBucket,
    Window,
};
use tokio::time::{Instant, advance};

use super::settings;
use crate::choices::Choices;
use crate::driver::{Seen, size};

/// What timers are late is made up.
const LATE: Duration = Duration::from_millis(2);
/// Later than this nothing is asked: instants beyond 18 years are one to a bucket.
const LAST: Duration = Duration::from_secs(15 * 365 * 86_400);

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs no more than memory").block_on(async {
        match choices.below(6) {
            0 => bucket(&mut choices, seen).await,
            1 => window(&mut choices, seen).await,
            2 => breaker(&mut choices, seen).await,
            3 => backoff(&mut choices, seen),
            4 => budget(&mut choices, seen).await,
            _ => keyed(&mut choices, seen).await,
        }
    });
}

/// What was taken, and when.
struct Taken {
    start: Instant,
    log: Vec<(Duration, u64)>,
}

impl Taken {
    fn new() -> Taken {
        Taken { start: Instant::now(), log: Vec::new() }
    }

    fn add(&mut self, tokens: u32) {
        self.log.push((self.start.elapsed(), u64::from(tokens)));
    }

    /// Each stretch of time that ends now, and what was taken in it.
    fn stretches(&self) -> impl Iterator<Item = (Duration, u128)> + '_ {
        let now = self.start.elapsed();
        let mut sum = 0;
        self.log.iter().rev().map(move |(at, tokens)| {
            sum += u128::from(*tokens);
            (now.saturating_sub(*at), sum)
        })
    }

    async fn pass(&self, time: Duration) {
        if self.may_pass(time) {
            advance(time).await;
        }
    }

    fn may_pass(&self, time: Duration) -> bool {
        self.start.elapsed().saturating_add(time) < LAST
    }
}

async fn bucket(choices: &mut Choices<'_>, seen: &mut Seen) {
    let rate = settings::rate(choices);
    let Ok(bucket) = TokenBucket::with_rate(rate) else { return };
    seen.mark((size(rate.period().as_nanos() as u64), size(u64::from(rate.count())), size(u64::from(rate.capacity()))));
    let mut taken = Taken::new();
    assert_eq!(bucket.available(), rate.capacity());
    while !choices.is_over() {
        let n = if choices.one_in(2) { choices.count() } else { 1 };
        match bucket.try_acquire(n) {
            Ok(()) => taken.add(n),
            Err(Refused::Never { cost, burst }) => assert!(cost == n && burst == rate.capacity() && n > burst),
            Err(Refused::NotYet { retry_after }) => {
                assert!(n <= rate.capacity() && !retry_after.is_zero());
                if choices.one_in(2) && taken.may_pass(retry_after) {
                    taken.pass(retry_after).await;
                    assert_eq!(bucket.try_acquire(n), Ok(()), "after {retry_after:?}, {rate}");
                    taken.add(n);
                    seen.mark(("again", size(retry_after.as_nanos() as u64)));
                }
            }
            Err(other) => panic!("{other}"),
        }
        for (time, tokens) in taken.stretches() {
            // burst + rate x t, times the period.
            let regained = u128::from(rate.count()) * (time + LATE).as_nanos();
            let most = u128::from(rate.capacity()) * rate.period().as_nanos() + regained;
            assert!(tokens * rate.period().as_nanos() <= most, "{tokens} in {time:?} of {rate}");
        }
        if choices.one_in(3) {
            let time = choices.duration();
            taken.pass(time).await;
        }
        assert!(bucket.available() <= rate.capacity() && bucket.waiting() == 0);
    }
}

async fn window(choices: &mut Choices<'_>, seen: &mut Seen) {
    let quota = settings::quota(choices);
    let Ok(window) = Window::with_quota(quota) else { return };
    seen.mark((size(quota.window().as_nanos() as u64), size(u64::from(quota.count()))));
    let mut taken = Taken::new();
    while !choices.is_over() {
        let n = if choices.one_in(2) { choices.count() } else { 1 };
        match window.try_acquire(n) {
            Ok(()) => taken.add(n),
            Err(Refused::Never { cost, burst }) => assert!(cost == n && burst == quota.count() && n > burst),
            Err(Refused::NotYet { retry_after }) => {
                assert!(n <= quota.count() && !retry_after.is_zero());
                if choices.one_in(2) && taken.may_pass(retry_after) {
                    taken.pass(retry_after).await;
                    assert_eq!(window.try_acquire(n), Ok(()), "after {retry_after:?}, {quota}");
                    taken.add(n);
                    seen.mark(("again", size(retry_after.as_nanos() as u64)));
                }
            }
            Err(other) => panic!("{other}"),
        }
        for (time, tokens) in taken.stretches() {
            let is_one_window = time < quota.window();
            assert!(!is_one_window || tokens <= u128::from(quota.count()), "{tokens} in {time:?} of {quota}");
        }
        if choices.one_in(3) {
            let time = choices.duration();
            taken.pass(time).await;
        }
        assert!(window.available() <= quota.count() && window.waiting() == 0);
    }
}

async fn breaker(choices: &mut Choices<'_>, seen: &mut Seen) {
    let settings = settings::breaker(choices);
    let Ok(breaker) = CircuitBreaker::new(settings) else { return };
    seen.mark((settings.is_windowed(), settings.window_size().is_some(), settings.longest_recovery().is_some()));
    let clock = Taken::new();
    // With when it was let through, in half-open.
    let mut permits = Vec::new();
    // One that has not ended for so long is written off, and another one takes its place; when it ends after all, one more
    // does.
    let written_off = settings.recovery_time().max(Duration::from_secs(60));
    let is_late = |at: Instant| at.elapsed() >= written_off;
    let mut ended_late = 0;
    while !choices.is_over() {
        match choices.below(8) {
            0..=2 => match breaker.try_acquire() {
                Ok(permit) => {
                    let state = breaker.state();
                    assert!(!matches!(state, BreakerState::Open | BreakerState::ForcedOpen), "let through by {state}");
                    let is_probe = state == BreakerState::HalfOpen;
                    permits.push((permit, is_probe.then(Instant::now)));
                    let probes = permits.iter().filter(|(_, at)| at.is_some_and(|at| !is_late(at))).count();
                    let late = ended_late + permits.iter().filter(|(_, at)| at.is_some_and(is_late)).count();
                    let most = settings.probe_limit() as usize + late;
                    assert!(probes <= most, "{probes} probes, {late} late: {settings}");
                }
                Err(open) => {
                    let state = breaker.state();
                    assert_ne!(state, BreakerState::Closed);
                    assert_ne!(state, BreakerState::ForcedClosed);
                    if state == BreakerState::Open && choices.one_in(2) && clock.may_pass(open.retry_after) {
                        clock.pass(open.retry_after).await;
                        drop(breaker.try_acquire().unwrap_or_else(|again| panic!("{open}, {again}")));
                        seen.mark(("again", size(open.retry_after.as_nanos() as u64)));
                    }
                }
            },
            3 | 4 if !permits.is_empty() => {
                let (permit, at) = permits.swap_remove(usize::from(choices.byte()) % permits.len());
                ended_late += usize::from(at.is_some_and(is_late));
                match choices.below(4) {
                    0 | 1 => permit.failure(),
                    2 => permit.success(),
                    _ => drop(permit),
                }
            }
            5 | 6 => {
                let time = choices.duration();
                clock.pass(time).await;
            }
            7 => {
                let force = choices.below(9);
                match force {
                    0 => breaker.force_open(),
                    1 => breaker.force_closed(),
                    2 => breaker.reset(),
                    _ => {}
                }
                // What ran before is nobody's probe any more.
                if force <= 2 {
                    permits.iter_mut().for_each(|(_, at)| *at = None);
                }
            }
            _ => {}
        }
        // What ran before a change is no probe of the next half-open.
        if !matches!(breaker.state(), BreakerState::HalfOpen) {
            ended_late = 0;
            permits.iter_mut().for_each(|(_, at)| *at = None);
        }
        seen.mark((breaker.state().to_string(), size(u64::from(breaker.failures())), size(breaker.slow_calls())));
        assert!(u64::from(breaker.failures()) <= breaker.calls_in_window() || !settings.is_windowed());
        assert!(!breaker.is_idle() || matches!(breaker.state(), BreakerState::Closed));
    }
}

fn backoff(choices: &mut Choices<'_>, seen: &mut Seen) {
    let retry = settings::retry(choices);
    let Ok(delays) = Backoff::new(retry) else { return };
    seen.mark((retry.randomness().to_string().len(), size(u64::from(retry.max())), size(retry.growth().millionths())));
    let seed = u64::from(choices.count());
    let made: Vec<Duration> = delays.clone().seeded(seed).take(200).collect();
    assert_eq!(made.len() as u64, u64::from(retry.max()).min(200));
    assert_eq!(made, delays.clone().seeded(seed).take(200).collect::<Vec<_>>());
    // By floats, which are near enough.
    let mut grown = retry.first_delay().as_secs_f64();
    let factor = retry.growth().millionths() as f64 / 1e6;
    let cap = retry.longest_delay().as_secs_f64();
    let mut last = 0.0_f64;
    for (delay, any) in made.iter().zip(delays) {
        assert!(any <= retry.longest_delay());
        let delay = delay.as_secs_f64();
        let plain = grown.min(cap);
        let (least, most) = match retry.randomness() {
            Jitter::Proportional(ratio) => (plain, (plain * (1.0 + ratio.millionths() as f64 / 1e6)).min(cap)),
            Jitter::Full => (0.0, plain),
            Jitter::Equal => (plain / 2.0, plain),
            Jitter::Decorrelated => {
                let base = retry.first_delay().as_secs_f64();
                (base, (last.max(base) * 3.0).min(cap))
            }
            _ => (plain, plain),
        };
        let near = most * 1e-6 + 1e-8;
        assert!(delay >= least - near && delay <= most + near, "{delay} outside {least}..={most}: {retry}");
        last = delay;
        grown *= factor;
    }
}

async fn budget(choices: &mut Choices<'_>, seen: &mut Seen) {
    let share = Ratio::new(choices.float());
    let budget = if choices.one_in(16) { Budget::Off } else { Budget::Share(share) };
    let Ok(account) = RetryBudget::new(budget) else { return };
    let clock = Taken::new();
    let (mut worked, mut made) = (0_u128, 0_u128);
    while !choices.is_over() {
        match choices.below(4) {
            0 => {
                let times = choices.count().min(1_000);
                (0..times).for_each(|_| account.deposit());
                worked += u128::from(times);
            }
            1 | 2 => {
                let asked = choices.count().min(1_000);
                let got = (0..asked).filter(|_| account.withdraw()).count();
                made += got as u128;
                if budget == Budget::Off {
                    assert_eq!(got, asked as usize);
                    assert_eq!(account.available(), None);
                    continue;
                }
                // Ten at first, one in 5 min, and a share of what worked.
                let regained = clock.start.elapsed().as_nanos() * 1_000_000 / 300_000_000_000;
                let most = 10_000_000 + regained + worked * u128::from(share.millionths());
                assert!(made * 1_000_000 <= most, "{made} retries, {worked} that worked, {share}");
                if got < asked as usize {
                    assert_eq!(account.available(), Some(0));
                }
                seen.mark(("made", size(made as u64)));
            }
            _ => {
                let time = choices.duration();
                clock.pass(time).await;
            }
        }
    }
}

/// A state for each key is as if each had one of its own that is never dropped.
async fn keyed(choices: &mut Choices<'_>, seen: &mut Seen) {
    let rate = settings::rate(choices);
    if TokenBucket::with_rate(rate).is_err() {
        return;
    }
    let clock = Taken::new();
    let make = || TokenBucket::with_rate(rate).expect("it was made above");
    let keyed: Keyed<u8, TokenBucket> = Keyed::new();
    let alone: Vec<TokenBucket> = (0..8).map(|_| make()).collect();
    while !choices.is_over() {
        let key = choices.below(8);
        match choices.below(4) {
            0 | 1 => {
                let n = if choices.one_in(2) { choices.count() } else { 1 };
                let got = keyed.get_or_insert_with(&key, make).try_acquire(n);
                assert_eq!(got, alone[usize::from(key)].try_acquire(n), "{key}: {rate}");
                seen.mark(("keyed", got.is_ok(), keyed.len()));
            }
            2 => drop(keyed.evict_idle()),
            _ => {
                let time = choices.duration();
                clock.pass(time).await;
            }
        }
        assert!(keyed.len() <= 8);
    }
}
