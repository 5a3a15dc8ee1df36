//! What policies have done and how they stand, by the [`metrics`](https://docs.rs/metrics) facade: for Prometheus, OpenTelemetry and
//! whatever else records it.
//!
//! A call that is admitted and works records nothing: its policy counts it in any case, and [`publish`] hands the counts to the recorder
//! whenever an exporter wants them. Waits, retry delays, pauses and changes of breakers are recorded when they happen. Nothing is
//! before the first call of [`publish`], [`publish_policy`] or [`describe`]: do that right after the recorder is installed.
//!
//! ```no_run
//! use metrics_exporter_prometheus::PrometheusBuilder;
//!
//! # fn serve(_: impl Fn() -> String) {}
//! let prometheus = PrometheusBuilder::new().install_recorder().unwrap();
//! apiguard::metrics::publish();
//! // The answer to `GET /metrics`:
//! serve(move || {
//!     apiguard::metrics::publish();
//!     prometheus.render()
//! });
//! ```
//!
//! An exporter that sends by itself is fed by a task: `tokio::spawn(apiguard::metrics::publish_every(Duration::from_secs(10)))`.
//!
//! | metric | kind | unit | labels beside `policy` |
//! |---|---|---|---|
//! | `apiguard_calls_total` | counter | calls | |
//! | `apiguard_attempts_total` | counter | attempts | `outcome`: `success`, `permanent`, `failure`, `throttled`, `abandoned` |
//! | `apiguard_rejections_total` | counter | calls | `reason`: `rate_limited`, `saturated`, `circuit_open`, `timed_out`, `other` |
//! | `apiguard_retries_total` | counter | attempts | |
//! | `apiguard_retries_over_budget_total` | counter | attempts | |
//! | `apiguard_waits_total` | counter | attempts | |
//! | `apiguard_attempt_timeouts_total` | counter | attempts | |
//! | `apiguard_unenforced_total` | counter | calls, attempts | `kind`: `rejected`, `delayed`, `retried` (what a policy in shadow would have done) |
//! | `apiguard_breaker_transitions_total` | counter | changes | `from`, `to`: states as below |
//! | `apiguard_breaker_state` | gauge | 1 for the state that it is in, else 0 | `state`: `closed`, `open`, `half-open`, `forced-open`, `forced-closed` |
//! | `apiguard_breaker_failures_in_a_row` | gauge | attempts | |
//! | `apiguard_breaker_window_calls` | gauge | attempts | `kind`: `all`, `failed`, `slow` |
//! | `apiguard_tokens` | gauge | tokens | |
//! | `apiguard_waiting` | gauge | tasks | |
//! | `apiguard_in_flight`, `apiguard_concurrency_limit` | gauge | attempts | |
//! | `apiguard_retry_budget` | gauge | attempts | |
//! | `apiguard_keys` | gauge | keys | |
//! | `apiguard_shadow` | gauge | 1 in shadow, else 0 | |
//! | `apiguard_wait_seconds` | histogram | seconds | |
//! | `apiguard_retry_delay_seconds` | histogram | seconds | `source`: `backoff`, `server` or the name of a header |
//! | `apiguard_pause_seconds` | histogram | seconds | `source`: `server`, `observed` or the name of a header |
//! | `apiguard_attempt_duration_seconds` | histogram | seconds | `outcome`, as above; only after [`time_attempts`] |
//!
//! A label holds a name out of the program: never a URL, a key, a header's value or the text of an error. So a policy has a bounded
//! number of series, whatever it is called with. Gauges of a part are published while the policy has that part; one that
//! [`configure`](crate::Policy::configure) takes away keeps its last value, and so do all gauges of a policy that is dropped. Policies
//! of one name are one series, with the highest of their counts and the gauges of the last: see
//! [`Registry::duplicates`](crate::Registry::duplicates).
//!
//! Counters and histograms are of all calls. Breaker, tokens, waiting tasks and attempts in flight are those of the calls without a key:
//! each key (`key = …`, a client per host) has its own, which no gauge shows. What they do is in the rejections, the waits and the
//! breaker's transitions.
//!
//! What a policy in shadow would have done is `apiguard_unenforced_total`, and no wait, delay or pause; its breaker changes as if it were
//! not.

mod names;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, IntoF64, Key, Label, Level, Metadata, SharedString, with_recorder};

use self::names::Name;
use crate::clock::{self, Timer};
use crate::event::EventKind;
use crate::name::{PolicyName, Text};
use crate::policy::{InWindow, Outcomes, Policy, Rejections, Snapshot, Unenforced};
use crate::{BreakerState, registry};

/// Whether somebody has said that metrics are wanted. Before that, no event makes the labels that a recorder which does not exist would
/// throw away.
static RECORDED: AtomicBool = AtomicBool::new(false);
static ATTEMPTS_TIMED: AtomicBool = AtomicBool::new(false);

