//! Random histories of {admit, good, bad, answered, slow, none, drop, leak, advance, jump, force, reset, configure} on a
//! clock of their own, against a naive model: the list of all calls and a state machine from the textbook.
//!
//! The model knows each call with the period in which it was admitted, and looks at the whole list each time. A failing
//! history prints its seed; `APIGUARD_HISTORIES=10000000` runs more of them, `APIGUARD_SEED=7` that one alone.

use std::time::Duration;

use guard_spec::{Breaker, Ratio, Settings};

use super::state::{Parts, Phase};
use super::*;
use crate::clock::{NANOS_PER_MS, manual};
use crate::dice::{Dice, histories};

const MS: u64 = NANOS_PER_MS;
const DAY: u64 = 86_400_000 * MS;
const HOUR: u64 = 3_600_000 * MS;

fn any_share(dice: &mut Dice) -> Ratio {
    Ratio::from_millionths([1, 100_000, 333_333, 500_000, 800_000, 1_000_000][dice.below(6) as usize])
}

fn settings(dice: &mut Dice) -> Breaker {
    let mut breaker = if dice.one_in(3) {
        Breaker::consecutive(1 + dice.below(4) as u32)
    } else {
        let (share, slow) = (any_share(dice), Duration::from_millis(1 + dice.below(500)));
        let slow_share = any_share(dice);
        let mut breaker = match dice.below(3) {
            0 => Breaker::slow_calls(slow).slow_rate_ratio(slow_share),
            1 => Breaker::failure_rate_ratio(share).slow_call(slow),
            _ => Breaker::failure_rate_ratio(share),
        };
        let window = if dice.one_in(2) {
            let calls = if dice.one_in(4) { 1 + dice.below(100) } else { 1 + dice.below(8) } as u32;
            breaker = breaker.window_calls(calls);
            calls
        } else {
            breaker = breaker.window(Duration::from_millis(1_000 + dice.below(3_000)));
            u32::MAX
        };
        if dice.one_in(8) { breaker } else { breaker.min_calls(1 + dice.below(u64::from(window.min(6))) as u32) }
    };
    let recovery = 1 + dice.below(3_000);
    breaker = breaker.recovery(Duration::from_millis(recovery)).recovery_jitter_ratio(any_share(dice));
    if dice.one_in(2) {
        breaker = breaker.recovery_jitter_ratio(Ratio::ZERO);
    }
    if dice.one_in(3) {
        breaker = breaker.recovery_cap(Duration::from_millis(recovery * (1 + dice.below(10))));
    }
    breaker = breaker.successes(1 + dice.below(3) as u32).probes(1 + dice.below(3) as u32);
    assert!(Settings::new().breaker(breaker).problems().is_empty(), "{breaker}");
    breaker
}

/// An attempt that runs.
struct Running {
    pass: Pass,
    since: u64,
    /// In which period of the model it was admitted.
    period: u64,
}

/// A call that has ended.
struct Done {
    period: u64,
    at: u64,
    failed: bool,
    slow: bool,
}

/// The textbook's state machine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Closed {
        in_a_row: u32,
    },
    /// Until this millisecond, when not all of it is known: until then at least.
    Open {
        until: u64,
    },
    HalfOpen {
        good: u32,
        running: u32,
    },
    ForcedOpen,
    ForcedClosed,
}

struct World {
    seed: u64,
    dice: Dice,
    now: u64,
    core: Core,
    settings: Breaker,
    running: Vec<Running>,
    // The model.
    stands: Stands,
    /// Changes of state so far: results of one count in no other.
    period: u64,
    done: Vec<Done>,
    last_probe: u64,
    last_recovery: u64,
    closed_at: u64,
}

impl World {
    fn stands(&mut self, stands: Stands) {
        self.stands = stands;
        self.period += 1;
    }

