//! Every setting of the attribute: the parser, the suggestions and the messages read this table.

use guard_spec::{meant, synonyms};

use crate::check::Place;

pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What a value looks like.
    pub(crate) form: &'static str,
    /// The settings inside its parentheses.
    pub(crate) inner: &'static [Inner],
    pub(crate) scope: Scope,
}

/// Whose a setting is, which decides where it may stand.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scope {
    /// Which policy: above a function or an `impl`.
    Choice,
    /// The policy's: shared by all who use it, so not beside `policy = …`, and not above a method of a guarded `impl`.
    Policy,
    /// A call's: a policy may have it, and one function may set it for itself.
    Call,
    /// Of a function, or of each method of an `impl`.
    Function,
    /// Of one function: it names its arguments.
    Arguments,
    /// Of a method of a guarded `impl`.
    Method,
    /// Of how the macro writes its code.
    Macro,
}

impl Scope {
    /// Whether a setting of it may stand there.
    fn fits(self, place: Place) -> bool {
        match place {
            Place::Policy => matches!(self, Scope::Policy | Scope::Call | Scope::Macro),
            Place::Function => self != Scope::Method,
            Place::Block => !matches!(self, Scope::Method | Scope::Arguments),
            Place::Method => !matches!(self, Scope::Policy | Scope::Choice),
        }
    }
}

/// A setting inside the parentheses of another.
pub(crate) struct Inner {
    pub(crate) name: &'static str,
    pub(crate) form: &'static str,
}

const fn key(name: &'static str, form: &'static str, scope: Scope) -> Key {
    Key { name, form, inner: &[], scope }
}

const fn inner(name: &'static str, form: &'static str) -> Inner {
    Inner { name, form }
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

pub(crate) const KEYS: [Key; 21] = [
    key("name", "name = \"stripe\"", Scope::Policy),
    key("policy", "policy = STRIPE", Scope::Choice),
    key("rate", "rate = \"100/s\"", Scope::Policy)
        .with(&[inner("burst", "burst = 20"), inner("max_wait", "max_wait = \"2s\"")]),
    key("quota", "quota = \"5000/h\"", Scope::Policy).with(&[inner("max_wait", "max_wait = \"2s\"")]),
    key("concurrency", "concurrency = 64", Scope::Policy).with(&[inner("max_wait", "max_wait = \"2s\"")]),
    key("breaker", "breaker = 5", Scope::Policy).with(&[
        inner("failures", "failures = 5"),
        inner("failure_rate", "failure_rate = \"50%\""),
        inner("window", "window = \"30s\""),
        inner("min_calls", "min_calls = 20"),
        inner("slow_call", "slow_call = \"2s\""),
        inner("slow_rate", "slow_rate = \"80%\""),
        inner("recovery", "recovery = \"60s\""),
        inner("recovery_jitter", "recovery_jitter = \"10%\""),
        inner("recovery_cap", "recovery_cap = \"10m\""),
        inner("successes", "successes = 2"),
        inner("probes", "probes = 1"),
    ]),
    key("retries", "retries = 3", Scope::Call).with(&[
        inner("base", "base = \"1s\""),
        inner("factor", "factor = 2"),
        inner("cap", "cap = \"60s\""),
        inner("jitter", "jitter = 0.5"),
        inner("budget", "budget = \"20%\""),
        inner("statuses", "statuses = [429, 502..=504]"),
    ]),
    key("timeout", "timeout = \"10s\"", Scope::Call),
    key("attempt_timeout", "attempt_timeout = \"2s\"", Scope::Call),
    key("max_pause", "max_pause = \"1h\"", Scope::Policy),
    key("abandoned", "abandoned = \"5s\"", Scope::Policy),
    key("shadow", "shadow = true", Scope::Policy),
    key("key", "key = tenant", Scope::Function),
    key("cost", "cost = items.len() as u32", Scope::Function),
    key("settle", "settle = used", Scope::Function),
    key("classify", "classify = verdict", Scope::Function),
    key("fallback", "fallback = cached", Scope::Arguments),
    key("clone", "clone(order)", Scope::Arguments),
    key("doc", "doc = false", Scope::Macro),
    key("skip", "skip", Scope::Method),
    key("crate", "crate = my_crate::apiguard", Scope::Macro),
];

pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What a value of a setting looks like, also of one inside the parentheses of another.
pub(crate) fn form(name: &str) -> Option<&'static str> {
    find(name).map(|key| key.form).or_else(|| inner_of(name).map(|(_, inner)| inner.form))
}

