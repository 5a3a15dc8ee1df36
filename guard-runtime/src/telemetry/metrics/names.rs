//! The names of the metrics, what they count and in which unit: by the rules of Prometheus (`_total` for counters, base units).

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// The name of a metric, with what it means.
pub(super) struct Name {
    pub(super) text: &'static str,
    kind: Kind,
    meaning: &'static str,
}

enum Kind {
    Counter,
    Gauge,
    /// Of seconds.
    Histogram,
}

impl Name {
    pub(super) fn describe(&self) {
        match self.kind {
            Kind::Counter => describe_counter!(self.text, Unit::Count, self.meaning),
            Kind::Gauge => describe_gauge!(self.text, Unit::Count, self.meaning),
            Kind::Histogram => describe_histogram!(self.text, Unit::Seconds, self.meaning),
        }
    }
}

macro_rules! names {
    ($($name:ident = $kind:ident $text:literal: $meaning:literal;)*) => {
        $(pub(super) const $name: Name = Name { text: $text, kind: Kind::$kind, meaning: $meaning };)*

        /// All of them.
        pub(super) const ALL: &[Name] = &[$($name),*];
    };
}

names! {
    CALLS = Counter "apiguard_calls_total": "Calls whose first attempt has ended, or that were rejected before it";
    ATTEMPTS = Counter "apiguard_attempts_total": "Attempts that have ended, by what their outcome meant";
    REJECTIONS = Counter "apiguard_rejections_total": "Calls that were not let through or given up on, by why";
    RETRIES = Counter "apiguard_retries_total": "Attempts after the first of a call that have ended";
    RETRIES_OVER_BUDGET = Counter "apiguard_retries_over_budget_total": "Retries that were not made, since too many were";
    WAITS = Counter "apiguard_waits_total": "Attempts that had to wait for their turn";
    ATTEMPT_TIMEOUTS = Counter "apiguard_attempt_timeouts_total": "Attempts that a timeout of the policy ended";
    UNENFORCED = Counter "apiguard_unenforced_total": "What a policy in shadow would have rejected, delayed or retried";
    BREAKER_TRANSITIONS = Counter "apiguard_breaker_transitions_total": "Changes of the breaker, those of keys included";
    BREAKER_STATE = Gauge "apiguard_breaker_state": "1 for the state that the breaker is in, 0 for the others";
    BREAKER_FAILURES = Gauge "apiguard_breaker_failures_in_a_row": "Failures in a row that the closed breaker has counted";
    BREAKER_WINDOW = Gauge "apiguard_breaker_window_calls": "Attempts that the breaker's window holds";
    TOKENS = Gauge "apiguard_tokens": "Tokens for the taking, by the limit that has fewest";
    WAITING = Gauge "apiguard_waiting": "Tasks that wait for their turn";
    IN_FLIGHT = Gauge "apiguard_in_flight": "Attempts in flight";
    CONCURRENCY_LIMIT = Gauge "apiguard_concurrency_limit": "Attempts that may be in flight";
    RETRY_BUDGET = Gauge "apiguard_retry_budget": "Retries that the budget allows now";
    KEYS = Gauge "apiguard_keys": "Keys that have something of their own";
    SHADOW = Gauge "apiguard_shadow": "1 for a policy that only watches";
    WAIT = Histogram "apiguard_wait_seconds": "How long attempts waited for their turn that were let through";
    RETRY_DELAY = Histogram "apiguard_retry_delay_seconds": "The delays before retries, by whose delay it is";
    PAUSE = Histogram "apiguard_pause_seconds": "For how long servers asked for fewer requests, by how they said so";
    ATTEMPT_DURATION = Histogram "apiguard_attempt_duration_seconds": "How long attempts took, by their outcome";
}
