//! Timers where no tokio runtime runs: one thread for all of them. It starts with the first timer, and ends a while after the last;
//! a timer that is dropped leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A timer is never set further away; one that is looks again then.
const FURTHEST: Duration = Duration::from_secs(86_400);
/// How long the thread stays without timers.
const LINGER: Duration = Duration::from_secs(10);

static TIMERS: Mutex<Timers> = Mutex::new(Timers { wakers: BTreeMap::new(), made: 0, has_thread: false });
/// A timer is set that comes before the others.
static EARLIER: Condvar = Condvar::new();

struct Timers {
    /// By instant and number.
    wakers: BTreeMap<(Instant, u64), Waker>,
    made: u64,
    has_thread: bool,
}

fn lock() -> MutexGuard<'static, Timers> {
    // Consistent at every point where a panic could start.
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends once, after a delay from when it is first polled.
#[derive(Debug)]
pub struct Alarm {
    delay: Duration,
    set: Option<(Instant, u64)>,
}

impl Alarm {
    pub(super) fn after(delay: Duration) -> Alarm {
        Alarm { delay: delay.min(FURTHEST), set: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.delay.is_zero() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut timers = lock();
        let Some(key) = self.set else {
            timers.made += 1;
            // A day from now is an instant on every platform.
            let key = (Instant::now() + self.delay, timers.made);
            self.set = Some(key);
            timers.wakers.insert(key, waker);
            let is_first = timers.wakers.first_key_value().is_some_and(|(first, _)| *first == key);
            let needs_thread = !std::mem::replace(&mut timers.has_thread, true);
            drop(timers);
            if needs_thread && !start() {
                // None is to be had now: the task is asked to try again, and so are those who relied on it meanwhile.
                let mut timers = lock();
                timers.has_thread = false;
                let all = std::mem::take(&mut timers.wakers);
                drop(timers);
                self.set = None;
                all.into_values().for_each(Waker::wake);
            } else if is_first {
                EARLIER.notify_one();
            }
            return Poll::Pending;
        };
        let Some(place) = timers.wakers.get_mut(&key) else { return Poll::Ready(()) };
        let old = std::mem::replace(place, waker);
        drop(timers);
        drop(old);
        Poll::Pending
    }

    fn give_up(&mut self) {
        if let Some(key) = self.set.take() {
            let waker = lock().wakers.remove(&key);
            drop(waker);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn start() -> bool {
    std::thread::Builder::new().name("apiguard-timer".into()).spawn(run).is_ok()
}

fn run() {
    let mut timers = lock();
    loop {
        let now = Instant::now();
        let later = timers.wakers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut timers.wakers, later);
        if !due.is_empty() {
            drop(timers);
            for waker in due.into_values() {
                // A waker that panics ends itself and not the timers of others.
                let woken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake()));
                // What it panicked with may panic itself when it is dropped.
                woken.unwrap_or_else(std::mem::forget);
            }
            timers = lock();
            continue;
        }
        let next = timers.wakers.first_key_value().map(|((at, _), _)| at.saturating_duration_since(now));
        let (locked, timeout) =
            EARLIER.wait_timeout(timers, next.unwrap_or(LINGER)).unwrap_or_else(PoisonError::into_inner);
        timers = locked;
        if next.is_none() && timeout.timed_out() && timers.wakers.is_empty() {
            timers.has_thread = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;

    use super::*;

    struct Notify(usize, Sender<usize>);

    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(self.0);
        }
    }

    #[test]
    fn thousands_of_timers_take_one_thread_end_in_their_order_and_leave_nothing() {
        let (sender, woken) = channel();
        // Real waits, of some milliseconds: there is no paused clock here.
        let mut alarms: Vec<_> =
            (0..3_000).map(|index| Alarm::after(Duration::from_micros(20_000 + index * 10))).collect();
        for (index, alarm) in alarms.iter_mut().enumerate() {
            let waker = Waker::from(Arc::new(Notify(index, sender.clone())));
            assert!(alarm.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(alarms.split_off(2_000));
        drop(sender);
        // Those that were dropped have dropped their wakers, too: it ends with the last of the others.
        let order: Vec<usize> = woken.iter().collect();
        assert_eq!(order.len(), 2_000);
        assert!(order.is_sorted());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(alarms.iter_mut().all(|alarm| alarm.poll(&mut cx).is_ready()));
    }

    #[test]
    fn a_waker_that_panics_harms_no_other_timer() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker's own fault");
            }
        }
        let (sender, woken) = channel();
        let (mut first, mut second) = (Alarm::after(Duration::from_millis(1)), Alarm::after(Duration::from_millis(3)));
        assert!(first.poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
        let waker = Waker::from(Arc::new(Notify(2, sender)));
        assert!(second.poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(woken.recv(), Ok(2));
    }
}