/// The shortest time between two publications of [`publish_every`].
const SHORTEST: Duration = Duration::from_millis(100);
/// And the longest.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

static METADATA: Metadata<'static> = Metadata::new("apiguard", Level::INFO, Some("apiguard"));

/// The changes that a breaker makes by itself.
const TRANSITIONS: [(BreakerState, BreakerState); 4] = [
    (BreakerState::Closed, BreakerState::Open),
    (BreakerState::Open, BreakerState::HalfOpen),
    (BreakerState::HalfOpen, BreakerState::Open),
    (BreakerState::HalfOpen, BreakerState::Closed),
];

/// Hands counters and gauges of all policies of the [`registry`](crate::registry()) to the recorder, and what each metric means.
///
/// It takes some microseconds for each policy. Without a recorder it does nothing to speak of.
///
/// # Panics
/// When the recorder does. (While a call runs, a recorder's panics end in apiguard.)
pub fn publish() {
    describe();
    for policy in registry().iter() {
        publish_policy(policy);
    }
}

/// Does the same for one policy: for those that are made at run time, which the registry does not know.
///
/// A policy that is made anew under the same name counts from zero, and recorders do not let a counter go back: it shows again
/// when it has passed the old one.
///
/// ```
/// let policy = apiguard::Policy::builder("tenant-7").build()?;
/// apiguard::metrics::publish_policy(&policy);
/// # Ok::<(), apiguard::InvalidSettings>(())
/// ```
///
/// # Panics
/// When the recorder does.
pub fn publish_policy(policy: &Policy) {
    RECORDED.store(true, Relaxed);
    let snapshot = policy.snapshot();
    let series = Series::of(&snapshot.name);
    series.count(&snapshot);
    series.show(&snapshot);
}

/// Publishes now, and again after each `period`, for as long as it is polled.
///
/// The period is at least 100 ms and at most a day. Under tokio it is tokio's timer, elsewhere a thread's.
///
/// ```
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// tokio::spawn(apiguard::metrics::publish_every(Duration::from_secs(10)));
/// # }
/// ```
///
/// # Panics
/// When the recorder does.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub async fn publish_every(period: Duration) -> Infallible {
    let period = clock::nanos(period.clamp(SHORTEST, LONGEST));
    loop {
        publish();
        Timer::at(clock::now().saturating_add(period)).await;
    }
}

/// Tells the recorder the unit and the meaning of each metric. [`publish`] does it, too.
///
/// # Panics
/// When the recorder does.
pub fn describe() {
    RECORDED.store(true, Relaxed);
    for name in names::ALL {
        name.describe();
    }
}

/// Whether `apiguard_attempt_duration_seconds` is recorded, for attempts that end from now on; at first it is not.
///
/// It is the only metric that an admitted, succeeding call pays for: a reading of the clock and a call of the recorder, some tenths of a
/// microsecond. Off, that call pays one load.
///
/// ```
/// apiguard::metrics::time_attempts(true);
/// ```
pub fn time_attempts(on: bool) {
    ATTEMPTS_TIMED.store(on, Relaxed);
}

/// Whether events are to be recorded.
pub(super) fn are_recorded() -> bool {
    // Relaxed: an event or two about the time when it begins may be in or not.
    RECORDED.load(Relaxed)
}

#[inline(always)]
pub(super) fn are_attempts_timed() -> bool {
    ATTEMPTS_TIMED.load(Relaxed)
}

pub(super) fn record_attempt(policy: &PolicyName, outcome: &'static str, nanos: u64) {
    let took = Duration::from_nanos(nanos);
    Series::of(policy).histogram(&names::ATTEMPT_DURATION, &[("outcome", outcome)]).record(took);
}

/// Records an event; those of a policy in shadow have not happened, except that its breaker has changed.
pub(super) fn record(policy: &PolicyName, shadow: bool, kind: &EventKind) {
    let series = Series::of(policy);
    match *kind {
        EventKind::Breaker { from, to } => series.transition(from, to).increment(1),
        _ if shadow => {}
        EventKind::Waited { wait } => series.histogram(&names::WAIT, &[]).record(wait),
        EventKind::Retry { delay, source, .. } => {
            series.histogram(&names::RETRY_DELAY, &[("source", source)]).record(delay);
        }
        EventKind::Paused { pause, source } => {
            series.histogram(&names::PAUSE, &[("source", source)]).record(pause);
        }
        // The policy counts them, but for the last, which is a fault of the program to be seen in its log.
        EventKind::OverBudget { .. } | EventKind::Rejected { .. } | EventKind::NotReplayable => {}
    }
}