    /// The calls that count now: a plain look at all of them.
    fn counted(&self) -> Vec<&Done> {
        let mut inside: Vec<&Done> = self.done.iter().filter(|done| done.period == self.period).collect();
        if let Some(size) = self.settings.window_size() {
            // A day without a call ends a window of calls.
            let is_gap = |pair: &[&Done]| pair[1].at - pair[0].at >= DAY;
            let begin = inside.windows(2).rposition(is_gap).map_or(0, |gap| gap + 1);
            inside.drain(..begin);
            if inside.last().is_some_and(|last| self.now - last.at >= DAY) {
                inside.clear();
            }
            inside.drain(..inside.len().saturating_sub(size as usize));
        } else {
            let time = clock::nanos(self.settings.window_time().unwrap());
            // Each 32nd of the window is forgotten as a whole.
            let part = time / 32;
            inside.retain(|done| self.now / part - done.at / part < 32);
            // Never what is older than the window, always what is younger by a 32nd.
            assert!(inside.iter().all(|done| self.now - done.at < time), "seed {}", self.seed);
            let young = |done: &Done| done.period == self.period && self.now - done.at <= part * 31;
            let must = self.done.iter().filter(|done| young(done)).count();
            assert!(inside.len() >= must, "seed {}", self.seed);
        }
        inside
    }

    fn trips(&self) -> bool {
        let inside = self.counted();
        let calls = inside.len() as u64;
        let reaches = |count: usize, share: Option<Ratio>| {
            share.is_some_and(|share| count as u64 * 1_000_000 >= share.millionths() * calls)
        };
        calls >= u64::from(self.settings.least_calls())
            && (reaches(inside.iter().filter(|done| done.failed).count(), self.settings.failure_share())
                || reaches(inside.iter().filter(|done| done.slow).count(), self.settings.slow_share()))
    }

    fn admit(&mut self) {
        let admitted = self.core.admit(self.now, &self.settings);
        let recovery = clock::nanos(self.settings.recovery_time());
        let expected = match self.stands {
            Stands::Closed { .. } | Stands::ForcedClosed => true,
            Stands::ForcedOpen => false,
            Stands::Open { until } => {
                let is_over = self.now / MS >= until;
                if is_over {
                    self.stands(Stands::HalfOpen { good: 0, running: 1 });
                    self.last_probe = self.now;
                }
                is_over
            }
            Stands::HalfOpen { good, running } => {
                let is_free = running < self.settings.probe_limit();
                let is_lost = self.now - self.last_probe >= recovery.max(60_000 * MS);
                if is_free {
                    self.stands = Stands::HalfOpen { good, running: running + 1 };
                }
                if is_free || is_lost {
                    self.last_probe = self.now;
                }
                is_free || is_lost
            }
        };
        assert_eq!(admitted.is_ok(), expected, "seed {}: {:?} under {}", self.seed, self.stands, self.settings);
        if let Ok((pass, _)) = admitted {
            self.running.push(Running { pass, since: self.now, period: self.period });
        } else if let (Err(open), Stands::Open { until }) = (admitted, self.stands) {
            assert_eq!(clock::nanos(open.retry_after), until * MS - self.now, "seed {}", self.seed);
        }
    }

    fn end(&mut self, sign: Sign) {
        if self.running.is_empty() {
            return;
        }
        let index = self.dice.below(self.running.len() as u64) as usize;
        let Running { pass, since, period } = self.running.swap_remove(index);
        let hold = if self.dice.one_in(4) { self.dice.below(2 * HOUR) } else { 0 };
        let ran = self.now - since;
        let slow = self.settings.slow_call_time().is_some_and(|least| ran >= clock::nanos(least));
        let before = self.stands;
        if period == self.period {
            self.learn(sign, slow);
        }
        let change = self.core.settle(pass, Ended { sign, ran, hold }, self.now, &self.settings);
        if let (Stands::Open { .. }, false) = (self.stands, before == self.stands) {
            self.check_opened(before, hold);
        }
        let names = |stands: Stands| match stands {
            Stands::Closed { .. } => BreakerState::Closed,
            Stands::Open { .. } => BreakerState::Open,
            Stands::HalfOpen { .. } => BreakerState::HalfOpen,
            Stands::ForcedOpen => BreakerState::ForcedOpen,
            Stands::ForcedClosed => BreakerState::ForcedClosed,
        };
        let (from, to) = (names(before), names(self.stands));
        assert_eq!(change, (from != to).then_some(Change { from, to }), "seed {}", self.seed);
    }

