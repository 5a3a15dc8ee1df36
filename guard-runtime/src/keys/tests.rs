//! Random histories of {call, wait, end, fail, pause, settle, force, configure, evict, advance} of some keys, on a clock of their own,
//! beside a policy for each key that has nothing but its full state: every answer is the same. And beside a naive model: the list of
//! what was granted.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guard_spec::{Breaker, Concurrency, Rate, Settings};

use super::*;
use crate::breaker::{Ended, Sign};
use crate::call::{Admission, Call};
use crate::clock::manual;
use crate::dice::{Dice, histories};
use crate::verdict::Judged;
use crate::{Policy, PolicyName, Rejected, Verdict};

const MS: u64 = 1_000_000;
const KEYS: u64 = 12;

/// Mostly one rate; full again within a second, since the lateness of a grant is forgotten after that.
fn settings(dice: &mut Dice) -> Settings {
    let burst = 1 + dice.below(10) as u32;
    let rate = Rate::per_second(20 + dice.below(300) as u32).burst(burst.min(10));
    let rate = rate.max_wait(Duration::from_millis(if dice.one_in(2) { 0 } else { 100 }));
    let settings =
        Settings::new().breaker(Breaker::consecutive(2 + dice.below(2) as u32).recovery(Duration::from_secs(3)));
    match dice.below(6) {
        0 => settings,
        1 => settings.rate(rate).concurrency(Concurrency::new(2)),
        _ => settings.rate(rate),
    }
}

pub(super) fn policy(settings: &Settings) -> &'static Policy {
    // Calls borrow it, and are kept.
    Box::leak(Box::new(Policy::unchecked(PolicyName::new("keys"), settings)))
}

/// A call of a key, and the same one of the policy that it is compared with.
struct Running {
    key: u64,
    call: Call<'static, crate::call::Key>,
    same: Call<'static>,
    /// Of a key that was dropped since.
    is_stray: bool,
    since: u64,
    cost: u32,
    restarts: u32,
}

/// A call that ends at once and well, if it is let through.
pub(super) fn admit(policy: &'static Policy, key: u64) -> bool {
    let mut call = Call::keyed(policy, None, &key);
    let admitted = begin_now(&mut call).is_ok();
    if admitted {
        assert!(call.succeeded(&Judged::SUCCESS));
    }
    admitted
}

pub(super) fn begin_now<'p, S: crate::call::Part<'p>>(call: &mut Call<'p, S>) -> Result<(), Option<Rejected>> {
    let is_in = call.admit();
    match begin(call, is_in) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(None),
        Err(rejected) => Err(Some(rejected)),
    }
}

pub(super) fn fail(policy: &'static Policy, key: u64) {
    let mut call = Call::keyed(policy, None, &key);
    if begin_now(&mut call).is_ok() {
        assert!(call.settle(&Judged::by(Verdict::Failure)).is_none());
    }
}

struct History {
    dice: Dice,
    now: u64,
    policy: &'static Policy,
    same: Vec<&'static Policy>,
    /// How often all breakers were told to begin anew, and the generation in which each has.
    restarts: u32,
    firsts: Vec<Option<Pass>>,
    running: Vec<Running>,
    /// What each key was granted since the settings changed: when, and how much of it was used.
    granted: Vec<Vec<(u64, i64)>>,
    forced: BreakerState,
    answers: [usize; 3],
}

/// The slow way in, for those that the fast one did not let through.
pub(super) fn begin<'c, 'p, S: crate::call::Part<'p>>(
    call: &'c mut Call<'p, S>,
    is_in: bool,
) -> Result<Option<crate::call::Wait<'c>>, Rejected> {
    if is_in {
        return Ok(None);
    }
    match call.admit_slowly() {
        Admission::Admitted => Ok(None),
        Admission::Waiting(wait) => Ok(Some(wait)),
        Admission::Rejected(rejected) => Err(rejected),
    }
}

