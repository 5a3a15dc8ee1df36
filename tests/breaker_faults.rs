//! Faults that breakers in the field have, each with the figure that ours must have, where they need threads or panics. The numbers
//! are those of the project's list of faults; B05, B07, B08 and B10 are in `breaker`, B09 in `events`, random histories and stale results
//! beside the code.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

use std::io;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{Breaker, BreakerState, CircuitBreaker, Error, Policy, Rejected, Retry, Settings, Verdict, guarded};
use tokio::time::{advance, timeout};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn fast(probes: u32) -> Breaker {
    Breaker::consecutive(1).recovery(Duration::from_millis(1)).recovery_jitter(0.0).probes(probes)
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

async fn good(policy: &Policy) -> Result<(), Error<io::Error>> {
    policy.call(async || Ok(())).await
}

async fn bad(policy: &Policy) -> Error<io::Error> {
    policy.call(async || Err::<(), _>(reset())).await.unwrap_err()
}

fn state(policy: &Policy) -> BreakerState {
    policy.snapshot().breaker.unwrap()
}

/// B01: a probe whose future is dropped at any point frees its place, 10 000 times.
#[tokio::test(start_paused = true)]
async fn b01_a_dropped_probe_frees_its_place() {
    let policy = Policy::builder("b01").breaker(fast(1).recovery(secs(1))).build().unwrap();
    bad(&policy).await;
    for round in 0..10_000 {
        advance(secs(2)).await;
        let probe = policy.call(async || {
            for _ in 0..round % 4 {
                tokio::task::yield_now().await;
            }
            std::future::pending::<Result<(), io::Error>>().await
        });
        let mut probe = Box::pin(probe);
        for _ in 0..=round % 4 {
            std::future::poll_fn(|cx| {
                assert!(probe.as_mut().poll(cx).is_pending(), "{round}");
                std::task::Poll::Ready(())
            })
            .await;
        }
        assert!(matches!(good(&policy).await, Err(Error::Rejected(Rejected::CircuitOpen { .. }))), "{round}");
        drop(probe);
    }
    good(&policy).await.unwrap();
}

/// B02: of those who come from several threads at the instant the open time ends, exactly `probes` are let through.
#[test]
fn b02_no_more_probes_than_declared_from_any_number_of_threads() {
    const THREADS: u32 = 8;
    for round in 0..300 {
        let probes = 1 + round % 3;
        let breaker = Arc::new(CircuitBreaker::new(fast(probes)).unwrap());
        breaker.try_acquire().unwrap().failure();
        let (admitted, start) = (AtomicU32::new(0), Barrier::new(THREADS as usize));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    // Until the open time has ended, and many times after.
                    let mut permits = Vec::new();
                    while breaker.state() == BreakerState::Open {
                        std::hint::spin_loop();
                    }
                    for _ in 0..40 {
                        permits.extend(breaker.try_acquire());
                    }
                    admitted.fetch_add(permits.len() as u32, Relaxed);
                    start.wait();
                });
            }
        });
        assert_eq!(admitted.load(Relaxed), probes, "round {round}");
    }
}

#[guarded(name = "b06", breaker(1, recovery = "1s", recovery_jitter = 0), classify = classify, fallback = fallback)]
async fn fragile(what: &str) -> Result<u32, Error<io::Error>> {
    match what {
        "body" => panic!("the body"),
        "classify" => Err(io::ErrorKind::InvalidData.into()),
        "fallback" => Err(reset()),
        _ => Ok(1),
    }
}

fn classify(outcome: &Result<u32, io::Error>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Success,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => panic!("the classifier"),
        Err(_) => Verdict::TRANSIENT,
    }
}

fn fallback(_: &str, error: Error<io::Error>) -> Result<u32, Error<io::Error>> {
    if matches!(error, Error::Call { .. }) { panic!("the fallback") } else { Err(error) }
}

/// B06: a panic of the user's reaches the caller, counts as a failure where an attempt ran, and leaves everything usable.
#[tokio::test(start_paused = true)]
async fn b06_panics_in_body_classifier_and_fallback_leave_it_usable_closed_and_half_open() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let policy = apiguard::registry().get("b06").unwrap();
    for what in ["body", "classify", "fallback"] {
        for round in 0..100 {
            // Closed, then as a probe.
            for _ in 0..2 {
                assert!(tokio::spawn(fragile(what)).await.unwrap_err().is_panic(), "{what} {round}");
                assert_eq!(state(policy), BreakerState::Open, "{what} {round}");
                assert!(matches!(fragile("well").await, Err(Error::Rejected(_))), "{what} {round}");
                advance(secs(2)).await;
            }
            assert_eq!(fragile("well").await.unwrap(), 1, "{what} {round}");
            assert_eq!(fragile("well").await.unwrap(), 1, "{what} {round}");
            assert_eq!(state(policy), BreakerState::Closed, "{what} {round}");
        }
    }
    std::panic::set_hook(quiet);
    assert_eq!(policy.snapshot().in_flight, None);
}

