//! Every setting of the attribute: the parser, the suggestions and the messages read this table.

use guard_spec::nearest;

pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What a value looks like.
    pub(crate) form: &'static str,
    /// The settings inside its parentheses.
    pub(crate) inner: &'static [Inner],
    /// Whether it may stand beside `policy = …`.
    pub(crate) per_call: bool,
    /// What others call it.
    synonyms: &'static [&'static str],
}

/// A setting inside the parentheses of another.
pub(crate) struct Inner {
    pub(crate) name: &'static str,
    pub(crate) form: &'static str,
    synonyms: &'static [&'static str],
}

const fn key(name: &'static str, form: &'static str, per_call: bool, synonyms: &'static [&'static str]) -> Key {
    Key { name, form, inner: &[], per_call, synonyms }
}

const fn inner(name: &'static str, form: &'static str, synonyms: &'static [&'static str]) -> Inner {
    Inner { name, form, synonyms }
}

impl Key {
    const fn with(mut self, inner: &'static [Inner]) -> Key {
        self.inner = inner;
        self
    }

    pub(crate) fn find_inner(&self, name: &str) -> Option<&'static Inner> {
        self.inner.iter().find(|inner| inner.name == name)
    }
}

pub(crate) const KEYS: [Key; 9] = [
    key("name", "name = \"stripe\"", false, &[]),
    key("policy", "policy = STRIPE", true, &[]),
    key("rate", "rate = \"100/s\"", false, &["rate_limit", "ratelimit", "limit", "limiter", "throttle", "rps"]).with(
        &[
            inner("burst", "burst = 20", &["capacity", "size"]),
            inner("max_wait", "max_wait = \"2s\"", &["wait", "max_delay"]),
        ],
    ),
    key("breaker", "breaker = 5", false, &["circuit_breaker", "circuit", "cb"]).with(&[
        inner("failures", "failures = 5", &["threshold", "failure_threshold", "max_failures"]),
        inner(
            "recovery",
            "recovery = \"60s\"",
            &["reset", "reset_timeout", "cooldown", "open_for", "recovery_timeout"],
        ),
        inner("successes", "successes = 2", &["success_threshold"]),
        inner("probes", "probes = 1", &["half_open", "half_open_max", "max_probes"]),
    ]),
    key("retries", "retries = 3", true, &["retry", "max_retries", "attempts", "max_attempts", "tries"]).with(&[
        inner("base", "base = \"1s\"", &["backoff", "delay", "initial", "initial_delay", "min_delay", "wait"]),
        inner("factor", "factor = 2", &["multiplier", "exponent", "growth"]),
        inner("cap", "cap = \"60s\"", &["max_delay", "max_backoff", "max_wait", "max"]),
        inner("jitter", "jitter = 0.5", &["random", "randomness"]),
        inner("statuses", "statuses = [429, 502..=504]", &["codes", "status_codes", "on"]),
    ]),
    key("timeout", "timeout = \"10s\"", true, &["deadline", "total_timeout", "max_time"]),
    key("attempt_timeout", "attempt_timeout = \"2s\"", true, &["per_attempt_timeout", "try_timeout"]),
    key("clone", "clone(order)", true, &[]),
    key("crate", "crate = my_crate::apiguard", true, &[]),
];

pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What a value of a setting looks like, also of one inside the parentheses of another.
pub(crate) fn form(name: &str) -> Option<&'static str> {
    find(name).map(|key| key.form).or_else(|| inner_of(name).map(|(_, inner)| inner.form))
}

/// The setting of this list that a name is meant for: misspelled, another word for it, or not typed to its end.
fn meant<'a>(name: &str, known: &[(&'a str, &'a [&'a str])]) -> Option<&'a str> {
    let find = |fits: &dyn Fn(&str, &[&str]) -> bool| {
        known.iter().find(|(candidate, synonyms)| fits(candidate, synonyms)).map(|(candidate, _)| *candidate)
    };
    nearest(name, known.iter().map(|(candidate, _)| *candidate))
        .or_else(|| find(&|_, synonyms| synonyms.contains(&name)))
        .or_else(|| find(&|candidate, _| name.len() > 1 && candidate.starts_with(name)))
}

/// What to say of a name that is no setting.
pub(crate) fn unknown(name: &str) -> String {
    // A name inside the parentheses of a setting is what it is before it is a misspelled other one.
    if let Some((outer, inner)) = inner_of(name) {
        return format!("`{name}` belongs to `{0}`; write `{0}(…, {1})`", outer.name, inner.form);
    }
    let known: Vec<_> = KEYS.iter().map(|key| (key.name, key.synonyms)).collect();
    if let Some(meant) = meant(name, &known) {
        return format!("unknown setting `{name}`; did you mean `{meant}`?");
    }
    let names: Vec<_> = KEYS.iter().map(|key| format!("`{}`", key.name)).collect();
    format!("unknown setting `{name}`; the settings are {}", names.join(", "))
}

/// What to say of a name that is no setting inside the parentheses of another.
pub(crate) fn unknown_inner(outer: &Key, name: &str) -> String {
    let known: Vec<_> = outer.inner.iter().map(|inner| (inner.name, inner.synonyms)).collect();
    if let Some(meant) = meant(name, &known) {
        return format!("unknown setting `{name}` of `{}`; did you mean `{meant}`?", outer.name);
    }
    if let Some(key) = find(name) {
        return format!("`{name}` does not belong to `{}`; write `{}` outside the parentheses", outer.name, key.form);
    }
    if let Some((owner, inner)) = inner_of(name) {
        return format!(
            "`{name}` belongs to `{1}`, not to `{0}`; write `{1}(…, {2})`",
            outer.name, owner.name, inner.form
        );
    }
    let names: Vec<_> = outer.inner.iter().map(|inner| format!("`{}`", inner.name)).collect();
    format!("unknown setting `{name}` of `{}`; it has {}", outer.name, names.join(", "))
}

fn inner_of(name: &str) -> Option<(&'static Key, &'static Inner)> {
    KEYS.iter().find_map(|key| Some((key, key.find_inner(name)?)))
}