fn force(policy: &Policy, state: BreakerState) {
    match state {
        BreakerState::ForcedOpen => policy.force_open(),
        BreakerState::ForcedClosed => policy.force_closed(),
        _ => policy.reset(),
    }
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn shown(rejected: &Rejected) -> String {
    match rejected {
        // By how much a breaker varies its recovery is not compared.
        Rejected::CircuitOpen { .. } => "open".into(),
        _ => format!("{rejected:?}"),
    }
}

impl History {
    fn new(seed: u64) -> History {
        let mut dice = Dice(seed);
        let now = 3_600_000 * MS + dice.below(1_000_000);
        manual::set(Some(now));
        let settings = settings(&mut dice);
        let same = (0..KEYS).map(|_| policy(&settings)).collect();
        History {
            dice,
            now,
            policy: policy(&settings),
            same,
            restarts: 0,
            firsts: vec![Some(Pass(0)); KEYS as usize],
            running: Vec::new(),
            granted: vec![Vec::new(); KEYS as usize],
            forced: BreakerState::Closed,
            answers: [0; 3],
        }
    }

    fn advance(&mut self, by: u64) {
        self.now += by;
        manual::set(Some(self.now));
    }

    /// A key that was dropped is as one that never came.
    fn forget_dropped(&mut self) {
        for key in 0..KEYS {
            let hash = self.policy.hash_of(&key);
            let is_there =
                self.policy.keys.place(hash).is_some_and(|place| !matches!(place.lock().find(hash), Found::Nothing));
            if is_there {
                continue;
            }
            let same = &mut self.same[key as usize];
            assert!(same.state.limiter.is_full(), "{key} was dropped with what it had taken");
            assert!(
                same.state.breaker.is_idle() || self.forced != BreakerState::Closed,
                "{key} was dropped with its failures"
            );
            *same = policy(&self.policy.settings());
            if self.forced != BreakerState::Closed {
                force(same, self.forced);
            }
            self.firsts[key as usize] = same.state.breaker.pass_if_closed();
            self.running.iter_mut().filter(|running| running.key == key).for_each(|running| running.is_stray = true);
        }
    }

    fn call(&mut self) {
        let key = self.dice.below(KEYS);
        let cost = if self.dice.one_in(4) { 1 + self.dice.below(4) as u32 } else { 1 };
        let mut call = Call::keyed(self.policy, None, &key).costing(cost);
        let mut same = Call::new(self.same[key as usize], None).costing(cost);
        let is_good = (call.admit_costing(), same.admit_costing());
        let wait = self.dice.below(120) * MS;
        let is_polled = self.dice.one_in(2);
        let admitted = if is_good == (true, true) {
            true
        } else {
            // One that has nothing but a number is not looked at again, one that is new in some policies is.
            let (mine, other) = (begin(&mut call, is_good.0), begin(&mut same, is_good.1));
            match (mine, other) {
                (Ok(None), Ok(None)) => true,
                (Err(mine), Err(other)) => {
                    assert_eq!(shown(&mine), shown(&other), "{key} at {}", self.now);
                    self.answers[1] += 1;
                    false
                }
                (Ok(Some(mine)), Ok(Some(other))) => {
                    self.answers[2] += 1;
                    if is_polled {
                        self.advance(wait);
                        match (poll(mine), poll(other)) {
                            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => true,
                            (Poll::Ready(Err(mine)), Poll::Ready(Err(other))) => {
                                assert_eq!(shown(&mine), shown(&other), "{key} at {}", self.now);
                                false
                            }
                            (Poll::Pending, Poll::Pending) => false,
                            (mine, other) => unreachable!("{mine:?}, {other:?} of {key} at {}", self.now),
                        }
                    } else {
                        false
                    }
                }
                (mine, other) => unreachable!(
                    "{:?}, {:?} of {key} for {cost} at {}",
                    mine.map(|wait| wait.is_some()),
                    other.map(|wait| wait.is_some()),
                    self.now
                ),
            }
        };
        if admitted {
            self.answers[0] += 1;
            self.granted[key as usize].push((self.now, i64::from(cost)));
            self.check(key);
            self.running.push(Running {
                key,
                call,
                same,
                is_stray: false,
                since: self.now,
                cost,
                restarts: self.restarts,
            });
        }
    }

    /// Never more than the burst and what the rate gives in the time, and in the lateness that is made up.
    fn check(&self, key: u64) {
        let settings = self.policy.settings();
        let Some(rate) = settings.rate_limit() else { return };
        let granted = &self.granted[key as usize];
        let mut sum = 0;
        for (index, (at, used)) in granted.iter().enumerate().rev() {
            sum += used;
            // All of an instant together: which of them was given back is not known.
            if index > 0 && granted[index - 1].0 == *at {
                continue;
            }
            let time = u128::from(self.now - at + 2 * MS);
            let regained = (time * u128::from(rate.count()) / rate.period().as_nanos()) as u64;
            let most = u64::from(rate.capacity()) + regained;
            assert!(sum <= 0 || sum.unsigned_abs() <= most, "{key} had {sum} of {most} since {at} at {}", self.now);
        }
    }

    fn end(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let index = self.dice.below(self.running.len() as u64) as usize;
        let Running { key, mut call, mut same, is_stray, since, cost, restarts } = self.running.swap_remove(index);
        // What it took of the rate that was is not given back.
        if !is_stray && self.dice.one_in(4) {
            let used = self.dice.below(4) as u32;
            call.used(used);
            same.used(used);
            // What is given back may be granted again.
            if let Some(grant) = self.granted[key as usize].iter_mut().find(|(at, _)| *at == since) {
                grant.1 -= i64::from(cost.saturating_sub(used));
            }
        }
        let (mut judged, mut sign) = (Judged::SUCCESS, Sign::Good);
        let breaker = self.policy.settings().circuit_breaker().copied();
        match self.dice.below(8) {
            0 | 1 => {
                judged = Judged::by(Verdict::Failure);
                sign = Sign::Bad;
            }
            2 if !is_stray => {
                sign = Sign::None;
                judged = Judged::by(Verdict::Throttled { retry_after: Some(Duration::from_millis(30)) });
            }
            _ => {}
        }
        if !call.succeeded(&judged) {
            assert!(call.settle(&judged).is_none(), "there are no retries");
        }
        if is_stray {
            // It counts for the key that came after it; the old one is not looked at any more.
            same.succeeded(&Judged::SUCCESS);
            if let (Some(breaker), Some(first), true) = (breaker, self.firsts[key as usize], restarts == self.restarts)
            {
                self.same[key as usize].state.breaker.settle(
                    first,
                    Ended { sign, ran: 0, hold: 0 },
                    self.now,
                    &breaker,
                );
            }
        } else if !same.succeeded(&judged) {
            assert!(same.settle(&judged).is_none(), "there are no retries");
        }
    }
}

impl History {
    fn configure(&mut self) {
        let settings = settings(&mut self.dice);
        let restarts = self.policy.settings().circuit_breaker() != settings.circuit_breaker();
        self.policy.configure(settings).unwrap();
        self.same.iter().for_each(|same| same.configure(settings).unwrap());
        if restarts {
            self.restart();
        }
        self.granted.iter_mut().for_each(Vec::clear);
        // What is granted at the very instant of the change counts as granted before.
        self.advance(1);
    }

    fn end_all(&mut self) {
        while !self.running.is_empty() {
            self.end();
        }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.firsts = self.same.iter().map(|same| same.state.breaker.pass_if_closed()).collect();
    }

    fn force(&mut self) {
        self.forced =
            [BreakerState::Closed, BreakerState::ForcedOpen, BreakerState::ForcedClosed][self.dice.below(3) as usize];
        force(self.policy, self.forced);
        self.same.iter().for_each(|same| force(same, self.forced));
        self.restart();
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.dice.below(40) {
                0..20 => self.call(),
                20..33 => self.end(),
                33..37 => {
                    let by = self.dice.below(15 * MS);
                    self.advance(by);
                }
                37 => {
                    self.policy.evict_idle();
                }
                38 if self.dice.one_in(4) => self.advance(60_000 * MS),
                39 if self.dice.one_in(3) => self.force(),
                39 if self.dice.one_in(2) => self.configure(),
                _ => {}
            }
            self.forget_dropped();
        }
        // All that is left goes, and then there is nothing.
        self.end_all();
        self.forced = BreakerState::Closed;
        force(self.policy, self.forced);
        self.advance(3_600_000 * MS);
        self.policy.evict_idle();
        assert_eq!(self.policy.keys.len(), 0);
        for place in self.policy.keys.places() {
            let shard = place.lock();
            assert_eq!((shard.len(), shard.slots(), shard.states().len()), (0, 0, 0));
            assert_eq!(place.states.load(Relaxed), 0);
        }
    }
}

