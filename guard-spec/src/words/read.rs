//! Nodes -> settings. Every mistake is noted with its place, and reading goes on at the next key.

use core::fmt;

use super::keys::{self, KEYS, Key};
use super::node::{Entry, Kind, Node};
use super::overlay::{Overlay, Place};
use crate::settings::List;
use crate::text::nanos;
use crate::{Breaker, Concurrency, Field, Problem, Quota, Rate, Retry, Settings, parse};

/// One thing that is wrong with what was written: displays as `rate.burst = 0 admits nothing; write at least 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting as it was named: `rate[1].burst`; empty for the table itself.
    pub path: String,
    /// What was written, its beginning if it is long; `None` where the name is wrong.
    pub value: Option<String>,
    /// What is wrong, and what to write instead.
    pub advice: String,
    /// The first byte of what is wrong.
    pub at: Option<usize>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value} {}", self.path, self.advice),
            None => write!(f, "{} {}", self.path, self.advice),
        }
    }
}

impl Mistake {
    /// A problem of settings that were written, some of them at these places.
    pub fn of(problem: &Problem, overlay: &Overlay) -> Mistake {
        let place = overlay.place(problem.field(), problem.index());
        let exact = place.filter(|place| place.field == problem.field());
        let is_known = !matches!(problem.value(), crate::Value::Ratio(ratio) if !ratio.is_valid());
        Mistake {
            path: exact.map_or_else(|| problem.field().name().to_owned(), |place| place.path.clone()),
            value: is_known.then(|| problem.value().to_string()),
            advice: problem.advice().to_owned(),
            at: place.and_then(|place| place.at),
        }
    }
}

impl Overlay {
    /// Reads the table of a policy.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its places where they are known.
    pub fn read(table: &Node) -> Result<Overlay, Vec<Mistake>> {
        let mut reader = Reader::default();
        let mut overlay = Overlay::default();
        match &table.kind {
            Kind::Table(entries) => {
                for entry in reader.each_once(entries, "") {
                    reader.setting(&mut overlay, entry);
                }
            }
            _ => reader.wrong("", table, "is not a table; write settings such as `rate = \"100/s\"`"),
        }
        overlay.places = reader.places;
        reader.mistakes.extend(wrong(&overlay));
        if reader.mistakes.is_empty() {
            return Ok(overlay);
        }
        reader.mistakes.sort_by_key(|mistake| mistake.at);
        Err(reader.mistakes)
    }

    /// Reads the value of one key alone, as in a variable of the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_one(key: &str, value: &Node) -> Result<Overlay, Vec<Mistake>> {
        let entry = Entry { key: key.to_owned(), at: value.at, value: value.clone() };
        Overlay::read(&Kind::Table(vec![entry]).into())
    }
}

/// The settings' own check of what was read.
fn wrong(overlay: &Overlay) -> Vec<Mistake> {
    let problems = overlay.over(Settings::new()).problems();
    problems.iter().map(|problem| Mistake::of(&problem, overlay)).collect()
}

#[derive(Default)]
pub(super) struct Reader {
    pub(super) mistakes: Vec<Mistake>,
    places: Vec<Place>,
}

/// What is inside a setting: its name, its path and its value.
struct Part<'a> {
    name: &'static str,
    path: String,
    value: &'a Node,
}

struct Parts<'a> {
    list: Vec<Part<'a>>,
    /// Whether all of it could be read; what seems to be missing may be what could not.
    is_whole: bool,
}

impl Parts<'_> {
    fn has(&self, name: &str) -> bool {
        self.list.iter().any(|part| part.name == name)
    }
}

/// The shortest duration, in place of one that cannot be read.
const SHORTEST: u64 = 1_000_000;

impl Reader {
    pub(super) fn wrong(&mut self, path: &str, value: &Node, advice: impl Into<String>) {
        let (shown, mut advice) = (Some(value.shown()), advice.into());
        // Some advice repeats a part of what was written.
        if let Some((end, _)) = advice.char_indices().nth(200) {
            advice.truncate(end);
            advice.push('…');
        }
        self.mistakes.push(Mistake { path: path.to_owned(), value: shown, advice, at: value.at });
    }

