//! The limiter at the edges of what it decides, one step at a time, on a clock that is set by hand: instants that are equal, what several
//! limits have each, what comes back late, and what the next one finds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use guard_spec::{Concurrency, Quota, Rate, Settings};

use super::scale::LATENESS;
use super::*;
use crate::clock::manual;

const MS: u64 = 1_000_000;
/// What a token takes in [`rate`]: a power of two, so that its units are nanoseconds.
const TOKEN: u64 = 1 << 27;
const START: u64 = 1 << 42;

/// A token in each `TOKEN` nanoseconds.
fn rate(burst: u32) -> Rate {
    Rate::new(1, Duration::from_nanos(TOKEN)).burst(burst)
}

/// Full again in no time.
fn fast(burst: u32) -> Rate {
    Rate::per_second(1_000_000).burst(burst)
}

fn at(now: u64) -> u64 {
    manual::set(Some(now));
    now
}

/// A limiter that is used first at the start.
fn limiter(settings: &Settings) -> Limiter {
    at(START);
    let limiter = Limiter::unchecked(settings);
    limiter.prepare(settings);
    limiter
}

fn enter(limiter: &Limiter, cost: u32, latest: u64) -> Result<Entry, Refusal> {
    limiter.enter(|| unreachable!("it is prepared"), cost, clock::now(), latest)
}

fn take(limiter: &Limiter, cost: u32) -> Option<Taken> {
    match enter(limiter, cost, clock::now()) {
        Ok(Entry::Taken(taken)) => Some(taken),
        Ok(Entry::Turn(ticket)) => {
            drop(Turn::new(limiter, ticket));
            None
        }
        Err(_) => None,
    }
}

fn join(limiter: &Limiter, cost: u32, latest: u64) -> Turn<&Limiter> {
    match enter(limiter, cost, latest) {
        Ok(Entry::Turn(ticket)) => Turn::new(limiter, ticket),
        other => unreachable!("{other:?} and no place"),
    }
}