#[test]
fn a_key_answers_as_a_policy_of_its_own_would() {
    let (seeds, are_all) = histories(500);
    let mut answers = [0; 3];
    // Waits have their timers on the clock of a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    for seed in seeds {
        let run = std::panic::AssertUnwindSafe(|| {
            let mut history = History::new(seed);
            history.run(400);
            history.answers
        });
        match std::panic::catch_unwind(run) {
            Ok(more) => answers.iter_mut().zip(more).for_each(|(sum, more)| *sum += more),
            Err(panic) => {
                eprintln!("APIGUARD_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    manual::set(None);
    assert!(!are_all || answers.iter().all(|count| *count > 2_000), "{answers:?}");
}

#[test]
fn a_flood_of_other_keys_takes_nothing_from_those_that_are_known() {
    manual::set(Some(3_600_000 * MS));
    let rate = Rate::per_hour(1).burst(2).max_wait(Duration::ZERO);
    let policy =
        policy(&Settings::new().rate(rate).breaker(Breaker::consecutive(1).recovery(Duration::from_secs(3_600))));
    // A thousand that have one token left, and a hundred that are down.
    (0..1_000).for_each(|key| assert!(admit(policy, key)));
    (1_000..1_100).for_each(|key| fail(policy, key));
    for key in 2_000..202_000 {
        assert!(admit(policy, key), "{key}");
    }
    let known = |key: u64| {
        let place = policy.keys.place(policy.hash_of(&key)).unwrap();
        !matches!(place.lock().find(policy.hash_of(&key)), Found::Nothing)
    };
    assert_eq!((0..1_100).find(|key| !known(*key)), None);
    assert_eq!((policy.keys.len(), policy.keys.states().len()), (201_100, 100));
    (0..1_000).for_each(|key| assert!(admit(policy, key) && !admit(policy, key), "{key}"));
    (1_000..1_100).for_each(|key| assert!(!admit(policy, key), "{key} is down"));
    // Calls of one key clear away the rest when it is idle: two hours later all but the known ones are, which have used both.
    let later = 3_600_000 * MS + 5_400_000 * MS;
    manual::set(Some(later));
    // One in 32 looks at 32 slots of one of 128 shards, of which the largest may have 3 000: each is gone round once and a half.
    for _ in 0..600_000 {
        admit(policy, 0);
    }
    assert_eq!(policy.keys.len(), 1_100);
    let slots: usize = policy.keys.places().iter().map(|place| place.lock().slots()).sum();
    assert!(slots < 1_100 * 8, "{slots} slots for 1 100 keys");
    manual::set(None);
}

#[test]
fn beyond_the_bound_keys_share_a_state_and_those_before_keep_theirs() {
    manual::set(Some(3_600_000 * MS));
    let settings = Settings::new().rate(Rate::per_second(1).burst(3).max_wait(Duration::ZERO));
    let mut policy = Policy::unchecked(PolicyName::new("keys"), &settings);
    policy.keys.most = 1_000;
    let policy: &Policy = Box::leak(Box::new(policy));
    (0..1_000).for_each(|key| assert!(admit(policy, key)));
    let beyond = (1_000..2_000).filter(|key| admit(policy, *key)).count();
    assert_eq!((beyond, policy.keys.len()), (3, 1_000));
    (0..1_000).for_each(|key| assert!(admit(policy, key)));
    policy.configure(settings.rate(Rate::per_second(1).burst(4).max_wait(Duration::ZERO))).unwrap();
    assert!(!admit(policy, 1_000), "no change makes a token");
    policy.force_open();
    assert!(!admit(policy, 7));
    policy.reset();
    manual::set(Some(3_603_000 * MS));
    // There is room again: the last few of those that are idle may not be found at once.
    let found = (0..1_000).filter(|key| admit(policy, 1_000 + key)).count();
    assert!(found > 950, "{found}");
    manual::set(None);
}

#[test]
fn keys_that_have_failed_once_and_do_not_come_again_make_room() {
    manual::set(Some(3_600_000 * MS));
    let settings = Settings::new().rate(Rate::per_second(1).max_wait(Duration::ZERO)).breaker(Breaker::consecutive(5));
    let mut policy = Policy::unchecked(PolicyName::new("keys"), &settings);
    policy.keys.most = 1_000;
    let policy: &Policy = Box::leak(Box::new(policy));
    for key in 0..1_000_u64 {
        let mut call = Call::keyed(policy, None, &key);
        assert!(call.admit());
        assert!(call.settle(&Judged::by(Verdict::Failure)).is_none());
    }
    manual::set(Some(3_603_000 * MS));
    assert_eq!((policy.evict_idle(), policy.keys.len()), (0, 1_000), "there is no need yet");
    // Each has a bucket of its own: one that all shared would hold one token.
    let found = (0..1_000).filter(|key| admit(policy, 1_000 + key)).count();
    assert!(found > 950, "{found}");
    manual::set(None);
}

#[test]
fn threads_that_use_the_same_keys_get_no_token_twice() {
    let settings = Settings::new().rate(Rate::per_day(1).burst(50).max_wait(Duration::ZERO));
    let settings = settings.breaker(Breaker::consecutive(1_000_000));
    for round in 0..20 {
        let policy = policy(&settings);
        let run = |thread: u64| {
            // The threads are at the same instant; a day is far.
            manual::set(Some(3_600_000 * MS));
            let mut dice = Dice(round * 10 + thread);
            let mut granted = vec![0; KEYS as usize];
            for step in 0..2_000 {
                let key = dice.below(KEYS);
                let mut call = Call::keyed(policy, None, &key);
                if begin_now(&mut call).is_ok() {
                    granted[key as usize] += 1;
                    // Makes a state of it now and then, which is let go of again.
                    let verdict = if dice.one_in(3) { Verdict::Failure } else { Verdict::Success };
                    if !call.succeeded(&Judged::by(verdict)) {
                        call.settle(&Judged::by(verdict));
                    }
                }
                if step % 500 == 0 && thread == 0 {
                    policy.configure(settings).unwrap();
                    policy.evict_idle();
                }
            }
            granted
        };
        let all: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || run(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for key in 0..KEYS as usize {
            assert_eq!(all.iter().map(|granted| granted[key]).sum::<u32>(), 50, "{key} in round {round}");
        }
    }
}
