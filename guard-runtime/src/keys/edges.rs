//! What only a look inside shows: what a key has after a call, what it takes from other settings, and how little a refusal costs.

use std::time::Duration;

use guard_spec::{Breaker, Concurrency, Rate, Settings};

use super::shard::Shard;
use super::tests::{admit, begin, begin_now, fail, policy};
use super::*;
use crate::call::Call;
use crate::clock::manual;
use crate::verdict::Judged;
use crate::{Policy, Rejected, Verdict};

const START: u64 = 1 << 42;
/// What a token takes: a power of two, so that its units are nanoseconds.
const TOKEN: u64 = 1 << 27;

fn rate(burst: u32) -> Rate {
    Rate::new(1, Duration::from_nanos(TOKEN)).burst(burst).max_wait(Duration::ZERO)
}

fn states(policy: &Policy) -> usize {
    policy.keys.states().len()
}

#[test]
fn a_key_that_is_well_again_is_a_number_again_with_what_it_has_taken() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().rate(rate(5)).breaker(Breaker::consecutive(2)));
    fail(policy, 7);
    assert_eq!((states(policy), policy.keys.len()), (1, 1), "it has failed");
    assert!(admit(policy, 7));
    assert_eq!((states(policy), policy.keys.len()), (0, 1), "it is well");
    assert_eq!((0..9).filter(|_| admit(policy, 7)).count(), 3, "two of five are gone");
    manual::set(Some(START + 5 * TOKEN));
    (0..20).for_each(|key| assert!(admit(policy, 100 + key)));
    manual::set(Some(START + 9 * TOKEN));
    let len = policy.keys.len();
    assert_eq!((policy.evict_idle(), policy.keys.len()), (len, 0));
}

#[test]
fn a_crowd_of_states_leaves_no_room_for_one_behind() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().rate(rate(5)).breaker(Breaker::consecutive(2)));
    let room = || policy.keys.places().iter().map(|place| place.lock().room()).sum::<usize>();
    (0..5_000).for_each(|key| fail(policy, key));
    assert!(room() >= 5_000 && states(policy) == 5_000);
    (0..4_000).for_each(|key| assert!(admit(policy, key)));
    assert!(room() < 5_000, "{} for 1 000", room());
    (4_000..5_000).for_each(|key| assert!(admit(policy, key)));
    assert_eq!((room(), states(policy), policy.keys.len()), (0, 0, 5_000));
}

#[test]
fn another_rate_makes_no_state_of_a_number() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().rate(rate(5)));
    (0..9).for_each(|key| assert!(admit(policy, key)));
    policy.configure(Settings::new().rate(rate(4))).unwrap();
    assert_eq!((states(policy), policy.keys.len()), (0, 9));
    assert_eq!((0..9).filter(|_| admit(policy, 0)).count(), 4, "four of five are there");
}

#[test]
fn what_nothing_stands_in_the_way_of_goes_the_short_way_in_and_out() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().rate(rate(5)).breaker(Breaker::consecutive(2)));
    let good_answer = Judged { status: Some(200), ..Judged::SUCCESS };
    let mut whole = Call::new(policy, None);
    assert!(whole.admit() && whole.succeeded(&good_answer));
    let mut by_number = Call::keyed(policy, None, &7_u64);
    assert!(policy.keys.is_ready(), "from the first key on");
    assert!(by_number.admit() && by_number.succeeded(&Judged::SUCCESS));
    fail(policy, 7);
    let mut by_state = Call::keyed(policy, None, &7_u64);
    assert!(by_state.admit() && by_state.succeeded(&good_answer));
}

#[test]
fn a_call_that_is_refused_makes_no_state() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().rate(rate(1)));
    assert!(admit(policy, 7));
    let mut call = Call::keyed(policy, None, &7_u64);
    let refused = begin_now(&mut call).unwrap_err();
    // As long as the call is there, so would be what it holds.
    assert_eq!(states(policy), 0);
    let retry_after = Duration::from_nanos(TOKEN);
    assert!(matches!(refused, Some(Rejected::RateLimited { retry_after: after, .. }) if after == retry_after));
}