    fn wrong_name(&mut self, path: String, at: Option<usize>, advice: impl Into<String>) {
        self.mistakes.push(Mistake { path, value: None, advice: advice.into(), at });
    }

    pub(super) fn noted(&mut self, field: Field, index: usize, path: &str, node: &Node) {
        self.places.push(Place { field, index, path: path.to_owned(), at: node.at });
    }

    fn each_once<'a>(&mut self, entries: &'a [Entry], head: &str) -> Vec<&'a Entry> {
        let mut found: Vec<&Entry> = Vec::new();
        for entry in entries {
            if found.len() > 64 {
                // There are far fewer keys: what comes twice or is unknown has been said often enough.
                break;
            }
            if found.iter().any(|earlier| earlier.key == entry.key) {
                self.wrong_name(format!("{head}{}", shown(&entry.key)), entry.at, "is set twice; remove one");
            } else {
                found.push(entry);
            }
        }
        found
    }

    fn setting(&mut self, overlay: &mut Overlay, entry: &Entry) {
        let Some(key) = KEYS.iter().find(|key| key.name == entry.key) else {
            return self.wrong_name(shown(&entry.key), entry.at, keys::unknown(&entry.key));
        };
        let (name, value) = (key.name, &entry.value);
        let is_off = matches!(&value.kind, Kind::Text(text) if text == "off");
        match name {
            "rate" if is_off => overlay.rates = Some(List::EMPTY),
            "quota" if is_off => overlay.quotas = Some(List::EMPTY),
            "concurrency" if is_off => overlay.concurrency = Some(None),
            "breaker" if is_off => overlay.breaker = Some(None),
            "retries" if is_off => overlay.retries = Some(None),
            "timeout" if is_off => overlay.timeout = Some(None),
            "attempt_timeout" if is_off => overlay.attempt_timeout = Some(None),
            "rate" => overlay.rates = self.list(key, value, Reader::rate),
            "quota" => overlay.quotas = self.list(key, value, Reader::quota),
            "concurrency" => overlay.concurrency = Some(Some(self.concurrency(key, value))),
            "breaker" => overlay.breaker = self.breaker(key, value).map(Some),
            "retries" => overlay.retries = Some(Some(self.retries(key, value))),
            "timeout" => overlay.timeout = self.time(Field::Timeout, name, value).map(Some),
            "attempt_timeout" => {
                overlay.attempt_timeout = self.time(Field::AttemptTimeout, name, value).map(Some);
            }
            "max_pause" => overlay.max_pause = self.time(Field::MaxPause, name, value),
            "abandoned" => overlay.abandoned = self.time(Field::Abandoned, name, value),
            _ => overlay.shadow = self.switch(name, value),
        }
    }

    /// The parts of `key = value` or `key = { … }`.
    fn parts<'a>(&mut self, key: &'static Key, path: &str, value: &'a Node) -> Parts<'a> {
        let mut parts = Parts { list: Vec::new(), is_whole: true };
        let Kind::Table(entries) = &value.kind else {
            if let Kind::Switch(switch) = value.kind {
                let advice = if switch { format!("write `{}`", key.form) } else { "write `\"off\"`".to_owned() };
                self.wrong(path, value, format!("is no value of it; {advice}"));
                parts.is_whole = false;
            } else {
                parts.list.push(Part { name: key.inner[0].name, path: path.to_owned(), value });
            }
            return parts;
        };
        for entry in self.each_once(entries, &format!("{path}.")) {
            let path = format!("{path}.{}", shown(&entry.key));
            if let Some(inner) = key.inner.iter().find(|inner| inner.name == entry.key) {
                parts.list.push(Part { name: inner.name, path, value: &entry.value });
            } else {
                parts.is_whole = false;
                self.wrong_name(path, entry.at, keys::unknown_inner(key, &entry.key));
            }
        }
        // What seems to be missing may be what is misspelled.
        let needs = &key.inner[0];
        if key.name != "breaker" && !parts.has(needs.name) && parts.is_whole {
            self.wrong(path, value, format!("lacks its first value; write `{} = {{ {}, … }}`", key.name, needs.form));
            parts.is_whole = false;
        }
        parts
    }

    fn list<T: Copy>(
        &mut self,
        key: &'static Key,
        value: &Node,
        one: fn(&mut Self, &'static Key, &str, usize, &Node) -> T,
    ) -> Option<List<T>> {
        let Kind::List(nodes) = &value.kind else { return Some(List::of(one(self, key, key.name, 0, value))) };
        let name = key.name;
        if nodes.is_empty() {
            self.wrong(name, value, format!("limits nothing; write `{}`, or `\"off\"` for no limit", key.form));
            return None;
        }
        if let Some(node) = nodes.get(Settings::MOST_LIMITS) {
            let path = format!("{name}[{}]", Settings::MOST_LIMITS);
            self.wrong(&path, node, "is one too many; write at most 4, without those that others imply");
        }
        let nodes = nodes.iter().take(Settings::MOST_LIMITS).enumerate();
        Some(nodes.fold(List::EMPTY, |list, (index, node)| {
            list.and(one(self, key, &format!("{name}[{index}]"), index, node))
        }))
    }

    fn rate(&mut self, key: &'static Key, path: &str, index: usize, node: &Node) -> Rate {
        // In place of what cannot be read: no burst is too large for it.
        let mut rate = Rate::per_second(1_000_000_000);
        for Part { name, path, value } in self.parts(key, path, node).list {
            match name {
                "rate" => {
                    let read = self.per(&path, value, parse::rate, "100/s");
                    self.noted(Field::Rate, index, &path, value);
                    if let Some(read) = read {
                        (rate.count, rate.per) = (read.count, read.per);
                    }
                }
                "burst" => {
                    self.noted(Field::RateBurst, index, &path, value);
                    rate.burst = self.count(&path, value).unwrap_or(rate.burst);
                }
                _ => {
                    self.noted(Field::RateMaxWait, index, &path, value);
                    rate.max_wait = self.duration(&path, value).unwrap_or(rate.max_wait);
                }
            }
        }
        rate
    }

    fn quota(&mut self, key: &'static Key, path: &str, index: usize, node: &Node) -> Quota {
        let mut quota = Quota::per_second(1);
        for Part { name, path, value } in self.parts(key, path, node).list {
            if name == "quota" {
                self.noted(Field::Quota, index, &path, value);
                if let Some(read) = self.per(&path, value, parse::quota, "5000/h") {
                    (quota.count, quota.window) = (read.count, read.window);
                }
            } else {
                self.noted(Field::QuotaMaxWait, index, &path, value);
                quota.max_wait = self.duration(&path, value).unwrap_or(quota.max_wait);
            }
        }
        quota
    }

    fn concurrency(&mut self, key: &'static Key, node: &Node) -> Concurrency {
        let mut concurrency = Concurrency::new(1);
        for Part { name, path, value } in self.parts(key, key.name, node).list {
            if name == "limit" {
                self.noted(Field::Concurrency, 0, &path, value);
                concurrency.limit = self.count(&path, value).unwrap_or(concurrency.limit);
            } else {
                self.noted(Field::ConcurrencyMaxWait, 0, &path, value);
                concurrency.max_wait = self.duration(&path, value).unwrap_or(concurrency.max_wait);
            }
        }
        concurrency
    }

    fn breaker(&mut self, key: &'static Key, node: &Node) -> Option<Breaker> {
        let parts = self.parts(key, key.name, node);
        if parts.has("failures") && parts.has("failure_rate") {
            self.wrong(key.name, node, "counts failures in a row and their share; remove `failures` or `failure_rate`");
            return None;
        }
        // One of `slow_rate` alone is told what it needs by the settings' check.
        if parts.is_whole && !["failures", "failure_rate", "slow_call", "slow_rate"].iter().any(|name| parts.has(name))
        {
            let advice =
                "lacks a threshold; write `breaker = { failures = 5, … }` or `breaker = { failure_rate = \"50%\", … }`";
            self.wrong(key.name, node, advice);
            return None;
        }
        let before = self.mistakes.len();
        let (mut breaker, mut recovery) = (Breaker::WINDOWED, None);
        for Part { name, path, value } in parts.list {
            let path = path.as_str();
            let field = match name {
                "failures" => {
                    breaker.failures = self.count(path, value);
                    Field::Breaker
                }
                "failure_rate" => {
                    breaker.failure_rate = self.share(path, value);
                    Field::BreakerFailureRate
                }
                "window" => {
                    breaker.window = self.window(path, value);
                    Field::BreakerWindow
                }
                "min_calls" => {
                    breaker.min_calls = self.count(path, value);
                    Field::BreakerMinCalls
                }
                "slow_call" => {
                    breaker.slow_call = self.duration(path, value);
                    Field::BreakerSlowCall
                }
                "slow_rate" => {
                    breaker.slow_rate = self.share(path, value);
                    Field::BreakerSlowRate
                }
                "recovery" => {
                    recovery = self.duration(path, value);
                    Field::BreakerRecovery
                }
                "recovery_jitter" => {
                    breaker.recovery_jitter = self.share(path, value).unwrap_or(breaker.recovery_jitter);
                    Field::BreakerRecoveryJitter
                }
                "recovery_cap" => {
                    breaker.recovery_cap = self.duration(path, value);
                    Field::BreakerRecoveryCap
                }
                "successes" => {
                    breaker.successes = self.count(path, value).unwrap_or(breaker.successes);
                    Field::BreakerSuccesses
                }
                _ => {
                    breaker.probes = self.count(path, value).unwrap_or(breaker.probes);
                    Field::BreakerProbes
                }
            };
            self.noted(field, 0, path, value);
        }
        breaker.recovery = recovery.unwrap_or(breaker.recovery);
        if !parts.is_whole || self.mistakes.len() > before {
            // What could not be read contradicts nothing.
            breaker.recovery = recovery.unwrap_or(SHORTEST);
            breaker.slow_call = breaker.slow_call.or(breaker.slow_rate.map(|_| SHORTEST));
        }
        Some(breaker)
    }

    fn retries(&mut self, key: &'static Key, node: &Node) -> Retry {
        let parts = self.parts(key, key.name, node);
        let before = self.mistakes.len();
        let mut retry = Retry::new(0);
        let (mut max, mut base, mut cap, mut shape) = (None, None, None, None);
        for Part { name, path, value } in parts.list {
            let field = match name {
                "max" => {
                    max = self.count(&path, value);
                    Field::Retries
                }
                "base" => {
                    base = self.duration(&path, value);
                    Field::RetriesBase
                }
                "factor" => {
                    retry.factor = self.number(&path, value).unwrap_or(retry.factor);
                    Field::RetriesFactor
                }
                "cap" => {
                    cap = self.duration(&path, value);
                    Field::RetriesCap
                }
                "jitter" => {
                    retry.jitter = self.jitter(&path, value).unwrap_or(retry.jitter);
                    Field::RetriesJitter
                }
                "budget" => {
                    retry.budget = self.budget(&path, value).unwrap_or(retry.budget);
                    Field::RetriesBudget
                }
                _ => {
                    retry.statuses = self.statuses(&path, value).unwrap_or(retry.statuses);
                    Field::RetriesStatuses
                }
            };
            self.noted(field, 0, &path, value);
            if field != Field::Retries {
                shape = Some((path, value));
            }
        }
        if let (Some(0), Some((path, value))) = (max, shape) {
            self.wrong(&path, value, "has no effect with no retries; write `max = 1` or more, or remove it");
        }
        retry.max = max.unwrap_or(0);
        let is_whole = parts.is_whole && self.mistakes.len() == before;
        // What could not be read contradicts nothing.
        retry.base = base.unwrap_or(if is_whole { retry.base } else { SHORTEST });
        retry.cap = cap.unwrap_or(if is_whole { retry.cap } else { nanos(crate::LONGEST) });
        retry
    }
}

/// A key as it is shown: its beginning if it is long, with what cannot be printed escaped.
fn shown(key: &str) -> String {
    let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare && !key.is_empty() && key.len() <= 60 { key.to_owned() } else { Node::text(key).shown() }
}
