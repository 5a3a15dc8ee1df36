//! What other libraries call the settings. The attribute and the files ask it what was meant.

/// The setting, what stands in its parentheses or its table (empty for the setting itself), and its synonyms.
type Known = (&'static str, &'static str, &'static [&'static str]);

const WAITS: &[&str] = &["wait", "max_delay"];

const KNOWN: &[Known] = &[
    ("rate", "", &["rates", "rate_limit", "ratelimit", "limit", "limiter", "throttle", "rps"]),
    ("rate", "rate", &["limit"]),
    ("rate", "burst", &["capacity", "size"]),
    ("rate", "max_wait", WAITS),
    ("quota", "", &["quotas"]),
    ("quota", "quota", &["limit"]),
    ("quota", "max_wait", WAITS),
    (
        "concurrency",
        "",
        &["bulkhead", "max_concurrent", "concurrency_limit", "in_flight", "max_in_flight", "semaphore"],
    ),
    ("concurrency", "limit", &["max", "concurrency"]),
    ("concurrency", "max_wait", WAITS),
    ("breaker", "", &["circuit_breaker", "circuit", "cb"]),
    ("breaker", "failures", &["threshold", "failure_threshold", "max_failures"]),
    ("breaker", "failure_rate", &["error_rate", "failure_ratio", "failure_share", "failure_rate_threshold"]),
    ("breaker", "window", &["sliding_window", "window_size", "interval", "sampling"]),
    ("breaker", "min_calls", &["minimum_calls", "min_throughput", "minimum_throughput", "min_requests"]),
    ("breaker", "slow_call", &["slow", "slow_after", "slow_threshold", "slow_call_duration"]),
    ("breaker", "slow_rate", &["slow_ratio", "slow_share", "slow_call_rate"]),
    ("breaker", "recovery", &["reset", "reset_timeout", "cooldown", "open_for", "recovery_timeout"]),
    ("breaker", "recovery_jitter", &["jitter", "random", "randomness"]),
    ("breaker", "recovery_cap", &["cap", "max_recovery", "longest_recovery"]),
    ("breaker", "successes", &["success_threshold"]),
    ("breaker", "probes", &["half_open", "half_open_max", "max_probes"]),
    ("retries", "", &["retry", "max_retries", "attempts", "max_attempts", "tries"]),
    ("retries", "max", &["retries", "count", "attempts"]),
    ("retries", "base", &["backoff", "delay", "initial", "initial_delay", "min_delay", "wait"]),
    ("retries", "factor", &["multiplier", "exponent", "growth"]),
    // (In a file `max` is the number of retries; in the attribute that has no name.)
    ("retries", "cap", &["max_delay", "max_backoff", "max_wait", "max"]),
    ("retries", "jitter", &["random", "randomness"]),
    ("retries", "budget", &["retry_budget", "retry_ratio"]),
    ("retries", "statuses", &["codes", "status_codes", "on"]),
    ("timeout", "", &["deadline", "total_timeout", "max_time"]),
    ("attempt_timeout", "", &["per_attempt_timeout", "try_timeout"]),
    ("max_pause", "", &["longest_pause", "max_retry_after", "pause"]),
    ("abandoned", "", &["abandoned_after", "hung", "hung_after", "given_up"]),
    ("shadow", "", &["dry_run", "shadow_mode", "report_only", "monitor", "observe_only"]),
    ("key", "", &["per", "key_by", "partition"]),
    ("cost", "", &["tokens", "weight", "permits"]),
    ("settle", "", &["actual", "true_cost", "actual_cost"]),
    ("classify", "", &["retry_if", "retry_when", "when", "classifier", "judge"]),
    ("fallback", "", &["otherwise", "default", "on_error", "recover"]),
    ("doc", "", &["docs", "rustdoc"]),
    ("skip", "", &["ignore", "exclude"]),
];

/// What others call a setting: one inside another's parentheses or table, or by `inner = ""` the outer itself. Most have some; those
/// that are not listed have none.
///
/// ```
/// assert_eq!(guard_spec::synonyms("breaker", "probes")[0], "half_open");
/// assert!(guard_spec::synonyms("timeout", "").contains(&"deadline"));
/// assert!(guard_spec::synonyms("name", "").is_empty());
/// ```
pub fn synonyms(outer: &str, inner: &str) -> &'static [&'static str] {
    let is_meant = |known: &&Known| (known.0, known.1) == (outer, inner);
    KNOWN.iter().find(is_meant).map_or(&[], |known| known.2)
}

/// The settings that are listed, each with what it is inside of: for the tests of those who ask.
#[doc(hidden)]
pub fn names_with_synonyms() -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN.iter().map(|(outer, inner, _)| (*outer, *inner))
}
