//! The testing kit: outcomes as a test wants them, what the guard did about them, and no chance in it.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::error::Error as _;
use std::time::Duration;

use apiguard::http::{ResponseExt, StatusError};
use apiguard::testing::{self, Fault, Script, isolated};
use apiguard::{
    Breaker, BreakerState, Error, EventKind, Jitter, Policy, Rate, Rejected, Retry, Settings, Verdict, guarded,
};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn hours_of_retries_pass_to_the_millisecond_in_a_spawned_task_too() {
    static POLICY: Policy = Policy::new(
        "script.hours",
        Settings::new().retries(Retry::new(3).base(HOUR).cap(Duration::from_secs(8 * 3_600))),
    );
    isolated(async {
        testing::no_jitter();
        let seen = testing::record(&POLICY);
        let script = Script::new().fail(3).ok(7);
        let (began, service) = (Instant::now(), script.clone());
        let call = tokio::spawn(async move { POLICY.call(async move || service.clone().call().await).await });
        assert_eq!(call.await.unwrap().unwrap(), 7);
        assert_eq!(seen.delays(), [1, 2, 4].map(|n| n * HOUR), "{seen}");
        assert_eq!(script.arrivals(), [0, 1, 3, 7].map(|n| n * HOUR));
        assert_eq!(began.elapsed(), 7 * HOUR);
    })
    .await;
}

