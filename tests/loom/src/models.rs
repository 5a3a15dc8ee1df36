//! The models. Time stands still in all of them, so what is granted has been there or was given back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as Shared;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use guard_spec::{Breaker, Concurrency, Rate, Settings};
use loom::thread;

use crate::breaker::{BreakerState, Core, Ended, Sign};
use crate::clock;
use crate::keyed::Keyed;
use crate::keys::{Asked, Form, Keys};
use crate::limiter::{Entry, Limiter, Taken, TokenBucket, Turn};
use crate::policy::{self, State};
use crate::sync::Arc;

const NOW: u64 = 1_000_000_000;
const MINUTE: u64 = 60_000_000_000;

pub(crate) fn run() {
    clock::set(NOW);
    println!("{:<72} interleavings", "model");
    model("a take against a token given back: none lost, none twice", take_against_give_back);
    model("takes against takes that queue: as many as there are tokens", takes_against_the_line);
    model("a grant against the end of the wait that it is for: the next one gets it", grant_against_cancel);
    model("a pause against a take: nothing is taken after it", pause_against_take);
    model("other settings against a take: no token under both", configure_against_take);
    model("other settings against a wait: nobody is forgotten", configure_against_wait);
    model("the end of an attempt against one that waits for it: it is woken", release_against_wait);
    model("a key that is dropped against its use: what was taken stays taken", key_drop_against_use);
    model("a key's number that becomes a state against a take: no token twice", key_grows_against_take);
    model("a state that becomes a number again against its use: nothing is lost", key_shrinks_against_failure);
    model("a failure against a success: a row is counted or ended", trip_against_success);
    model("probes against each other: one at a time, and its place comes back", probes_against_drop);
    model("a late result against a new generation: it does not count", late_result_against_reset);
}

fn model(name: &str, body: fn()) {
    let count = Shared::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check({
        let count = Shared::clone(&count);
        move || {
            count.fetch_add(1, Relaxed);
            body();
        }
    });
    println!("{name:<72} {:>13}", count.load(Relaxed));
}

// ---- limits

fn limiter(settings: &Settings) -> Shared<Limiter> {
    let limiter = Limiter::unchecked(settings);
    // Makes all of loom's objects, before anything is taken.
    clock::set(NOW / 2);
    touch(&limiter, settings);
    clock::set(NOW);
    Shared::new(limiter)
}

/// Takes something and gives it back, half of `NOW` ago.
pub(crate) fn touch(limiter: &Limiter, settings: &Settings) {
    if let Ok(Entry::Taken(taken)) = limiter.enter(|| *settings, 1, NOW / 2, NOW / 2) {
        limiter.give_back(taken);
    }
    limiter.patience();
}

fn rate(burst: u32) -> Settings {
    Settings::new().rate(Rate::per_second(1).burst(burst))
}

fn take(limiter: &Limiter) -> Option<Taken> {
    match limiter.enter(Settings::new, 1, NOW, NOW) {
        Ok(Entry::Taken(taken)) => Some(taken),
        Ok(Entry::Turn(ticket)) => {
            drop(Turn::new(limiter, ticket));
            None
        }
        Err(_) => None,
    }
}

/// A place in the line.
fn wait<'a>(limiter: &'a Limiter, settings: &Settings) -> Turn<&'a Limiter> {
    match limiter.enter(|| *settings, 1, NOW, NOW + MINUTE) {
        Ok(Entry::Turn(ticket)) => Turn::new(limiter, ticket),
        _ => unreachable!("there is nothing to take"),
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Shared<Self>) {
        self.0.store(true, Relaxed);
    }
}

fn poll(turn: &mut Turn<&Limiter>, flag: &Shared<Flag>) -> bool {
    let waker = Waker::from(Shared::clone(flag));
    matches!(Pin::new(turn).poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(_)))
}

fn leaked(settings: &Settings) -> &'static Limiter {
    // A wait borrows it, and a thread wants it for ever.
    Box::leak(Box::new(Shared::into_inner(limiter(settings)).expect("one owner")))
}

fn take_against_give_back() {
    let limiter = limiter(&rate(2));
    let other = thread::spawn({
        let limiter = Shared::clone(&limiter);
        move || {
            let taken = take(&limiter).expect("two are there, and one other takes");
            limiter.give_back(taken);
        }
    });
    let mine = take(&limiter).is_some();
    other.join().unwrap();
    assert!(mine);
    assert_eq!(limiter.available(), Some(1));
    assert!(take(&limiter).is_some() && take(&limiter).is_none());
}

fn takes_against_the_line() {
    let limiter = limiter(&rate(2));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let limiter = Shared::clone(&limiter);
            thread::spawn(move || u32::from(take(&limiter).is_some()) + u32::from(take(&limiter).is_some()))
        })
        .collect();
    let taken: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // One that found the fast path closed by another's look may be refused, and never one too many let through.
    assert!(taken <= 2, "{taken}");
    assert_eq!(limiter.available(), Some(2 - taken));
    assert_eq!(limiter.waiting(), 0);
}