/// What to say of a name that is no setting, where it stands.
pub(crate) fn unknown(name: &str, place: Place) -> String {
    // A name inside the parentheses of a setting is what it is before it is a misspelled other one.
    if let Some((outer, inner)) = inner_of(name) {
        return format!("`{name}` belongs to `{0}`; write `{0}(…, {1})`", outer.name, inner.form);
    }
    let known: Vec<_> = KEYS.iter().map(|key| (key.name, synonyms(key.name, ""))).collect();
    if let Some(meant) = meant(name, &known) {
        return format!("unknown setting `{name}`; did you mean `{meant}`?");
    }
    let here = KEYS.iter().filter(|key| key.scope.fits(place));
    let names: Vec<_> = here.map(|key| format!("`{}`", key.name)).collect();
    format!("unknown setting `{name}`; the settings are {}", names.join(", "))
}

/// What to say of a name that is no setting inside the parentheses of another.
pub(crate) fn unknown_inner(outer: &Key, name: &str) -> String {
    let known: Vec<_> = outer.inner.iter().map(|inner| (inner.name, synonyms(outer.name, inner.name))).collect();
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::diag::Diagnostics;
    use crate::parse;

    /// What the parser says of some settings.
    fn mistakes(settings: &str) -> String {
        let mut diag = Diagnostics::default();
        parse::attribute(settings.parse().unwrap(), Place::Function, &mut diag);
        diag.into_tokens().to_string()
    }

    /// Each setting as it is written, those inside the parentheses of another with it.
    fn written() -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        for key in &KEYS {
            all.push((key.name, key.form.to_owned()));
            let first = key.form.split_once('=').map(|(_, value)| value.trim());
            for inner in key.inner {
                let first = match inner.name {
                    // The first value itself, with its name, and what stands in its place.
                    "failures" | "failure_rate" | "slow_call" => None,
                    "window" | "min_calls" => key.find_inner("failure_rate").map(|inner| inner.form),
                    "slow_rate" => key.find_inner("slow_call").map(|inner| inner.form),
                    _ => first,
                };
                let values: Vec<_> = first.into_iter().chain([inner.form]).collect();
                all.push((inner.name, format!("{}({})", key.name, values.join(", "))));
            }
        }
        all
    }

    #[test]
    fn what_is_proposed_is_accepted() {
        for (name, settings) in written() {
            assert_eq!(mistakes(&settings), "", "{name}: {settings}");
        }
    }

    #[test]
    fn a_synonym_is_no_setting_and_no_setting_is_a_synonym() {
        for key in &KEYS {
            for synonym in synonyms(key.name, "") {
                assert!(find(synonym).is_none(), "{synonym}");
                assert!(mistakes(&format!("{synonym} = 5")).contains(key.name), "{synonym}");
            }
        }
    }

    #[test]
    fn every_setting_is_documented() {
        let docs = include_str!("lib.rs");
        for key in &KEYS {
            assert!(docs.contains(&format!("/// | `{}` |", key.name)), "{}", key.name);
            for inner in key.inner {
                assert!(docs.contains(&format!("{} = ", inner.name)), "{}", inner.name);
            }
        }
    }

    /// All attributes in the cases of a folder.
    fn attributes(folder: &Path, found: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                attributes(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.extend(text.split("#[guarded").skip(1).filter_map(|rest| rest.split(")]\n").next()));
            }
        }
    }

    #[test]
    fn every_setting_has_a_case_that_passes_and_one_that_fails() {
        for folder in ["pass", "fail"] {
            let mut found = String::new();
            attributes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../trybuild").join(folder), &mut found);
            let uses = |name: &str| {
                found.match_indices(name).any(|(start, _)| {
                    let before = found[..start].chars().last();
                    let after = found[start + name.len()..].trim_start().chars().next();
                    before.is_none_or(|before| " (".contains(before)) && after.is_none_or(|after| "=(,".contains(after))
                        || name == "skip"
                })
            };
            let names = KEYS.iter().flat_map(|key| key.inner.iter().map(|inner| inner.name).chain([key.name]));
            let without: Vec<_> = names.filter(|name| !uses(name)).collect();
            assert!(without.is_empty(), "no case in {folder} for {without:?}");
        }
    }
}
