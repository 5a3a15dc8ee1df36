//! What those who watch are told, and that they are in nobody's way.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

mod support;

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::{
    Breaker, BreakerState, Error, Event, EventKind, Events, Jitter, Policy, Rate, Rejected, Retry, Settings, guarded,
    observe, registry,
};
use support::{Answer, Server};
use tokio::time::{Instant, advance};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn all(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv()).collect()
}

fn lines(events: &mut Events) -> Vec<String> {
    all(events).iter().map(ToString::to_string).collect()
}

async fn bad(policy: &Policy) -> Error<io::Error> {
    policy.call(async || Err::<(), _>(reset())).await.unwrap_err()
}

async fn good(policy: &Policy) -> Result<(), Error<io::Error>> {
    policy.call(async || Ok(())).await
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_is_told_of_waits_retries_rejections_and_the_breaker_in_their_order() {
    let settings = Settings::new()
        .rate(Rate::per_second(1).burst(3).max_wait(secs(2)))
        .retries(Retry::new(1).jitter(Jitter::None))
        .breaker(Breaker::consecutive(3).recovery(secs(10)).recovery_jitter(0.0).successes(1));
    let policy = Policy::builder("told").settings(settings).build().unwrap();
    good(&policy).await.unwrap();
    let mut events = policy.subscribe();
    bad(&policy).await;
    bad(&policy).await;
    good(&policy).await.unwrap_err();
    advance(secs(11)).await;
    good(&policy).await.unwrap();
    // The breaker counts in milliseconds.
    let lines: Vec<_> = lines(&mut events).iter().map(|line| line.replace("10s1ms", "10s")).collect();
    assert_eq!(
        lines,
        [
            "told: attempt 1 was transient; retry in 1s (backoff)",
            "told: breaker closed -> open",
            "told: circuit of policy `told` is open: next probe in 10s",
            "told: breaker open -> half-open",
            "told: breaker half-open -> closed",
        ]
    );
    let change = policy.snapshot().last_change.unwrap();
    assert_eq!((change.from, change.to), (BreakerState::HalfOpen, BreakerState::Closed));
    advance(secs(7)).await;
    assert_eq!(policy.snapshot().last_change.unwrap().ago.as_secs(), 7);
}

#[guarded(name = "told.headers", retries(1, jitter = "none", cap = "10s"), rate("100/s", burst = 10))]
async fn fetch(url: &str) -> Result<(), apiguard::reqwest::Error> {
    let response = reqwest::get(url).await?.checked()?;
    observe(&response);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_header_that_won_is_named() {
    let cases: [(Answer, &[(&str, &str)]); 6] = [
        (Answer::new(503), &[("retry", "backoff")]),
        (Answer::new(503).header("retry-after", "5"), &[("retry", "retry-after")]),
        // Our own pause is longer.
        (Answer::new(503).header("retry-after", "0"), &[("retry", "backoff")]),
        (
            Answer::new(429).header("retry-after", "9").header("retry-after-ms", "2500"),
            &[("paused", "retry-after-ms"), ("retry", "retry-after-ms")],
        ),
        (
            Answer::new(429).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "3"),
            &[("paused", "x-ratelimit-reset"), ("retry", "x-ratelimit-reset")],
        ),
        // Its limits have nothing left: that holds for the others, too.
        (
            Answer::new(503).header("ratelimit", "\"default\";r=0;t=4"),
            &[("paused", "ratelimit"), ("retry", "ratelimit")],
        ),
    ];
    let policy = registry().get("told.headers").unwrap();
    let mut events = policy.subscribe();
    let mut told = || -> Vec<_> {
        let source = |event: Event| match event.kind {
            EventKind::Retry { source, .. } => Some(("retry", source)),
            EventKind::Paused { source, .. } => Some(("paused", source)),
            _ => None,
        };
        all(&mut events).into_iter().filter_map(source).collect()
    };
    for (answer, expected) in cases {
        let server = Server::scripted([answer], Answer::new(200)).await;
        fetch(&server.url).await.unwrap();
        assert_eq!(told(), expected);
        policy.reset();
    }
    let good = Answer::new(200).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset-after", "6");
    fetch(&Server::always(good).await.url).await.unwrap();
    assert_eq!(told(), [("paused", "observed")]);
}

/// A `Retry-After` goes before what the limits say, also for those who are held back.
#[tokio::test(start_paused = true)]
async fn a_retry_after_beside_an_exhausted_limit_decides() {
    let answer = Answer::new(429).header("retry-after", "2").header("x-ratelimit-remaining", "0");
    let server = Server::scripted([answer.header("x-ratelimit-reset", "600")], Answer::new(200)).await;
    let policy = Policy::builder("decides").rate(Rate::per_second(100)).build().unwrap();
    let call = async || reqwest::get(&server.url).await;
    policy
        .call_with(|outcome| outcome.as_ref().map_or(apiguard::Verdict::TRANSIENT, apiguard::Classify::classify), call)
        .await
        .unwrap();
    let start = Instant::now();
    good(&policy).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_stops_reading_holds_nobody_up_and_is_told_how_much_it_missed() {
    let policy = Policy::builder("lagging").rate(Rate::per_hour(1).max_wait(Duration::ZERO)).build().unwrap();
    let mut events = policy.subscribe();
    for _ in 0..10_001 {
        let _ = good(&policy).await;
    }
    assert_eq!(all(&mut events).len(), 256);
    assert_eq!(events.missed(), 10_000 - 256);
    drop(events);
    let _ = good(&policy).await;
    // Dropped with its policy: an end, not a wait for ever.
    let policy = Policy::builder("gone").build().unwrap();
    let mut events = policy.subscribe();
    drop(policy);
    assert_eq!(events.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn all_policies_can_be_watched_at_once_and_a_task_that_waits_is_woken() {
    let mut events = registry().subscribe();
    let watcher = tokio::spawn(async move {
        loop {
            let event = events.recv().await.unwrap();
            if &*event.policy == "one.of.all" {
                return event;
            }
        }
    });
    tokio::task::yield_now().await;
    let policy = Policy::builder("one.of.all").build().unwrap();
    policy.force_open();
    assert!(matches!(watcher.await.unwrap().kind, EventKind::Breaker { to: BreakerState::ForcedOpen, .. }));
}

/// Records the events of `tracing`, or misbehaves with each.
struct Recorder {
    lines: Mutex<Vec<String>>,
    then: fn(),
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for &'static Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "apiguard" {
            let mut line = Line(format!("{} ", event.metadata().level()));
            event.record(&mut line);
            self.lines.lock().unwrap().push(line.0.trim_end().to_owned());
            (self.then)();
        }
    }
}

fn recording(then: fn()) -> (&'static Recorder, tracing::subscriber::DefaultGuard) {
    let recorder: &Recorder = Box::leak(Box::new(Recorder { lines: Mutex::default(), then }));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(recorder));
    (recorder, guard)
}

#[tokio::test(start_paused = true)]
async fn tracing_events_have_the_documented_fields() {
    let (recorder, _guard) = recording(|| ());
    let settings = Settings::new()
        .rate(Rate::per_second(1).max_wait(secs(2)))
        .retries(Retry::new(1).jitter(Jitter::None))
        .breaker(Breaker::consecutive(2));
    let policy = Policy::builder("traced").settings(settings).build().unwrap();
    bad(&policy).await;
    good(&policy).await.unwrap_err();
    let lines = recorder.lines.lock().unwrap().clone();
    let is = |index: usize, parts: &[&str]| {
        let line = &lines[index];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    };
    is(
        0,
        &[
            "WARN",
            "message=retry",
            "policy=\"traced\"",
            "attempt=1",
            "delay_ms=1000",
            "verdict=\"transient\"",
            "source=\"backoff\"",
        ],
    );
    is(1, &["ERROR", "message=breaker", "from=\"closed\"", "to=\"open\""]);
    is(2, &["WARN", "message=rejected", "reason=\"circuit_open\"", "retry_after_ms="]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(!lines.concat().contains("shadow"));
}

static CALLS_BACK: Policy = Policy::new(
    "calls back",
    Settings::new().breaker(Breaker::consecutive(1)).rate(Rate::per_second(1).burst(5).max_wait(Duration::ZERO)),
);

/// What is panicked with.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("once more")
    }
}