fn grant_against_cancel() {
    let settings = rate(1);
    let limiter = leaked(&settings);
    let taken = take(limiter).expect("one is there");
    let (first, second) = (Shared::new(Flag::default()), Shared::new(Flag::default()));
    let mut leaving = wait(limiter, &settings);
    let mut staying = wait(limiter, &settings);
    assert!(!poll(&mut leaving, &first) && !poll(&mut staying, &second));
    let giver = thread::spawn(move || limiter.give_back(taken));
    drop(leaving);
    giver.join().unwrap();
    assert!(second.0.load(Relaxed), "nobody woke the next one");
    assert!(poll(&mut staying, &second), "the token is lost");
    assert_eq!((limiter.available(), limiter.waiting()), (Some(0), 0));
}

fn pause_against_take() {
    let limiter = limiter(&rate(2));
    let taker = thread::spawn({
        let limiter = Shared::clone(&limiter);
        move || limiter.take_now(1, NOW).is_some()
    });
    limiter.pause(NOW + MINUTE);
    assert!(limiter.take_now(1, NOW).is_none() && take(&limiter).is_none());
    taker.join().unwrap();
    assert!(limiter.take_now(1, NOW).is_none());
    assert_eq!(limiter.available(), Some(0));
    limiter.resume();
    assert!(take(&limiter).is_none(), "it ends with an empty bucket");
}

fn configure_against_take() {
    // The same instant is another number of units under the other rate, and a token a thousandth of them.
    let (old, new) = (rate(2), Settings::new().rate(Rate::per_second(1_000).burst(2)));
    let limiter = limiter(&old);
    let taker = thread::spawn({
        let limiter = Shared::clone(&limiter);
        move || u32::from(limiter.take_now(1, NOW).is_some())
    });
    limiter.configure(&old, &new);
    let mine = u32::from(limiter.take_now(1, NOW).is_some());
    let taken = mine + taker.join().unwrap();
    assert_eq!(limiter.available(), Some(2 - taken));
}

fn configure_against_wait() {
    let (old, new) = (rate(1), Settings::new());
    let limiter = leaked(&old);
    take(limiter).expect("one is there");
    let flag = Shared::new(Flag::default());
    let mut waiting = wait(limiter, &old);
    let changer = thread::spawn(move || limiter.configure(&old, &new));
    let is_served = poll(&mut waiting, &flag);
    changer.join().unwrap();
    assert!(is_served || flag.0.load(Relaxed), "nobody told it that there is no limit any more");
    assert!(is_served || poll(&mut waiting, &flag));
    assert_eq!(limiter.waiting(), 0);
}

fn release_against_wait() {
    let settings = Settings::new().concurrency(Concurrency::new(1));
    let limiter = leaked(&settings);
    let Ok(Entry::Taken(running)) = limiter.enter(|| settings, 1, NOW, NOW) else {
        unreachable!("nothing is in flight")
    };
    let flag = Shared::new(Flag::default());
    let mut waiting = wait(limiter, &settings);
    let ending = thread::spawn(move || limiter.release(running.flight()));
    let is_served = poll(&mut waiting, &flag);
    ending.join().unwrap();
    assert!(is_served || flag.0.load(Relaxed), "the wake-up is lost");
    assert!(is_served || poll(&mut waiting, &flag));
    assert_eq!((limiter.in_flight(), limiter.waiting()), (Some(1), 0));
}

// ---- keys

fn key_drop_against_use() {
    let keyed: Shared<Keyed<u64, TokenBucket>> = Shared::new(Keyed::new());
    let bucket = || {
        let bucket = TokenBucket::new(1, 1).expect("a rate");
        bucket.configure(Rate::per_second(2)).expect("a rate");
        bucket.configure(Rate::per_second(1)).expect("a rate");
        bucket
    };
    keyed.get_or_insert_with(&0, bucket);
    // Another key whose arrival looks at the first one: of the same shard.
    let neighbour = (1..).find(|key| keyed.hash_of(key) % 64 == keyed.hash_of(&0_u64) % 64).expect("one of 64");
    let user = thread::spawn({
        let keyed = Shared::clone(&keyed);
        move || {
            let mine: Arc<TokenBucket> = keyed.get_or_insert_with(&0, bucket);
            assert!(mine.try_acquire(1).is_ok(), "it is new, or as good as new");
        }
    });
    keyed.get_or_insert_with(&neighbour, bucket);
    user.join().unwrap();
    assert!(keyed.get_or_insert_with(&0, bucket).try_acquire(1).is_err(), "the key was forgotten with its debt");
    // One by one: a map drops them in another order each time, and loom wants the same.
    keyed.remove(&0);
    keyed.remove(&neighbour);
}

/// The keys of a policy, and one that has taken a token.
fn keys(settings: &Settings) -> Shared<Keys> {
    let keys = Keys::new();
    keys.prepare(Form::of(&policy::state(settings), 0, 0));
    assert!(matches!(keys.ask(KEY, 1, NOW), Asked::Taken(..)));
    Shared::new(keys)
}

const KEY: u64 = 7;

