//! The keys of a policy's table, and what each may hold.

use crate::synonyms;

pub(super) struct Key {
    pub(super) name: &'static str,
    /// What a value looks like.
    pub(super) form: &'static str,
    /// What its table holds, if it may be one; the first stands for the value alone.
    pub(super) inner: &'static [Key],
}

const fn key(name: &'static str, form: &'static str) -> Key {
    Key { name, form, inner: &[] }
}

impl Key {
    const fn with(mut self, inner: &'static [Key]) -> Key {
        self.inner = inner;
        self
    }
}

const MAX_WAIT: Key = key("max_wait", "max_wait = \"2s\"");

pub(super) static KEYS: [Key; 10] = [
    key("rate", "rate = \"100/s\"").with(&[key("rate", "rate = \"100/s\""), key("burst", "burst = 20"), MAX_WAIT]),
    key("quota", "quota = \"5000/h\"").with(&[key("quota", "quota = \"5000/h\""), MAX_WAIT]),
    key("concurrency", "concurrency = 64").with(&[key("limit", "limit = 64"), MAX_WAIT]),
    key("breaker", "breaker = 5").with(&[
        key("failures", "failures = 5"),
        key("failure_rate", "failure_rate = \"50%\""),
        key("window", "window = \"30s\""),
        key("min_calls", "min_calls = 20"),
        key("slow_call", "slow_call = \"2s\""),
        key("slow_rate", "slow_rate = \"80%\""),
        key("recovery", "recovery = \"60s\""),
        key("recovery_jitter", "recovery_jitter = \"10%\""),
        key("recovery_cap", "recovery_cap = \"10m\""),
        key("successes", "successes = 2"),
        key("probes", "probes = 1"),
    ]),
    key("retries", "retries = 3").with(&[
        key("max", "max = 3"),
        key("base", "base = \"1s\""),
        key("factor", "factor = 2"),
        key("cap", "cap = \"60s\""),
        key("jitter", "jitter = 0.5"),
        key("budget", "budget = \"20%\""),
        key("statuses", "statuses = [429, \"502..=504\"]"),
    ]),
    key("timeout", "timeout = \"10s\""),
    key("attempt_timeout", "attempt_timeout = \"2s\""),
    key("max_pause", "max_pause = \"1h\""),
    key("abandoned", "abandoned = \"5s\""),
    key("shadow", "shadow = true"),
];

/// Settings of the attribute that say what code does.
const OF_CODE: [&str; 11] =
    ["name", "policy", "key", "cost", "settle", "classify", "fallback", "clone", "doc", "skip", "crate"];

/// The names of the keys, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The key, of a table or in the table of another, that a name is meant for: another word for it, misspelled, or not typed to its
/// end.
fn meant(name: &str, outer: Option<&'static Key>) -> Option<&'static str> {
    let keys = outer.map_or(&KEYS[..], |outer| outer.inner);
    let known: Vec<_> = keys.iter().map(|key| (key.name, synonyms_of(outer, key))).collect();
    crate::meant(name, &known)
}

fn synonyms_of(outer: Option<&Key>, key: &Key) -> &'static [&'static str] {
    match outer {
        Some(outer) => synonyms(outer.name, key.name),
        None => synonyms(key.name, ""),
    }
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
    match meant(name, None) {
        Some(meant) => format!("is no setting; did you mean `{meant}`?"),
        None => format!("is no setting; the settings are {}", list(&KEYS)),
    }
}

/// What to say of a name that is no key in the table of another.
pub(super) fn unknown_inner(outer: &'static Key, name: &str) -> String {
    if let Some(meant) = meant(name, Some(outer)) {
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
        for outer in KEYS.iter().map(Some).chain([None]) {
            let keys = outer.map_or(&KEYS[..], |outer| outer.inner);
            for key in keys {
                // A name is never asked for as another's synonym.
                let others = |synonym: &&&str| keys.iter().all(|key| key.name != **synonym);
                for synonym in synonyms_of(outer, key).iter().filter(others) {
                    assert_eq!(meant(synonym, outer), Some(key.name), "{synonym}");
                }
            }
        }
    }

    #[test]
    fn every_synonym_is_of_a_setting() {
        for (outer, inner) in crate::names_with_synonyms() {
            let key = KEYS.iter().find(|key| key.name == outer);
            let is_key = key.is_some_and(|key| inner.is_empty() || key.inner.iter().any(|key| key.name == inner));
            assert!(is_key || OF_CODE.contains(&outer) && inner.is_empty(), "{outer} {inner}");
        }
    }

    #[test]
    fn the_keys_are_those_of_settings() {
        assert!(names().eq(Overlay::NAMES));
    }
}