/// B12: the unit is the attempt: with a threshold of five and four attempts a call, five requests are sent, and the running loop stops.
#[tokio::test(start_paused = true)]
async fn b12_a_breaker_that_opens_stops_the_retries_that_run() {
    let settings = Settings::new().breaker(Breaker::consecutive(5)).retries(Retry::new(3));
    let policy = Policy::builder("b12").settings(settings).build().unwrap();
    let sent = AtomicU32::new(0);
    let call = async || {
        sent.fetch_add(1, Relaxed);
        Err::<(), _>(reset())
    };
    for _ in 0..10 {
        assert!(policy.call(call).await.is_err());
    }
    assert_eq!(sent.load(Relaxed), 5);
}

/// B13: what says nothing of the service frees the probe's place, and decides nothing.
#[tokio::test(start_paused = true)]
async fn b13_permanent_and_throttled_probes_decide_nothing_and_wedge_nothing() {
    let policy = Policy::builder("b13").breaker(fast(1).recovery(secs(1)).successes(1)).build().unwrap();
    bad(&policy).await;
    advance(secs(2)).await;
    for verdict in [Verdict::Permanent, Verdict::Throttled { retry_after: None }].repeat(50) {
        policy.call_with(|_: &Result<(), io::Error>| verdict, async || Ok(())).await.unwrap();
        assert_eq!(state(&policy), BreakerState::HalfOpen);
    }
    good(&policy).await.unwrap();
    assert_eq!(state(&policy), BreakerState::Closed);
}

/// B14: 200 clients whose breakers opened at one instant do not probe at one instant.
#[tokio::test(start_paused = true)]
async fn b14_a_fleet_does_not_probe_in_step() {
    let fleet: Vec<_> = (0..200)
        .map(|_| Policy::builder("b14").breaker(Breaker::consecutive(1).recovery(secs(60))).build().unwrap())
        .collect();
    for policy in &fleet {
        bad(policy).await;
    }
    let mut probes = Vec::new();
    for _ in 0..70 {
        advance(secs(1)).await;
        let mut sent = 0;
        for policy in &fleet {
            let counted = async || {
                sent += 1;
                Err::<(), _>(reset())
            };
            let _ = policy.call(counted).await;
        }
        probes.push(sent);
    }
    assert_eq!(probes.iter().sum::<u32>(), 200);
    // Spread over the 6 s of the jitter.
    assert!(probes.iter().all(|sent| *sent <= 70), "{probes:?}");
    assert!(probes.iter().filter(|sent| **sent > 10).count() >= 5, "{probes:?}");
}

/// B15: what was admitted before a forced state, a reset or other settings does not count after.
#[tokio::test(start_paused = true)]
async fn b15_results_from_before_a_reset_a_forced_state_or_other_settings_do_not_count() {
    type Change = fn(&Policy);
    let changes: [Change; 3] = [
        Policy::reset,
        |policy| {
            policy.force_open();
            policy.reset();
        },
        |policy| {
            policy.configure(policy.settings().breaker(Breaker::consecutive(2))).unwrap();
            policy.configure(policy.settings().breaker(Breaker::consecutive(1))).unwrap();
        },
    ];
    for change in changes {
        let policy = Arc::new(Policy::builder("b15").breaker(Breaker::consecutive(1)).build().unwrap());
        let flying: Vec<_> = (0..1_000)
            .map(|_| {
                let policy = policy.clone();
                tokio::spawn(async move {
                    policy
                        .call(async move || {
                            tokio::time::sleep(secs(1)).await;
                            Err::<(), _>(reset())
                        })
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(timeout(Duration::from_millis(500), std::future::pending::<()>()).await.is_err());
        change(&policy);
        for call in flying {
            call.await.unwrap().unwrap_err();
        }
        assert_eq!(state(&policy), BreakerState::Closed);
        assert_eq!(policy.snapshot().outcomes.failures, 1_000);
        bad(&policy).await;
        assert_eq!(state(&policy), BreakerState::Open);
    }
}