/// The series of one policy.
struct Series {
    policy: SharedString,
}

impl Series {
    fn of(policy: &PolicyName) -> Series {
        let policy = match &policy.0 {
            Text::Static(name) => SharedString::const_str(name),
            Text::Shared(name) => SharedString::from_shared(name.clone()),
        };
        Series { policy }
    }

    fn key(&self, name: &Name, labels: &[(&'static str, &'static str)]) -> Key {
        let labels = labels.iter().map(|&(label, value)| Label::from_static_parts(label, value));
        let all: Vec<_> = std::iter::once(Label::new("policy", self.policy.clone())).chain(labels).collect();
        Key::from_parts(name.text, all)
    }

    fn counter(&self, name: &Name, labels: &[(&'static str, &'static str)]) -> Counter {
        let key = self.key(name, labels);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }

    fn gauge(&self, name: &Name, labels: &[(&'static str, &'static str)]) -> Gauge {
        let key = self.key(name, labels);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }

    fn histogram(&self, name: &Name, labels: &[(&'static str, &'static str)]) -> Histogram {
        let key = self.key(name, labels);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }

    fn transition(&self, from: BreakerState, to: BreakerState) -> Counter {
        self.counter(&names::BREAKER_TRANSITIONS, &[("from", from.name()), ("to", to.name())])
    }

    fn count(&self, snapshot: &Snapshot) {
        let Outcomes { successes, permanent, failures, throttled, abandoned } = snapshot.outcomes;
        let Rejections { rate_limited, saturated, circuit_open, timed_out, other } = snapshot.rejections;
        let Unenforced { rejected, delayed, retried } = snapshot.shadow;
        let counts = |name: &Name, label, values: &[(&'static str, u64)]| {
            for &(value, count) in values {
                self.counter(name, &[(label, value)]).absolute(count);
            }
        };
        let outcomes = [
            ("success", successes),
            ("permanent", permanent),
            ("failure", failures),
            ("throttled", throttled),
            ("abandoned", abandoned),
        ];
        let reasons = [
            ("rate_limited", rate_limited),
            ("saturated", saturated),
            ("circuit_open", circuit_open),
            ("timed_out", timed_out),
            ("other", other),
        ];
        counts(&names::ATTEMPTS, "outcome", &outcomes);
        counts(&names::REJECTIONS, "reason", &reasons);
        counts(&names::UNENFORCED, "kind", &[("rejected", rejected), ("delayed", delayed), ("retried", retried)]);
        for (name, count) in [
            (&names::CALLS, snapshot.calls),
            (&names::RETRIES, snapshot.retries),
            (&names::RETRIES_OVER_BUDGET, snapshot.over_budget),
            (&names::WAITS, snapshot.waits),
            (&names::ATTEMPT_TIMEOUTS, snapshot.timed_out),
        ] {
            self.counter(name, &[]).absolute(count);
        }
        if snapshot.settings.circuit_breaker().is_some() {
            // Once at zero, so that the first change is an increase.
            for (from, to) in TRANSITIONS {
                self.transition(from, to).increment(0);
            }
        }
    }

    fn show(&self, snapshot: &Snapshot) {
        let some = |name: &Name, value: Option<u32>| {
            if let Some(value) = value {
                self.gauge(name, &[]).set(value);
            }
        };
        some(&names::TOKENS, snapshot.tokens);
        some(&names::IN_FLIGHT, snapshot.in_flight);
        some(&names::CONCURRENCY_LIMIT, snapshot.settings.concurrency_limit().map(guard_spec::Concurrency::limit));
        some(&names::RETRY_BUDGET, snapshot.retry_budget);
        some(&names::SHADOW, Some(u32::from(snapshot.settings.is_shadow())));
        self.set(&names::WAITING, &[], snapshot.waiting as f64);
        self.set(&names::KEYS, &[], snapshot.keys as f64);
        // Without a breaker, too: it may have been forced before, and must not look so for ever.
        for state in BreakerState::ALL {
            let is_it = snapshot.breaker == Some(state);
            self.set(&names::BREAKER_STATE, &[("state", state.name())], u32::from(is_it));
        }
        if let Some(breaker) = snapshot.settings.circuit_breaker() {
            if !breaker.is_windowed() {
                some(&names::BREAKER_FAILURES, Some(snapshot.failures_in_a_row));
            }
        }
        if let Some(InWindow { calls, failures, slow }) = snapshot.window {
            for (kind, count) in [("all", calls), ("failed", failures), ("slow", slow)] {
                self.set(&names::BREAKER_WINDOW, &[("kind", kind)], count as f64);
            }
        }
    }

    fn set(&self, name: &Name, labels: &[(&'static str, &'static str)], value: impl IntoF64) {
        self.gauge(name, labels).set(value);
    }
}
