//! The keys of a policy's table, what each may hold, and what others call it.

use crate::nearest;

pub(super) struct Key {
    pub(super) name: &'static str,
    /// What a value looks like.
    pub(super) form: &'static str,
    /// What its table holds, if it may be one; the first stands for the value alone.
    pub(super) inner: &'static [Key],
    synonyms: &'static [&'static str],
}

const fn key(name: &'static str, form: &'static str, synonyms: &'static [&'static str]) -> Key {
    Key { name, form, inner: &[], synonyms }
}

impl Key {
    const fn with(mut self, inner: &'static [Key]) -> Key {
        self.inner = inner;
        self
    }
}

const MAX_WAIT: Key = key("max_wait", "max_wait = \"2s\"", &["wait", "max_delay"]);

pub(super) static KEYS: [Key; 10] = [
    key("rate", "rate = \"100/s\"", &["rates", "rate_limit", "ratelimit", "limit", "limiter", "throttle", "rps"]).with(
        &[key("rate", "rate = \"100/s\"", &["limit"]), key("burst", "burst = 20", &["capacity", "size"]), MAX_WAIT],
    ),
    key("quota", "quota = \"5000/h\"", &["quotas"]).with(&[key("quota", "quota = \"5000/h\"", &["limit"]), MAX_WAIT]),
    key(
        "concurrency",
        "concurrency = 64",
        &["bulkhead", "max_concurrent", "concurrency_limit", "in_flight", "semaphore"],
    )
    .with(&[key("limit", "limit = 64", &["max", "concurrency"]), MAX_WAIT]),
    key("breaker", "breaker = 5", &["circuit_breaker", "circuit", "cb"]).with(&[
        key("failures", "failures = 5", &["threshold", "failure_threshold", "max_failures"]),
        key("failure_rate", "failure_rate = \"50%\"", &["error_rate", "failure_ratio", "failure_share"]),
        key("window", "window = \"30s\"", &["sliding_window", "window_size", "interval", "sampling"]),
        key("min_calls", "min_calls = 20", &["minimum_calls", "min_throughput", "min_requests"]),
        key("slow_call", "slow_call = \"2s\"", &["slow", "slow_after", "slow_threshold"]),
        key("slow_rate", "slow_rate = \"80%\"", &["slow_ratio", "slow_share", "slow_call_rate"]),
        key("recovery", "recovery = \"60s\"", &["reset", "reset_timeout", "cooldown", "open_for"]),
        key("recovery_jitter", "recovery_jitter = \"10%\"", &["jitter", "random", "randomness"]),
        key("recovery_cap", "recovery_cap = \"10m\"", &["cap", "max_recovery", "longest_recovery"]),
        key("successes", "successes = 2", &["success_threshold"]),
        key("probes", "probes = 1", &["half_open", "half_open_max", "max_probes"]),
    ]),
    key("retries", "retries = 3", &["retry", "max_retries", "attempts", "max_attempts", "tries"]).with(&[
        key("max", "max = 3", &["retries", "count", "attempts"]),
        key("base", "base = \"1s\"", &["backoff", "delay", "initial", "initial_delay", "min_delay", "wait"]),
        key("factor", "factor = 2", &["multiplier", "exponent", "growth"]),
        key("cap", "cap = \"60s\"", &["max_delay", "max_backoff", "max_wait"]),
        key("jitter", "jitter = 0.5", &["random", "randomness"]),
        key("budget", "budget = \"20%\"", &["retry_budget", "retry_ratio"]),
        key("statuses", "statuses = [429, \"502..=504\"]", &["codes", "status_codes", "on"]),
    ]),
    key("timeout", "timeout = \"10s\"", &["deadline", "total_timeout", "max_time"]),
    key("attempt_timeout", "attempt_timeout = \"2s\"", &["per_attempt_timeout", "try_timeout"]),
    key("max_pause", "max_pause = \"1h\"", &["longest_pause", "max_retry_after", "pause"]),
    key("abandoned", "abandoned = \"5s\"", &["abandoned_after", "hung", "hung_after", "given_up"]),
    key("shadow", "shadow = true", &["dry_run", "shadow_mode", "report_only", "monitor", "observe_only"]),
];

/// Settings of the attribute that say what code does.
const OF_CODE: [&str; 11] =
    ["name", "policy", "key", "cost", "settle", "classify", "fallback", "clone", "doc", "skip", "crate"];

/// The names of the keys, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The key that a name is meant for, if one is near.
pub fn nearest_key(name: &str) -> Option<&'static str> {
    meant(name, &KEYS)
}

/// The key that a name is meant for: another word for it, misspelled, or not typed to its end.
fn meant(name: &str, keys: &'static [Key]) -> Option<&'static str> {
    let find = |fits: &dyn Fn(&Key) -> bool| keys.iter().find(|key| fits(key)).map(|key| key.name);
    find(&|key| key.synonyms.contains(&name))
        .or_else(|| nearest(name, keys.iter().map(|key| key.name)))
        .or_else(|| find(&|key| name.len() > 1 && key.name.starts_with(name)))
}

fn list(keys: &[Key]) -> String {
    keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
}

/// What to say of a name that is no key.
pub(super) fn unknown(name: &str) -> String {
    let owner = KEYS.iter().find_map(|key| Some((key, key.inner.iter().find(|inner| inner.name == name)?)));
    if let Some((key, inner)) = owner {
        return match key.inner.first() {
            Some(first) if first.name != inner.name => {
                format!("belongs to `{0}`; write `{0} = {{ {1}, {2} }}`", key.name, first.form, inner.form)
            }
            _ => format!("belongs to `{0}`; write `{0} = {{ {1}, … }}`", key.name, inner.form),
        };
    }
    if OF_CODE.contains(&name) {
        return "is said in the code alone; remove it".into();
    }
    match meant(name, &KEYS) {
        Some(meant) => format!("is no setting; did you mean `{meant}`?"),
        None => format!("is no setting; the settings are {}", list(&KEYS)),
    }
}

/// What to say of a name that is no key in the table of another.
pub(super) fn unknown_inner(outer: &Key, name: &str) -> String {
    if let Some(meant) = meant(name, outer.inner) {
        return format!("is no setting of `{}`; did you mean `{meant}`?", outer.name);
    }
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("does not belong to `{}`; write `{}` beside it", outer.name, key.form);
    }
    format!("is no setting of `{}`; it has {}", outer.name, list(outer.inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Overlay;

    #[test]
    fn a_synonym_is_no_key_beside_it() {
        for keys in KEYS.iter().map(|key| key.inner).chain([&KEYS[..]]) {
            for key in keys {
                for synonym in key.synonyms {
                    assert!(keys.iter().all(|key| key.name != *synonym), "{synonym}");
                    assert_eq!(meant(synonym, keys), Some(key.name), "{synonym}");
                }
            }
        }
    }

    #[test]
    fn the_keys_are_those_of_settings() {
        assert!(names().eq(Overlay::NAMES));
    }
}