#[test]
fn a_keys_wait_may_be_as_long_as_it_may_be_and_its_cost_as_high_as_the_burst() {
    manual::set(Some(START));
    let limited = policy(&Settings::new().rate(rate(3).max_wait(Duration::from_nanos(TOKEN))));
    let ask = |policy: &'static Policy, cost: u32| {
        let mut call = Call::keyed(policy, None, &7_u64).costing(cost);
        let is_in = call.admit_costing();
        begin(&mut call, is_in).map(|wait| wait.is_some())
    };
    assert!(matches!(ask(limited, 4), Err(Rejected::CostTooHigh { cost: 4, burst: 3, .. })));
    let mut running = Call::keyed(limited, None, &7_u64).costing(3);
    assert!(running.admit_costing(), "at once");
    assert!(matches!(ask(limited, 4), Err(Rejected::CostTooHigh { cost: 4, burst: 3, .. })));
    assert!(matches!(ask(limited, 3), Err(Rejected::RateLimited { .. })), "three are there, but later");
    assert!(matches!(ask(limited, 2), Err(Rejected::RateLimited { .. })));
    assert!(matches!(ask(limited, 1), Ok(true)), "its turn is the last instant that it waits for");
    // A token of a day is 2^47 units: 2^17 of them are none in 64 bits.
    let daily = policy(&Settings::new().rate(Rate::per_day(1)));
    assert!(matches!(ask(daily, 1 << 17), Err(Rejected::CostTooHigh { .. })));
}

#[test]
fn the_breaker_of_the_calls_without_a_key_says_nothing_of_those_with_one() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().breaker(Breaker::consecutive(2)));
    assert!(admit(policy, 7));
    // The keys' breakers are in their third generation then.
    (0..2).for_each(|_| policy.reset());
    for _ in 0..2 {
        let mut call = Call::new(policy, None);
        assert!(begin_now(&mut call).is_ok());
        assert!(call.settle(&Judged::by(Verdict::Failure)).is_none());
    }
    assert!(begin_now(&mut Call::new(policy, None)).is_err(), "it is open");
    assert!(admit(policy, 7), "the key's is not");
    (0..2).for_each(|_| fail(policy, 7));
    assert!(!admit(policy, 7), "both have counted");
    assert!(admit(policy, 8));
}

#[test]
fn a_state_of_other_settings_is_not_taken() {
    manual::set(Some(START));
    let limited = |settings: &Settings| {
        let policy = policy(settings);
        policy.hash_of(&7_u64);
        policy
    };
    let same = Settings::new().rate(rate(2));
    let mine = limited(&same);
    let takes = |mine: &Policy, other: &Policy| {
        mine.keys.state_or(mine.hash_of(&7_u64), other.state_of(1), START, &mine.state.breaker).is_ok()
    };
    let other = limited(&Settings::new().rate(rate(3)));
    assert!(!takes(mine, other), "another rate");
    let twin = limited(&same);
    mine.configure(same).unwrap();
    assert!(!takes(mine, twin), "of the version before");
    let (none, more) = (limited(&Settings::new()), limited(&Settings::new().concurrency(Concurrency::new(1))));
    assert!(!takes(none, more), "neither has a rate, but one has more than a rate says");
    twin.configure(same).unwrap();
    assert!(takes(mine, twin), "of the same");
}

#[test]
fn a_new_breaker_is_brought_to_its_generation_by_few_changes_however_many_there_were() {
    manual::set(Some(START));
    let policy = policy(&Settings::new().breaker(Breaker::consecutive(2)));
    let hash = policy.hash_of(&7_u64);
    for reset in 1..=40 {
        policy.reset();
        assert_eq!(policy.keys.first(hash).0, reset % FIRSTS);
    }
    (0..2).for_each(|_| fail(policy, 7));
    assert!(!admit(policy, 7), "it counts in that one");
}

#[test]
fn one_in_so_many_calls_of_known_keys_looks_at_others() {
    let policy = policy(&Settings::new());
    let mut shard = Shard::new(Form::of(&policy.state, 0, 0));
    let looks: Vec<u32> = (1..=96).filter(|_| shard.counts(32)).collect();
    assert_eq!(looks, [32, 64, 96]);
}
