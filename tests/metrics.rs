//! What a recorder of the `metrics` facade is given: rendered by the exporter for Prometheus, as a server would be asked for it.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

mod support;

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::metrics::{describe, publish, publish_every, publish_policy, time_attempts};
use apiguard::{Breaker, Budget, Concurrency, Error, Jitter, Policy, Rate, Retry, Settings, guarded, registry};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use support::{Answer, Server};
use tokio::time::{advance, sleep, timeout};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn bad(policy: &Policy) -> Error<io::Error> {
    let reset = async || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset));
    policy.call(reset).await.unwrap_err()
}

async fn good(policy: &Policy) -> Result<(), Error<io::Error>> {
    policy.call(async || Ok(())).await
}

/// The recorder of this test's thread. What is rendered of one policy is `of`.
fn prometheus() -> PrometheusRecorder {
    PrometheusBuilder::new().build_recorder()
}

/// The lines of a policy, without its label: `apiguard_attempts_total{outcome="success"} 3`. Attempts are timed while another test
/// says so: those lines are left out.
fn of(recorder: &PrometheusRecorder, policy: &str) -> Vec<String> {
    let mut lines = all_of(recorder, policy);
    lines.retain(|line| !line.starts_with("apiguard_attempt_duration"));
    lines
}

fn all_of(recorder: &PrometheusRecorder, policy: &str) -> Vec<String> {
    let label = format!("policy=\"{policy}\"");
    let text = recorder.handle().render();
    let lines = text.lines().filter(|line| line.contains(&label));
    let mut lines: Vec<_> = lines.map(|line| line.replace(&label, "").replace("{,", "{").replace("{}", "")).collect();
    lines.sort();
    lines
}