    /// What a result of the present period means.
    fn learn(&mut self, sign: Sign, slow: bool) {
        let (failed, now) = (sign == Sign::Bad, self.now);
        match self.stands {
            Stands::Closed { in_a_row } if !self.settings.is_windowed() => {
                let in_a_row = match sign {
                    Sign::Bad => in_a_row + 1,
                    Sign::Good | Sign::Answered => 0,
                    Sign::Dropped | Sign::None => in_a_row,
                };
                self.stands = Stands::Closed { in_a_row };
                if self.settings.failure_threshold() == Some(in_a_row) {
                    self.stands(Stands::Open { until: 0 });
                }
            }
            Stands::Closed { .. } => {
                if sign != Sign::None && (sign != Sign::Dropped || slow) {
                    self.done.push(Done { period: self.period, at: now, failed, slow });
                    if self.trips() {
                        self.stands(Stands::Open { until: 0 });
                    }
                }
            }
            Stands::HalfOpen { good, running } => {
                let running = running.saturating_sub(1);
                if failed || slow && matches!(sign, Sign::Good | Sign::Dropped) {
                    self.stands(Stands::Open { until: 0 });
                } else if sign == Sign::Good && good + 1 == self.settings.success_threshold() {
                    self.closed_at = now;
                    self.stands(Stands::Closed { in_a_row: 0 });
                } else {
                    self.stands = Stands::HalfOpen { good: good + u32::from(sign == Sign::Good), running };
                }
            }
            Stands::Open { .. } => unreachable!("seed {}: nothing is admitted while it is open", self.seed),
            Stands::ForcedOpen | Stands::ForcedClosed => {}
        }
    }

    /// It has opened: for how long, within what chance leaves.
    fn check_opened(&mut self, before: Stands, hold: u64) {
        let (recovery, seed) = (clock::nanos(self.settings.recovery_time()), self.seed);
        let mut expected = recovery;
        if let Some(cap) = self.settings.longest_recovery() {
            let was_well = matches!(before, Stands::Closed { .. }) && self.now >= self.closed_at + self.last_recovery;
            if self.last_recovery > 0 && !was_well {
                expected = (self.last_recovery * 2).min(clock::nanos(cap));
            }
            self.last_recovery = expected;
        }
        let least = expected.max(hold.min(HOUR));
        let share = u128::from(self.settings.recovery_randomness().millionths());
        let most = least + (u128::from(least) * share / 1_000_000) as u64;
        let Phase::Open { until } = self.core.load().phase else {
            panic!("seed {seed}: {:?} and not open under {}", self.core.load(), self.settings);
        };
        let range = (self.now + least).div_ceil(MS)..=(self.now + most).div_ceil(MS);
        assert!(range.contains(&until), "seed {seed}: open until {until}, not in {range:?}");
        self.stands = Stands::Open { until };
    }

    fn force(&mut self, state: BreakerState) {
        self.core.force(state, Some(&self.settings));
        self.last_recovery = 0;
        self.stands(match state {
            BreakerState::ForcedOpen => Stands::ForcedOpen,
            BreakerState::ForcedClosed => Stands::ForcedClosed,
            _ => Stands::Closed { in_a_row: 0 },
        });
    }