/// The state of the key, as a call gets it.
fn state(keys: &Keys, settings: &Settings) -> Arc<State> {
    let all = Core::new(None);
    keys.state(KEY).unwrap_or_else(|| match keys.state_or(KEY, Arc::new(policy::state(settings)), NOW, &all) {
        Ok(state) => state,
        Err(_) => unreachable!("the settings do not change"),
    })
}

fn key_grows_against_take() {
    let settings = rate(3);
    let keys = keys(&settings);
    let other = thread::spawn({
        let keys = Shared::clone(&keys);
        move || match keys.ask(KEY, 1, NOW) {
            Asked::Taken(..) => true,
            Asked::State(state) => {
                let taken = state.limiter.take_now(1, NOW).is_some();
                keys.leave(KEY, state, NOW);
                taken
            }
            _ => false,
        }
    });
    let state = state(&keys, &settings);
    let mine = state.limiter.take_now(1, NOW).is_some();
    keys.leave(KEY, state, NOW);
    let taken = 1 + u32::from(mine) + u32::from(other.join().unwrap());
    // Each has done with the state: it is a number again.
    assert!(keys.states().is_empty());
    let left = (0..3).filter(|_| matches!(keys.ask(KEY, 1, NOW), Asked::Taken(..))).count();
    assert_eq!(taken as usize + left, 3);
}

fn key_shrinks_against_failure() {
    let settings = rate(3);
    let keys = keys(&settings);
    let mine = state(&keys, &settings);
    let other = thread::spawn({
        let keys = Shared::clone(&keys);
        move || {
            let state = state(&keys, &settings);
            state.breaker.settle(keys.first(KEY), ended(Sign::Bad), NOW, &SETTINGS);
            keys.leave(KEY, state, NOW);
        }
    });
    keys.leave(KEY, mine, NOW);
    other.join().unwrap();
    let state = keys.state(KEY).expect("it has failed");
    assert_eq!((state.breaker.failures_in_a_row(), state.limiter.available()), (1, Some(2)));
}

// ---- breaker

fn breaker() -> Shared<Core> {
    let breaker = Core::new(Some(&SETTINGS));
    breaker.state();
    // Makes what lies beside the word.
    for _ in 0..2 {
        attempt(&breaker, Sign::Bad, NOW / 2);
    }
    assert!(breaker.admit(NOW + MINUTE, &SETTINGS).is_ok());
    breaker.force(BreakerState::Closed, Some(&SETTINGS));
    Shared::new(breaker)
}

const SETTINGS: Breaker = Breaker::consecutive(2).successes(2).recovery_jitter(0.0);

fn ended(sign: Sign) -> Ended {
    Ended { sign, ran: 0, hold: 0 }
}

fn attempt(breaker: &Core, sign: Sign, now: u64) {
    if let Ok((pass, _)) = breaker.admit(now, &SETTINGS) {
        breaker.settle(pass, ended(sign), now, &SETTINGS);
    }
}

fn trip_against_success() {
    let breaker = breaker();
    attempt(&breaker, Sign::Bad, NOW);
    let other = thread::spawn({
        let breaker = Shared::clone(&breaker);
        move || attempt(&breaker, Sign::Bad, NOW)
    });
    attempt(&breaker, Sign::Good, NOW);
    other.join().unwrap();
    match breaker.state() {
        // Bad, bad, and the good one came too late.
        BreakerState::Open => assert_eq!(breaker.failures_in_a_row(), 0),
        // Bad, good, bad.
        BreakerState::Closed => assert_eq!(breaker.failures_in_a_row(), 1),
        state => unreachable!("{state}"),
    }
}

fn probes_against_drop() {
    let breaker = breaker();
    (0..2).for_each(|_| attempt(&breaker, Sign::Bad, NOW));
    let later = NOW + MINUTE;
    let running = Shared::new(AtomicUsize::new(0));
    let probe = move |breaker: &Core, running: &AtomicUsize| {
        let Ok((pass, _)) = breaker.admit(later, &SETTINGS) else { return };
        assert_eq!(running.fetch_add(1, Relaxed), 0, "two probes at a time");
        thread::yield_now();
        running.fetch_sub(1, Relaxed);
        breaker.settle(pass, ended(Sign::None), later, &SETTINGS);
    };
    let other = thread::spawn({
        let (breaker, running) = (Shared::clone(&breaker), Shared::clone(&running));
        move || probe(&breaker, &running)
    });
    probe(&breaker, &running);
    other.join().unwrap();
    assert!(breaker.admit(later, &SETTINGS).is_ok(), "a probe's place is lost");
    assert!(breaker.admit(later, &SETTINGS).is_err());
}

fn late_result_against_reset() {
    let breaker = breaker();
    let (late, _) = breaker.admit(NOW, &SETTINGS).expect("closed");
    attempt(&breaker, Sign::Bad, NOW);
    let other = thread::spawn({
        let breaker = Shared::clone(&breaker);
        move || breaker.settle(late, ended(Sign::Bad), NOW, &SETTINGS)
    });
    breaker.force(BreakerState::Closed, Some(&SETTINGS));
    other.join().unwrap();
    assert_eq!((breaker.state(), breaker.failures_in_a_row()), (BreakerState::Closed, 0));
}
