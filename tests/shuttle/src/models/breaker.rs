//! A breaker that is half-open: probes that end well, badly, or are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use guard_spec::Breaker;
use shuttle::future::{block_on, spawn, yield_now};

use super::reached;
use crate::breaker::{BreakerState, Core, Ended, Pass, Sign};
use crate::clock;
use crate::random::below;

const TASKS: u64 = 4;
const PROBES: u32 = 2;
const RECOVERY: Duration = Duration::from_secs(10);
const SETTINGS: Breaker = Breaker::consecutive(2).successes(2).probes(PROBES).recovery(RECOVERY).recovery_jitter(0.0);

struct Attempts {
    breaker: Core,
    probing: AtomicU32,
}

/// An attempt that was let through; dropped, it says nothing of the service.
struct Attempt {
    attempts: Arc<Attempts>,
    pass: Pass,
    is_probe: bool,
    sign: Sign,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Attempts { breaker, probing } = &*self.attempts;
        probing.fetch_sub(u32::from(self.is_probe), Relaxed);
        breaker.settle(self.pass, Ended { sign: self.sign, ran: 0, hold: 0 }, clock::now(), &SETTINGS);
    }
}

fn admit(attempts: &Arc<Attempts>) -> Option<Attempt> {
    let (pass, _) = attempts.breaker.admit(clock::now(), &SETTINGS).ok()?;
    // Of the same generation still: then it is known whether it is a probe.
    let is_probe = attempts.breaker.state() == BreakerState::HalfOpen && attempts.breaker.over().0 + 1 == pass.0;
    let probing = attempts.probing.fetch_add(u32::from(is_probe), Relaxed) + u32::from(is_probe);
    let attempt = Attempt { attempts: Arc::clone(attempts), pass, is_probe, sign: Sign::Dropped };
    assert!(probing <= PROBES, "{probing} probes at a time");
    Some(attempt)
}

async fn probe(attempts: Arc<Attempts>) {
    for _ in 0..3 {
        if let Some(mut attempt) = admit(&attempts) {
            yield_now().await;
            attempt.sign = [Sign::Good, Sign::Good, Sign::Bad, Sign::Answered, Sign::Dropped][below(5) as usize];
        }
        yield_now().await;
    }
}

pub(super) fn probes() {
    let attempts = Arc::new(Attempts { breaker: Core::new(Some(&SETTINGS)), probing: AtomicU32::new(0) });
    for _ in 0..2 {
        admit(&attempts).expect("it is closed").sign = Sign::Bad;
    }
    assert!(admit(&attempts).is_none(), "it has opened");
    clock::advance(RECOVERY + Duration::from_millis(1));
    block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| spawn(probe(Arc::clone(&attempts)))).collect();
        for _ in 0..2 {
            yield_now().await;
            tasks[below(TASKS) as usize].abort();
        }
        for task in tasks {
            drop(task.await);
        }
    });
    assert_eq!(attempts.probing.load(Relaxed), 0);
    if attempts.breaker.state() == BreakerState::Open {
        clock::advance(RECOVERY + Duration::from_millis(1));
    }
    if attempts.breaker.state() == BreakerState::HalfOpen {
        reached();
        // All places are free, and there are no more than that.
        let mut probes: Vec<_> = (0..PROBES).filter_map(|_| admit(&attempts)).collect();
        assert_eq!(probes.len(), PROBES as usize, "a probe's place is lost");
        assert!(admit(&attempts).is_none(), "a probe too many");
        probes.iter_mut().for_each(|probe| probe.sign = Sign::Good);
    }
    assert_eq!(attempts.breaker.state(), BreakerState::Closed, "two good probes close it");
}