fn has(lines: &[String], expected: &[&str]) {
    for line in expected {
        assert!(lines.iter().any(|is| is == line), "no `{line}` in\n{}", lines.join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_of_a_policy_is_what_prometheus_shows() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let settings = Settings::new()
        .rate(Rate::per_second(1).burst(3).max_wait(secs(2)))
        .concurrency(Concurrency::new(8))
        .retries(Retry::new(1).jitter(Jitter::None))
        .breaker(Breaker::consecutive(3).recovery(secs(10)).recovery_jitter(0.0).successes(1));
    let policy = Policy::builder("day").settings(settings).build().unwrap();
    describe();
    publish_policy(&policy);
    let lines = of(&recorder, "day");
    has(
        &lines,
        &[
            "apiguard_calls_total 0",
            "apiguard_tokens 3",
            "apiguard_in_flight 0",
            "apiguard_concurrency_limit 8",
            "apiguard_retry_budget 10",
            "apiguard_breaker_state{state=\"closed\"} 1",
            "apiguard_breaker_transitions_total{from=\"closed\",to=\"open\"} 0",
        ],
    );

    // Three good calls take the burst, a fourth waits for a second.
    for _ in 0..4 {
        good(&policy).await.unwrap();
    }
    // An outage: an attempt and its retry, then the third failure in a row, which opens the breaker.
    advance(secs(3)).await;
    bad(&policy).await;
    bad(&policy).await;
    publish_policy(&policy);
    has(
        &of(&recorder, "day"),
        &["apiguard_breaker_state{state=\"open\"} 1", "apiguard_breaker_state{state=\"closed\"} 0"],
    );
    for _ in 0..5 {
        good(&policy).await.unwrap_err();
    }
    advance(secs(11)).await;
    good(&policy).await.unwrap();
    publish_policy(&policy);
    let lines = of(&recorder, "day");
    has(
        &lines,
        &[
            "apiguard_calls_total 12",
            "apiguard_attempts_total{outcome=\"success\"} 5",
            "apiguard_attempts_total{outcome=\"failure\"} 3",
            "apiguard_attempts_total{outcome=\"throttled\"} 0",
            "apiguard_rejections_total{reason=\"circuit_open\"} 5",
            "apiguard_rejections_total{reason=\"rate_limited\"} 0",
            "apiguard_retries_total 1",
            "apiguard_waits_total 1",
            "apiguard_wait_seconds_count 1",
            "apiguard_wait_seconds_sum 1",
            "apiguard_retry_delay_seconds_count{source=\"backoff\"} 1",
            "apiguard_retry_delay_seconds_sum{source=\"backoff\"} 1",
            "apiguard_breaker_state{state=\"closed\"} 1",
            "apiguard_breaker_state{state=\"open\"} 0",
            "apiguard_breaker_transitions_total{from=\"closed\",to=\"open\"} 1",
            "apiguard_breaker_transitions_total{from=\"open\",to=\"half-open\"} 1",
            "apiguard_breaker_transitions_total{from=\"half-open\",to=\"closed\"} 1",
            "apiguard_breaker_transitions_total{from=\"half-open\",to=\"open\"} 0",
            "apiguard_breaker_failures_in_a_row 0",
            "apiguard_shadow 0",
            "apiguard_waiting 0",
        ],
    );
    // Publishing again counts nothing twice.
    publish_policy(&policy);
    assert_eq!(of(&recorder, "day"), lines);
    let text = recorder.handle().render();
    has(
        &text.lines().map(str::to_owned).collect::<Vec<_>>(),
        &[
            "# HELP apiguard_calls_total Calls whose first attempt has ended, or that were rejected before it",
            "# TYPE apiguard_calls_total counter",
            "# TYPE apiguard_breaker_state gauge",
            "# TYPE apiguard_wait_seconds summary",
        ],
    );
}

#[guarded(name = "metrics.headers", retries(1, jitter = "none", cap = "1m"), rate("100/s", burst = 10))]
async fn fetch(url: &str) -> Result<(), apiguard::reqwest::Error> {
    drop(reqwest::get(url).await?.checked()?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_header_by_which_a_server_asked_to_wait_is_a_label() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    publish();
    let answer = Answer::new(429).header("retry-after", "7");
    fetch(&Server::scripted([answer], Answer::new(200)).await.url).await.unwrap();
    has(
        &of(&recorder, "metrics.headers"),
        &[
            "apiguard_pause_seconds_sum{source=\"retry-after\"} 7",
            "apiguard_pause_seconds_count{source=\"retry-after\"} 1",
            "apiguard_retry_delay_seconds_count{source=\"retry-after\"} 1",
        ],
    );
    publish();
    has(&of(&recorder, "metrics.headers"), &["apiguard_attempts_total{outcome=\"throttled\"} 1"]);
}

#[tokio::test(start_paused = true)]
async fn all_policies_of_the_registry_are_published_again_and_again() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let policy = registry().get("metrics.again").unwrap();
    let calls = || of(&recorder, "metrics.again").into_iter().find(|line| line.starts_with("apiguard_calls_total"));
    let mut publishing = Box::pin(publish_every(secs(10)));
    assert!(timeout(secs(1), &mut publishing).await.is_err());
    assert_eq!(calls().unwrap(), "apiguard_calls_total 0");
    good(policy).await.unwrap();
    assert!(timeout(secs(8), &mut publishing).await.is_err());
    assert_eq!(calls().unwrap(), "apiguard_calls_total 0");
    assert!(timeout(secs(2), &mut publishing).await.is_err());
    assert_eq!(calls().unwrap(), "apiguard_calls_total 1");
    // A spinning loop would not come to an end here, since time stands still meanwhile; an endless period is one of a day.
    assert!(timeout(secs(1), publish_every(Duration::ZERO)).await.is_err());
    assert!(timeout(secs(3_600), publish_every(Duration::MAX)).await.is_err());
}

apiguard::policy! {
    static AGAIN = (breaker = 5, name = "metrics.again");
}

#[tokio::test(start_paused = true)]
async fn a_policy_in_shadow_has_not_waited_delayed_or_rejected() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let settings = Settings::new()
        .rate(Rate::per_second(1).max_wait(secs(2)))
        .retries(Retry::new(1))
        .breaker(Breaker::consecutive(4))
        .shadow(true);
    let policy = Policy::builder("metrics.shadow").settings(settings).build().unwrap();
    publish_policy(&policy);
    for _ in 0..4 {
        bad(&policy).await;
    }
    publish_policy(&policy);
    let lines = of(&recorder, "metrics.shadow");
    has(
        &lines,
        &[
            "apiguard_shadow 1",
            "apiguard_unenforced_total{kind=\"delayed\"} 2",
            "apiguard_unenforced_total{kind=\"rejected\"} 1",
            "apiguard_rejections_total{reason=\"rate_limited\"} 0",
            "apiguard_waits_total 0",
        ],
    );
    assert!(!lines.iter().any(|line| line.contains("_seconds")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_forced_open_does_not_look_so_for_ever() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let policy = Policy::builder("metrics.forced").build().unwrap();
    policy.force_open();
    publish_policy(&policy);
    has(&of(&recorder, "metrics.forced"), &["apiguard_breaker_state{state=\"forced-open\"} 1"]);
    policy.reset();
    publish_policy(&policy);
    has(&of(&recorder, "metrics.forced"), &["apiguard_breaker_state{state=\"forced-open\"} 0"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_timed_when_that_is_asked_for() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let settings = Settings::new().retries(Retry::new(1).jitter(Jitter::None));
    let policy = Policy::builder("metrics.timed").settings(settings).build().unwrap();
    let taking = async |seconds, outcome: Result<(), io::ErrorKind>| {
        let attempt = async || {
            sleep(secs(seconds)).await;
            outcome.map_err(io::Error::from)
        };
        policy.call(attempt).await
    };
    taking(1, Ok(())).await.unwrap();
    assert_eq!(all_of(&recorder, "metrics.timed"), [""; 0]);
    time_attempts(true);
    taking(2, Ok(())).await.unwrap();
    taking(3, Err(io::ErrorKind::NotFound)).await.unwrap_err();
    taking(4, Err(io::ErrorKind::ConnectionReset)).await.unwrap_err();
    // Dropped by its caller.
    timeout(secs(5), taking(60, Ok(()))).await.unwrap_err();
    time_attempts(false);
    taking(6, Ok(())).await.unwrap();
    has(
        &all_of(&recorder, "metrics.timed"),
        &[
            "apiguard_attempt_duration_seconds_sum{outcome=\"success\"} 2",
            "apiguard_attempt_duration_seconds_count{outcome=\"success\"} 1",
            "apiguard_attempt_duration_seconds_sum{outcome=\"permanent\"} 3",
            "apiguard_attempt_duration_seconds_sum{outcome=\"failure\"} 8",
            "apiguard_attempt_duration_seconds_count{outcome=\"failure\"} 2",
            "apiguard_attempt_duration_seconds_sum{outcome=\"abandoned\"} 5",
        ],
    );
}

/// S03: what a policy is called with makes no series.
#[tokio::test(start_paused = true)]
async fn ten_thousand_keys_and_errors_are_no_more_series_than_one() {
    let recorder = prometheus();
    let _local = metrics::set_default_local_recorder(&recorder);
    let settings = Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO)).breaker(Breaker::consecutive(1));
    let policy = Policy::builder("metrics.keys").settings(settings).build().unwrap();
    let call = async |key: u32| {
        let attempt = async || Err::<(), _>(io::Error::other(format!("error {key}")));
        policy.call_keyed(&key, attempt).await.unwrap_err();
        policy.call_keyed(&key, attempt).await.unwrap_err();
    };
    publish_policy(&policy);
    call(0).await;
    publish_policy(&policy);
    let one = of(&recorder, "metrics.keys").len();
    for key in 1..=10_000 {
        call(key).await;
    }
    publish_policy(&policy);
    let lines = of(&recorder, "metrics.keys");
    assert_eq!(lines.len(), one, "{lines:#?}");
    has(
        &lines,
        &[
            "apiguard_keys 10001",
            "apiguard_breaker_transitions_total{from=\"closed\",to=\"open\"} 10001",
            "apiguard_rejections_total{reason=\"circuit_open\"} 10001",
        ],
    );
}

/// Misbehaves with everything it is asked for.
struct Panics;

static ASKED: AtomicU32 = AtomicU32::new(0);

fn panics() -> ! {
    ASKED.fetch_add(1, Relaxed);
    panic!("the recorder")
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panics()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panics()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panics()
    }
}

/// B06, B09: the recorder is code of the user's. Silent, since a panic prints.
#[tokio::test(start_paused = true)]
async fn b09_a_recorder_that_panics_harms_no_call() {
    let _local = metrics::set_default_local_recorder(&Panics);
    describe();
    let settings = Settings::new()
        .rate(Rate::per_second(1).max_wait(secs(5)))
        .retries(Retry::new(1).jitter(Jitter::None).budget(Budget::Off))
        .breaker(Breaker::consecutive(2).recovery(secs(10)).recovery_jitter(0.0).successes(1));
    let policy = Policy::builder("metrics.panics").settings(settings).build().unwrap();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for round in 0..100 {
        good(&policy).await.unwrap();
        // Waits, pauses, opens the breaker.
        assert!(matches!(bad(&policy).await, Error::Call { attempts: 2, .. }), "{round}");
        good(&policy).await.unwrap_err();
        advance(secs(11)).await;
        good(&policy).await.unwrap();
    }
    std::panic::set_hook(quiet);
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.outcomes.successes, snapshot.outcomes.failures), (200, 200));
    assert!(ASKED.load(Relaxed) >= 500, "{}", ASKED.load(Relaxed));
}