/// B09: who watches panics, takes its time, calls back; no call is harmed. Silent, since a panic prints.
#[tokio::test(start_paused = true)]
async fn b09_who_watches_may_panic_or_call_back_and_harms_nobody() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let (recorder, guard) = recording(|| {
        CALLS.fetch_add(1, Relaxed);
        std::panic::panic_any(PanicsAgain)
    });
    for round in 0..1_000 {
        // The first call trips the breaker, the second is rejected; a reset closes it.
        assert!(matches!(bad(&CALLS_BACK).await, Error::Call { .. }), "{round}");
        assert!(matches!(good(&CALLS_BACK).await, Err(Error::Rejected(Rejected::CircuitOpen { .. }))), "{round}");
        CALLS_BACK.reset();
        advance(secs(1)).await;
    }
    drop(guard);
    std::panic::set_hook(quiet);
    assert_eq!(
        recorder.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len() as u32,
        CALLS.load(Relaxed)
    );
    assert_eq!(CALLS.load(Relaxed), 3_000);

    let (_, guard) = recording(|| {
        // Everything that takes a lock.
        let snapshot = CALLS_BACK.snapshot();
        CALLS_BACK.configure(snapshot.settings).unwrap();
        if snapshot.breaker == Some(BreakerState::Open) {
            CALLS_BACK.reset();
        }
    });
    bad(&CALLS_BACK).await;
    drop(guard);
    assert_eq!(CALLS_BACK.snapshot().breaker, Some(BreakerState::Closed), "the watcher has reset it");
    good(&CALLS_BACK).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_windowed_breaker_shows_what_its_window_holds() {
    let breaker = Breaker::failure_rate(0.5).min_calls(10).slow_call(secs(2));
    let policy = Policy::builder("window").breaker(breaker).build().unwrap();
    assert_eq!(policy.snapshot().window.unwrap().calls, 0);
    for _ in 0..3 {
        good(&policy).await.unwrap();
    }
    bad(&policy).await;
    let slow = async || {
        tokio::time::sleep(secs(2)).await;
        Ok::<_, io::Error>(())
    };
    policy.call(slow).await.unwrap();
    let window = policy.snapshot().window.unwrap();
    assert_eq!((window.calls, window.failures, window.slow), (5, 1, 1));
    assert_eq!(Policy::builder("none").build().unwrap().snapshot().window, None);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_later_than_abandoned_says_is_a_failure() {
    let settings = Settings::new().breaker(Breaker::consecutive(1)).abandoned(Duration::from_millis(300));
    let policy = Arc::new(Policy::builder("abandoned").settings(settings).build().unwrap());
    let hang = async |after| {
        let call = policy.call(async || std::future::pending::<Result<(), io::Error>>().await);
        tokio::time::timeout(Duration::from_millis(after), call).await.unwrap_err();
        policy.snapshot().breaker.unwrap()
    };
    assert_eq!(hang(290).await, BreakerState::Closed);
    assert_eq!(hang(310).await, BreakerState::Open);
}
