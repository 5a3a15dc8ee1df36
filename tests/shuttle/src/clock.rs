//! Time in a model. Each reading is a nanosecond later than the one before, so that of two instants one is the earlier; further
//! it goes only from timer to timer, by a task of its own ([`pass`]).

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::random;

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;
/// Timers for later than this never fire: who waits for no other is in a deadlock. (Some days later than a model begins.)
pub(crate) const NEVER: u64 = 1 << 50;

// Neither is a point at which shuttle changes tasks: they are no part of a model.
static NOW: AtomicU64 = AtomicU64::new(0);
static TIMERS: Mutex<Timers> = Mutex::new(Timers::NONE);

struct Timers {
    /// By deadline and number.
    set: BTreeMap<(u64, u64), Waker>,
    /// How many hold the time.
    holders: u32,
    next: u64,
    /// The task that lets time pass, while there is nothing for it to do.
    idle: Option<Waker>,
}

impl Timers {
    const NONE: Timers = Timers { set: BTreeMap::new(), holders: 0, next: 0, idle: None };
}

fn timers() -> std::sync::MutexGuard<'static, Timers> {
    TIMERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Before a model starts its tasks.
pub(crate) fn begin(now: u64) {
    NOW.store(now, Relaxed);
    let old = std::mem::replace(&mut *timers(), Timers::NONE);
    drop(old);
}

pub(crate) fn now() -> u64 {
    NOW.fetch_add(1, Relaxed)
}

pub(crate) fn advance(by: Duration) {
    NOW.fetch_add(nanos(by), Relaxed);
}

pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

pub(crate) const fn at_least(nanos: u64) -> u64 {
    nanos
}

/// How time passes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Hardly: only to timers before this instant, each on time.
    Until(u64),
    /// Not while it is held, and whoever is woken runs before time goes on.
    Punctual,
    /// Timers are up to so many nanoseconds late, and who is woken runs when it may.
    Late(u64),
}

/// Lets time pass, as long as there are timers.
pub(crate) fn pass(pace: Pace, ends: Arc<AtomicBool>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        if ends.load(Relaxed) {
            return Poll::Ready(());
        }
        let due = {
            let mut timers = timers();
            let is_early = !matches!(pace, Pace::Late(_)) && timers.holders > 0;
            let end = if let Pace::Until(end) = pace { end } else { u64::MAX };
            match timers.set.first_key_value().map(|(first, _)| first.0) {
                Some(at) if !is_early && at < end => {
                    let late = if let Pace::Late(most) = pace { random::below(most) } else { 0 };
                    let now = NOW.fetch_max(at + late, Relaxed).max(at + late);
                    let later = timers.set.split_off(&(now + 1, 0));
                    std::mem::replace(&mut timers.set, later)
                }
                _ => {
                    timers.idle = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        due.into_values().for_each(Waker::wake);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Lets [`pass`] look again.
pub(crate) fn look() {
    let idle = timers().idle.take();
    if let Some(idle) = idle {
        idle.wake();
    }
}

/// As long as it is there, time does not go on.
pub(crate) struct Hold(());

pub(crate) fn hold() -> Hold {
    timers().holders += 1;
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        timers().holders -= 1;
        look();
    }
}

/// A future that holds the time until it has run, first, and then each time that it is woken.
pub(crate) async fn prompt<F: Future + Unpin>(mut future: F, first: Hold) -> F::Output {
    let held = Arc::new(Mutex::new(Some(first)));
    poll_fn(move |cx| {
        let until_it_has_run = held.lock().expect("no panic under it").take();
        let waker = Waker::from(Arc::new(Holding { held: Arc::clone(&held), waker: cx.waker().clone() }));
        let result = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        drop(until_it_has_run);
        result
    })
    .await
}

struct Holding {
    held: Arc<Mutex<Option<Hold>>>,
    waker: Waker,
}

impl Wake for Holding {
    fn wake(self: Arc<Self>) {
        self.held.lock().expect("no panic under it").get_or_insert_with(hold);
        self.waker.wake_by_ref();
    }
}

pub(crate) struct Timer {
    at: u64,
    number: u64,
}

impl Timer {
    pub(crate) fn at(at: u64) -> Timer {
        let mut timers = timers();
        timers.next += 1;
        Timer { at, number: timers.next }
    }

    pub(crate) fn reset(mut self: Pin<&mut Self>, at: u64) {
        self.forget();
        self.at = at;
    }

    fn forget(&self) {
        // A waker is dropped without the lock: it may hold the time.
        let waker = timers().set.remove(&(self.at, self.number));
        drop(waker);
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if NOW.load(Relaxed) >= self.at {
            self.forget();
            return Poll::Ready(());
        }
        if self.at < NEVER {
            let old = timers().set.insert((self.at, self.number), cx.waker().clone());
            drop(old);
            look();
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.forget();
    }
}