    fn step(&mut self) {
        match self.dice.below(40) {
            0..=13 => self.admit(),
            14..=18 => self.end(Sign::Good),
            19..=23 => self.end(Sign::Bad),
            24 => self.end(Sign::Answered),
            25 => self.end(Sign::None),
            26..=27 => self.end(Sign::Dropped),
            // Leaked.
            28 => drop(self.running.pop()),
            29 if self.dice.one_in(4) => self.force(BreakerState::ForcedOpen),
            30 if self.dice.one_in(4) => self.force(BreakerState::ForcedClosed),
            31 if self.dice.one_in(4) => self.force(BreakerState::Closed),
            32 if self.dice.one_in(4) => {
                self.settings = settings(&mut self.dice);
                self.force(BreakerState::Closed);
            }
            33 => self.now += self.dice.below(10_000) * MS,
            34 if self.dice.one_in(8) => self.now += self.dice.below(2 * DAY),
            35 if self.dice.one_in(4) => self.now += self.dice.below(2 * HOUR),
            _ => self.now += self.dice.below(300 * MS),
        }
        manual::set(Some(self.now));
        self.check();
    }

    /// What the breaker says of itself is what the model knows.
    fn check(&self) {
        let (seed, parts) = (self.seed, self.core.load());
        let phase = match self.stands {
            Stands::Closed { .. } if self.settings.is_windowed() => Phase::Watched,
            Stands::Closed { in_a_row } => Phase::Closed { failures: in_a_row },
            Stands::Open { until } => Phase::Open { until },
            Stands::HalfOpen { good, running } => Phase::HalfOpen { successes: good, running },
            Stands::ForcedOpen => Phase::ForcedOpen,
            Stands::ForcedClosed => Phase::ForcedClosed,
        };
        assert_eq!(parts, Parts { phase, ..parts }, "seed {seed}: under {}", self.settings);
        let counts = self.core.counts();
        if phase == Phase::Watched {
            let inside = self.counted();
            let count = |is: fn(&Done) -> bool| inside.iter().filter(|done| is(done)).count() as u64;
            let expected = (inside.len() as u64, count(|done| done.failed), count(|done| done.slow));
            assert_eq!((counts.calls, counts.failures, counts.slow), expected, "seed {seed}: {}", self.settings);
        } else {
            assert_eq!(counts.calls, 0, "seed {seed}");
        }
        let is_quiet = match self.stands {
            Stands::Closed { in_a_row } => in_a_row == 0 && counts.calls == 0,
            _ => false,
        };
        let has_grown = self.last_recovery > 0 && self.now < self.closed_at + self.last_recovery;
        assert_eq!(self.core.is_idle(), is_quiet && !has_grown, "seed {seed}: idle");
    }

    /// Whatever has happened: a service that is well closes it, and all probes that it needs are let through.
    fn finish(&mut self) {
        self.running.clear();
        if matches!(self.stands, Stands::ForcedOpen | Stands::ForcedClosed) {
            self.force(BreakerState::Closed);
        }
        for _ in 0..1_000 {
            // Longer than a server and chance together hold it open.
            self.now += 3 * HOUR;
            manual::set(Some(self.now));
            self.admit();
            assert_eq!(self.running.len(), 1, "seed {}: not let through", self.seed);
            self.end(Sign::Good);
            self.check();
            if matches!(self.stands, Stands::Closed { .. }) {
                return;
            }
        }
        panic!("seed {}: {:?} for good", self.seed, self.stands);
    }
}

fn history(seed: u64) {
    let mut dice = Dice(seed);
    let settings = settings(&mut dice);
    // Shortly after the start, or years later.
    let now = if dice.one_in(4) { DAY * dice.below(4_000) } else { 0 };
    let mut world = World {
        seed,
        dice,
        now,
        core: Core::new(Some(&settings)),
        settings,
        running: Vec::new(),
        stands: Stands::Closed { in_a_row: 0 },
        period: 0,
        done: Vec::new(),
        last_probe: 0,
        last_recovery: 0,
        closed_at: 0,
    };
    manual::set(Some(now));
    for _ in 0..100 {
        world.step();
    }
    world.finish();
}

#[test]
fn it_is_the_textbooks_state_machine_whatever_happens() {
    for seed in histories(200_000).0 {
        history(seed);
    }
    manual::set(None);
}