#[test]
fn each_of_several_runtimes_has_its_own_time_and_its_own_policies() {
    #[guarded(rate("1/h", max_wait = "1d"), name = "script.hourly")]
    async fn hourly() -> Result<Instant, Error<Fault>> {
        Ok(Instant::now())
    }
    std::thread::scope(|threads| {
        for n in 0..6 {
            threads.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
                runtime.unwrap().block_on(isolated(async {
                    // Their clocks are hours apart.
                    tokio::time::sleep(n * 10 * HOUR).await;
                    let first = hourly().await.unwrap();
                    for hour in 1..5 {
                        let late = hourly().await.unwrap() - (first + hour * HOUR);
                        assert!(late < Duration::from_millis(3), "{late:?}");
                    }
                }));
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn outcomes_come_in_turn_and_take_as_long_as_they_are_to() {
    let script =
        Script::new().ok(1).after(Duration::from_secs(2)).err("no").times(2, || Ok(3)).otherwise(|| Err("over"));
    let (began, clone) = (Instant::now(), script.clone());
    assert_eq!((script.call().await, began.elapsed()), (Ok(1), Duration::from_secs(2)));
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(clone.call().await);
    }
    assert_eq!(outcomes, [Err("no"), Ok(3), Ok(3), Err("over"), Err("over")]);
    assert_eq!((script.calls(), script.remaining()), (6, 0));
    assert_eq!(script.arrivals()[..2], [Duration::ZERO, Duration::from_secs(2)]);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_comes_otherwise_takes_as_long_as_is_said_after_it_and_nothing_else_does() {
    let script = Script::<u32>::new().ok(1).otherwise(|| Ok(2)).after(Duration::from_secs(5)).ok(3);
    let mut took = Vec::new();
    for _ in 0..4 {
        let began = Instant::now();
        took.push((script.call().await.unwrap(), began.elapsed().as_secs()));
    }
    assert_eq!(took, [(1, 0), (3, 0), (2, 5), (2, 5)]);
    let script = Script::<u32>::new().otherwise(|| Ok(1)).after(Duration::from_secs(5)).otherwise(|| Ok(2));
    let began = Instant::now();
    assert_eq!((script.call().await.unwrap(), began.elapsed()), (2, Duration::ZERO), "the last word holds");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_service_is_ended_by_the_timeout_and_a_panicking_one_unwinds() {
    static POLICY: Policy = Policy::new(
        "script.hangs",
        Settings::new().attempt_timeout(Duration::from_secs(2)).retries(Retry::new(1)).breaker(Breaker::consecutive(3)),
    );
    isolated(async {
        let seen = testing::record(&POLICY);
        let script = Script::<_, Fault>::new().hang().ok(1).panic("as told");
        assert_eq!(POLICY.call(async || script.call().await).await.unwrap(), 1);
        assert!(script.arrivals()[1] >= Duration::from_secs(3), "{:?}", script.arrivals());
        let panics = testing::spawn(async move { POLICY.call(async move || script.clone().call().await).await });
        assert_eq!(panics.await.unwrap_err().into_panic().downcast_ref::<String>().unwrap(), "as told");
        assert_eq!(
            (seen.attempts(), seen.snapshot().outcomes.abandoned, seen.snapshot().timed_out),
            (3, 1, 1),
            "{seen}"
        );
    })
    .await;
}

#[tokio::test]
async fn one_call_too_many_panics_with_its_number() {
    let script = Script::<u32>::new().ok(1);
    assert_eq!(script.call().await, Ok(1));
    let panic = tokio::spawn(async move { script.call().await }).await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("call 2 came after its last outcome"), "{message}");
}

#[tokio::test]
async fn a_call_that_is_dropped_has_used_up_its_outcome() {
    let script = Script::<u32>::new().hang().ok(2);
    let left = tokio::time::timeout(Duration::from_millis(5), script.call()).await;
    assert!(left.is_err());
    assert_eq!((script.call().await, script.calls()), (Ok(2), 2));
}

#[tokio::test(start_paused = true)]
async fn a_fault_means_the_same_alone_boxed_and_as_the_source_of_another_error() {
    #[derive(Debug, thiserror::Error)]
    #[error("the service")]
    struct Wrapped(#[from] Fault);

    #[guarded(retries = 2, name = "script.faults")]
    async fn alone(script: &Script<u32>) -> Result<u32, Error<Fault>> {
        script.call().await
    }

    #[guarded(retries = 2, name = "script.anyhow")]
    async fn in_anyhow(script: &Script<u32>) -> anyhow::Result<u32> {
        Ok(script.call().await?)
    }

    #[guarded(retries = 2, name = "script.wrapped")]
    async fn wrapped(script: &Script<u32>) -> Result<u32, Error<Wrapped>> {
        Ok(script.call().await?)
    }

    let wait = Duration::from_secs(7);
    for fault in [Fault::PERMANENT, Fault::FAILURE, Fault::new(Verdict::Permanent)] {
        let script = Script::new().times(3, || Err(fault));
        assert!(matches!(alone(&script).await, Err(Error::Call { source, attempts: 1 }) if source == fault));
        assert_eq!(in_anyhow(&script).await.unwrap_err().downcast::<Fault>().unwrap(), fault);
        let error = wrapped(&script).await.unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "the service");
        assert_eq!(script.calls(), 3);
    }
    let passes = || Script::new().fail(1).throttled(wait).ok(9);
    let [a, b, c] = [passes(), passes(), passes()];
    assert_eq!((alone(&a).await.unwrap(), in_anyhow(&b).await.unwrap(), wrapped(&c).await.unwrap()), (9, 9, 9));
    for script in [a, b, c] {
        let arrivals = script.arrivals();
        assert!(arrivals[2] >= arrivals[1] + wait, "{arrivals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn responses_and_statuses_are_judged_as_a_servers() {
    static POLICY: Policy = Policy::new("script.http", Settings::new().retries(Retry::new(2)));
    isolated(async {
        testing::no_jitter();
        let seen = testing::record(&POLICY);
        let responses = Script::<http::Response<Vec<u8>>, StatusError>::new()
            .response(429, &[("retry-after", "7")])
            .response(503, &[])
            .response(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")]);
        let answer = POLICY.call(async || responses.call().await?.checked()).await.unwrap();
        assert_eq!(answer.headers()["x-ratelimit-reset"], "5");
        assert_eq!(seen.delays(), [7, 2].map(Duration::from_secs), "{seen}");
        assert_eq!(seen.pauses(), [Duration::from_secs(7)], "{seen}");
        let statuses = Script::new().status(503, &[("retry-after", "3")]).status(404, &[]);
        let outcome = POLICY.call(async || statuses.call().await.map(|()| 1)).await;
        assert!(matches!(outcome, Err(Error::Call { source, attempts: 2 }) if source.status() == 404));
        assert_eq!(seen.delays().last(), Some(&Duration::from_secs(3)), "{seen}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recording_misses_nothing_and_reads_as_a_story() {
    static POLICY: Policy = Policy::new(
        "mail",
        Settings::new().retries(Retry::new(1)).breaker(Breaker::consecutive(3)).rate(Rate::per_second(1).burst(1_000)),
    );
    isolated(async {
        testing::no_jitter();
        let seen = testing::record(&POLICY);
        let script = Script::new().fail(1).throttled(Duration::from_secs(3)).fail(2);
        for _ in 0..2 {
            POLICY.call(async || script.call().await.map(|()| 1)).await.unwrap_err();
        }
        let told = [
            "mail: 2 calls, 4 attempts since the recording began",
            "  +0.000s mail: attempt 1 was transient; retry in 1s (backoff)",
            "  +1.000s mail: paused for 3s (server)",
            "  +4.000s mail: waited 3s for a turn",
            "  +4.000s mail: attempt 1 was transient; retry in 1s (backoff)",
            "  +5.000s mail: breaker closed -> open",
        ];
        assert_eq!(seen.to_string(), told.join("\n"));
        assert_eq!(format!("{seen:?}"), seen.to_string());
        assert_eq!(seen.transitions(), [(BreakerState::Closed, BreakerState::Open)]);

        let later = testing::record(&POLICY);
        for _ in 0..1_000 {
            POLICY.call(async || Ok::<_, Fault>(())).await.unwrap_err();
        }
        assert_eq!((later.rejections().len(), later.calls(), later.attempts()), (1_000, 1_000, 0));
        assert!(later.rejections().iter().all(|rejected| matches!(rejected, Rejected::CircuitOpen { .. })));
        assert_eq!((later.events().len(), seen.events().len()), (1_000, 1_005));
    })
    .await;
}

#[tokio::test]
async fn what_a_policy_in_shadow_would_have_done_is_among_the_events_alone() {
    static POLICY: Policy =
        Policy::new("script.shadow", Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO)).shadow(true));
    isolated(async {
        let seen = testing::record(&POLICY);
        for _ in 0..2 {
            POLICY.call(async || Ok::<_, Fault>(())).await.unwrap();
        }
        assert!(
            matches!(seen.events()[..], [ref event] if event.shadow && matches!(event.kind, EventKind::Rejected { .. }))
        );
        assert_eq!((seen.rejections(), seen.attempts()), (vec![], 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_every_delay_the_same_and_another_one_another() {
    static POLICY: Policy = Policy::new(
        "script.seeded",
        Settings::new()
            .retries(Retry::new(4).jitter(Jitter::Full))
            .breaker(Breaker::consecutive(5).recovery(Duration::from_secs(10)).recovery_jitter(1.0)),
    );
    /// The delays, and for how long the breaker is open after them.
    async fn one(seed: Option<u64>) -> (Vec<Duration>, Duration) {
        isolated(async {
            if let Some(seed) = seed {
                testing::seed(seed);
            }
            let recording = testing::record(&POLICY);
            let script = Script::<u32>::new().fail(5);
            POLICY.call(async || script.call().await).await.unwrap_err();
            let rejected = POLICY.call(async || script.call().await).await.unwrap_err();
            (recording.delays(), rejected.retry_after().unwrap())
        })
        .await
    }
    let seeded = one(Some(7)).await;
    assert_eq!(seeded.0, [389_829_748, 33_576_589, 3_603_042_722, 4_663_442_344].map(Duration::from_nanos));
    // These numbers follow from the seed on every machine, and in every version unless its changelog says otherwise.
    assert_eq!(seeded, one(Some(7)).await);
    assert_ne!(seeded, one(Some(8)).await);
    // Two of chance are the same once in 10^36 runs.
    assert_ne!(one(None).await, one(None).await);
}

#[tokio::test(start_paused = true)]
async fn without_jitter_delays_are_those_of_the_formula_for_every_kind_of_it() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None, Retry::new(1).randomness()] {
        let breaker = Breaker::consecutive(4).recovery(Duration::from_secs(20));
        let settings = Settings::new().retries(Retry::new(3).jitter(jitter)).breaker(breaker);
        let policy = Policy::builder("script.no-jitter").settings(settings).build().unwrap();
        isolated(async {
            testing::no_jitter();
            let seen = testing::record(&policy);
            let script = Script::new().fail(1).throttled(Duration::from_secs(9)).fail(2).otherwise(|| Ok(1));
            policy.call(async || script.call().await).await.unwrap_err();
            assert_eq!(seen.delays(), [1, 9, 4].map(Duration::from_secs), "{jitter:?}: {seen}");
            // One more failure opens it.
            let script = Script::<u32>::new().permanent().times(4, || Err(Fault::FAILURE));
            for _ in 0..5 {
                policy.call(async || script.call().await).await.unwrap_err();
            }
            let rejected = policy.call(async || script.call().await).await.unwrap_err();
            let recovery = rejected.retry_after().unwrap();
            let bounds = Duration::from_secs(20)..Duration::from_millis(20_001);
            assert!(bounds.contains(&recovery), "{jitter:?}: {recovery:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_seed_outside_of_a_scope_is_refused_since_other_tests_would_notice() {
    let panic = tokio::spawn(async { testing::seed(1) }).await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("`testing::seed` works within `testing::isolated` only"), "{message}");
    assert!(tokio::spawn(async { testing::no_jitter() }).await.is_err());
}