fn look(turn: &mut Turn<&Limiter>) -> Poll<Result<u64, Refusal>> {
    turn.look(Waker::noop()).map_ok(|taken| taken.at())
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

// ---- what comes back

#[test]
fn what_the_fast_path_took_comes_back_as_if_it_had_never_been_taken() {
    let limiter = limiter(&Settings::new().rate(rate(3)));
    let taken = limiter.take_now(1, START).unwrap();
    at(START + TOKEN / 2);
    limiter.give_back(taken);
    assert_eq!(limiter.available(), Some(3));
}

#[test]
fn the_last_grant_comes_back_whole_if_nothing_came_back_before_it() {
    let limiter = limiter(&Settings::new().rate(rate(4)));
    take(&limiter, 2).unwrap();
    let last = take(&limiter, 1).unwrap();
    at(START + TOKEN / 2);
    limiter.give_back(last);
    // One of the two that the first took has come back by then.
    at(START + TOKEN / 2 + 1);
    let last = take(&limiter, 1).unwrap();
    at(START + TOKEN);
    assert_eq!(limiter.available(), Some(2));
    limiter.give_back(last);
    assert_eq!(limiter.available(), Some(3));
}

#[test]
fn what_a_bucket_that_was_full_meanwhile_has_regained_does_not_come_back() {
    let limiter = limiter(&Settings::new().rate(rate(2)));
    let (first, second) = (take(&limiter, 1).unwrap(), take(&limiter, 1).unwrap());
    limiter.give_back(first);
    at(START + TOKEN * 9 / 10);
    take(&limiter, 1).unwrap();
    limiter.give_back(second);
    // Two at the start would have been all again: only the one of a tenth before is gone.
    at(START + TOKEN);
    assert_eq!(limiter.available(), Some(1), "two more would be three in a tenth of a token's time");
}

#[test]
fn to_other_rates_comes_back_what_was_taken_of_them_and_nothing_from_before() {
    let (old, new) = (Settings::new().rate(rate(2)), Settings::new().rate(rate(3)));
    let limiter = limiter(&old);
    let before = take(&limiter, 2).unwrap();
    limiter.configure(&old, &new);
    limiter.give_back(before);
    assert_eq!(limiter.available(), Some(0));
    at(START + 3 * TOKEN);
    limiter.configure(&new, &old);
    at(START + 3 * TOKEN + 1);
    let after = take(&limiter, 2).unwrap();
    limiter.give_back(after);
    assert_eq!(limiter.available(), Some(2), "the first instant at which they hold");
}

// ---- several limits

#[test]
fn rates_that_stay_know_what_was_taken_whatever_else_changes() {
    let old = Settings::new().rate(rate(5)).and_rate(rate(9));
    let limiter = limiter(&old);
    let taken = take(&limiter, 3).unwrap();
    limiter.configure(&old, &old.concurrency(Concurrency::new(2)));
    limiter.settle(taken.at(), 3, 1);
    assert_eq!(limiter.available(), Some(4));
}

#[test]
fn another_rate_beside_the_first_is_another_one_and_one_that_is_gone_is_gone() {
    let of = |rates: &[Rate]| rates.iter().fold(Settings::new(), |settings, rate| settings.and_rate(*rate));
    let new = of(&[fast(5), rate(5)]);
    for old in [of(&[fast(5), rate(2)]), of(&[fast(5), rate(5), rate(2)]), of(&[fast(5)])] {
        let limiter = limiter(&old);
        limiter.configure(&old, &new);
        assert_eq!(limiter.available(), Some(5), "{old}");
        take(&limiter, 5).unwrap();
        at(START + MS);
        assert_eq!(limiter.available(), Some(0), "{old}");
    }
}

#[test]
fn a_pause_and_its_end_hold_for_every_rate() {
    let settings = Settings::new().rate(fast(5)).and_rate(rate(5));
    let paused = limiter(&settings);
    paused.pause(START + 10 * TOKEN);
    at(START + 10 * TOKEN + TOKEN / 2);
    assert_eq!(paused.available(), Some(1), "it ends with one token");
    let resumed = limiter(&settings);
    resumed.pause(START + 10 * TOKEN);
    resumed.resume();
    at(START + TOKEN);
    assert_eq!(resumed.available(), Some(1), "it has regained one");
}

#[test]
fn what_was_used_beside_what_was_taken_is_settled_with_every_limit() {
    let rates = Settings::new().rate(fast(5)).and_rate(rate(5));
    let quota = Settings::new().rate(fast(5)).quota(Quota::new(5, Duration::from_nanos(TOKEN)));
    for settings in [rates, quota] {
        let charged = limiter(&settings);
        let taken = take(&charged, 1).unwrap();
        charged.settle(taken.at(), 1, 3);
        at(START + MS);
        assert_eq!(charged.available(), Some(2), "{settings}");
        let refunded = limiter(&settings);
        let taken = take(&refunded, 5).unwrap();
        refunded.settle(taken.at(), 5, 2);
        at(START + MS);
        assert_eq!(refunded.available(), Some(3), "{settings}");
    }
}

#[test]
fn a_cost_above_the_burst_is_refused_however_large_it_is() {
    // A token of a day is 2^47 units: 2^17 of them are none in 64 bits.
    let bucket = TokenBucket::with_rate(Rate::per_day(1)).unwrap();
    for cost in [2, 1 << 17, u32::MAX] {
        assert_eq!(bucket.try_acquire(cost), Err(Refused::Never { cost, burst: 1 }));
    }
    assert_eq!(bucket.available(), 1);
}

// ---- as nothing, or as one number

#[test]
fn what_is_paused_is_not_as_if_nothing_had_been_taken() {
    let limiter = limiter(&Settings::new().concurrency(Concurrency::new(1)));
    assert!(limiter.is_full());
    assert_eq!(limiter.available(), None, "there is no limit in tokens");
    limiter.pause(START + TOKEN);
    assert!(!limiter.is_full());
    at(START + TOKEN);
    assert!(limiter.is_full());
}

#[test]
fn a_number_is_all_only_where_there_is_no_more_to_say() {
    let alone = limiter(&Settings::new().rate(rate(1)));
    take(&alone, 1).unwrap();
    assert_eq!(alone.compact(START), Some(START + TOKEN));
    let waiting = join(&alone, 1, START + TOKEN);
    assert_eq!(alone.compact(START), None, "somebody waits");
    drop(waiting);
    assert_eq!(alone.compact(START), Some(START + TOKEN));
    let more = limiter(&Settings::new().concurrency(Concurrency::new(1)));
    assert_eq!(more.compact(START), None, "what is in flight is limited");
    let none = limiter(&Settings::new());
    assert_eq!(none.compact(START), Some(0));
    none.pause(START + TOKEN);
    assert_eq!((none.compact(START), none.compact(START + TOKEN)), (None, Some(0)), "paused until then");
}

#[test]
fn a_number_is_not_all_while_who_comes_next_may_count_from_a_late_turn() {
    let limiter = limiter(&Settings::new().rate(rate(1)));
    take(&limiter, 1).unwrap();
    let mut waiting = join(&limiter, 1, START + TOKEN);
    let late = at(START + TOKEN + MS);
    assert_eq!(look(&mut waiting), Poll::Ready(Ok(late)));
    let full_at = START + 2 * TOKEN;
    assert_eq!((limiter.compact(late), limiter.compact(full_at + MS)), (None, None));
    assert_eq!(limiter.compact(full_at + MS + 1), Some(full_at));
}

#[test]
fn the_fast_path_is_open_again_when_nobody_waits() {
    let limiter = limiter(&Settings::new().rate(rate(1)));
    take(&limiter, 1).unwrap();
    let waiting = join(&limiter, 1, START + TOKEN);
    at(START + TOKEN);
    assert!(limiter.take_now(1, START + TOKEN).is_none(), "nobody overtakes");
    drop(waiting);
    assert!(limiter.take_now(1, START + TOKEN).is_some());
}

// ---- waiting

#[test]
fn who_is_granted_by_its_own_look_lets_those_before_it_run_first() {
    let limiter = limiter(&Settings::new().rate(rate(2)));
    take(&limiter, 2).unwrap();
    let (mut first, mut second) = (join(&limiter, 1, START + 9 * TOKEN), join(&limiter, 1, START + 9 * TOKEN));
    let flag = Arc::new(Flag::default());
    assert!(first.look(&Waker::from(Arc::clone(&flag))).is_pending() && look(&mut second).is_pending());
    let now = at(START + 2 * TOKEN);
    assert_eq!(look(&mut second), Poll::Pending);
    assert!(flag.0.load(Relaxed), "the first was woken");
    assert_eq!((look(&mut first), look(&mut second)), (Poll::Ready(Ok(now)), Poll::Ready(Ok(now))));
}

#[test]
fn who_leaves_the_line_leaves_no_waker_in_it() {
    let limiter = limiter(&Settings::new().rate(rate(1)));
    take(&limiter, 1).unwrap();
    let flag = Arc::new(Flag::default());
    let mut waiting = join(&limiter, 1, START + TOKEN);
    assert!(waiting.look(&Waker::from(Arc::clone(&flag))).is_pending());
    assert_eq!(Arc::strong_count(&flag), 2);
    drop(waiting);
    assert_eq!(Arc::strong_count(&flag), 1, "a task that is gone would be kept");
}

#[test]
fn a_grant_is_taken_until_50_ms_have_passed_and_paid_again_after() {
    for late in [50 * MS, 50 * MS + 1] {
        let limiter = limiter(&Settings::new().rate(rate(1)));
        take(&limiter, 1).unwrap();
        let mut waiting = join(&limiter, 1, START + TOKEN);
        assert!(look(&mut waiting).is_pending());
        let granted = at(START + TOKEN);
        assert!(take(&limiter, 1).is_none(), "it is granted to the one that waits");
        let now = at(granted + late);
        let expected = if late == 50 * MS { granted } else { now };
        assert_eq!(look(&mut waiting), Poll::Ready(Ok(expected)), "{late} ns late");
    }
}

#[test]
fn a_first_one_whose_turn_has_come_to_be_too_late_is_told_at_once_when_it_would_be() {
    for more in [0, 1] {
        let limiter = limiter(&Settings::new().rate(rate(1)));
        take(&limiter, 1).unwrap();
        let latest = START + TOKEN + TOKEN / 2;
        let mut waiting = join(&limiter, 1, latest);
        let until = latest + LATENESS + more;
        limiter.pause(until);
        at(START + TOKEN);
        let retry_after = Duration::from_nanos(until - START - TOKEN);
        let expected = if more == 0 { Poll::Pending } else { Poll::Ready(Err(Refusal::NotYet { retry_after })) };
        assert_eq!(look(&mut waiting), expected);
    }
}

#[test]
fn who_waits_for_the_end_of_an_attempt_has_no_timer_but_that_of_its_patience() {
    let settings = Settings::new().rate(rate(1)).concurrency(Concurrency::new(1));
    let limiter = limiter(&settings);
    take(&limiter, 1).unwrap();
    let latest = START + 2 * TOKEN;
    let mut waiting = join(&limiter, 1, latest);
    at(START + TOKEN);
    assert_eq!(look(&mut waiting), Poll::Pending);
    assert_eq!(waiting.look_at(), latest + LATENESS + 1);
    at(latest + LATENESS);
    assert_eq!(look(&mut waiting), Poll::Pending);
    at(latest + LATENESS + 1);
    assert_eq!(look(&mut waiting), Poll::Ready(Err(Refusal::Full)));
}

#[test]
fn who_is_late_at_its_very_turn_is_held_up_by_what_is_in_flight() {
    let settings = Settings::new().rate(rate(1)).concurrency(Concurrency::new(1));
    let limiter = limiter(&settings);
    take(&limiter, 1).unwrap();
    let mut waiting = join(&limiter, 1, START + TOKEN);
    let end = START + TOKEN + LATENESS + 1;
    limiter.pause(end);
    at(end);
    assert_eq!(look(&mut waiting), Poll::Ready(Err(Refusal::Full)));
}

#[test]
fn who_looks_for_one_ahead_does_so_at_that_ones_turn_even_if_all_that_may_be_in_flight_is() {
    let settings = Settings::new().rate(rate(1)).concurrency(Concurrency::new(1));
    let limiter = limiter(&settings);
    take(&limiter, 1).unwrap();
    let latest = START + 100 * TOKEN;
    let (mut ahead, mut behind) = (join(&limiter, 1, latest), join(&limiter, 1, latest));
    assert!(look(&mut ahead).is_pending() && look(&mut behind).is_pending());
    // Nobody polls the one ahead any more.
    limiter.pause(START + 10 * TOKEN);
    at(START + 2 * TOKEN);
    assert_eq!(look(&mut behind), Poll::Pending);
    assert_eq!(behind.look_at(), START + 10 * TOKEN);
}
