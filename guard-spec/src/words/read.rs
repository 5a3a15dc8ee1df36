//! Nodes -> settings. Every mistake is noted with its place, and reading goes on at the next key.

use core::fmt;

use super::keys::{self, KEYS, Key};
use super::node::{Entry, Kind, Node};
use super::overlay::{Overlay, Place};
use crate::settings::List;
use crate::text::nanos;
use crate::{
    Breaker, Budget, Concurrency, Field, Jitter, Problem, Quota, Rate, Ratio, Retry, Settings, Statuses, parse,
};

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
struct Reader {
    mistakes: Vec<Mistake>,
    places: Vec<Place>,
}

/// What is inside a setting: its name, its path and its value.
struct Part<'a> {
    name: &'static str,
    path: String,
    value: &'a Node,
}

impl Reader {
    fn wrong(&mut self, path: &str, value: &Node, advice: impl Into<String>) {
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

    /// What was written at a place, as far as it is one.
    fn noted<T>(&mut self, field: Field, index: usize, path: &str, node: &Node, value: Option<T>) -> Option<T> {
        self.places.push(Place { field, index, path: path.to_owned(), at: node.at });
        value
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
            "concurrency" => overlay.concurrency = self.concurrency(key, value).map(Some),
            "breaker" => overlay.breaker = self.breaker(key, value).map(Some),
            "retries" => overlay.retries = self.retries(key, value).map(Some),
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
    fn parts<'a>(&mut self, key: &'static Key, path: &str, value: &'a Node) -> Option<Vec<Part<'a>>> {
        let Kind::Table(entries) = &value.kind else {
            if let Kind::Switch(switch) = value.kind {
                let advice = if switch { format!("write `{}`", key.form) } else { "write `\"off\"`".to_owned() };
                self.wrong(path, value, format!("is no value of it; {advice}"));
                return None;
            }
            return Some(vec![Part { name: key.inner[0].name, path: path.to_owned(), value }]);
        };
        let mut parts = Vec::new();
        let mut is_whole = true;
        for entry in self.each_once(entries, &format!("{path}.")) {
            let path = format!("{path}.{}", shown(&entry.key));
            if let Some(inner) = key.inner.iter().find(|inner| inner.name == entry.key) {
                parts.push(Part { name: inner.name, path, value: &entry.value });
            } else {
                is_whole = false;
                self.wrong_name(path, entry.at, keys::unknown_inner(key, &entry.key));
            }
        }
        // What seems to be missing may be what is misspelled.
        let needs = &key.inner[0];
        let has_it = key.name == "breaker" || parts.iter().any(|part| part.name == needs.name);
        if !has_it && is_whole {
            self.wrong(path, value, format!("lacks its first value; write `{} = {{ {}, … }}`", key.name, needs.form));
        }
        (has_it && is_whole).then_some(parts)
    }

    fn list<T: Copy>(
        &mut self,
        key: &'static Key,
        value: &Node,
        one: fn(&mut Self, &'static Key, &str, usize, &Node) -> Option<T>,
    ) -> Option<List<T>> {
        let Kind::List(nodes) = &value.kind else { return one(self, key, key.name, 0, value).map(List::of) };
        let name = key.name;
        if nodes.is_empty() {
            self.wrong(name, value, format!("limits nothing; write `{}`, or `\"off\"` for no limit", key.form));
            return None;
        }
        if let Some(node) = nodes.get(Settings::MOST_LIMITS) {
            let path = format!("{name}[{}]", Settings::MOST_LIMITS);
            self.wrong(&path, node, "is one too many; write at most 4, without those that others imply");
            return None;
        }
        let mut list = Some(List::EMPTY);
        for (index, node) in nodes.iter().enumerate() {
            let path = format!("{name}[{index}]");
            let item = if matches!(node.kind, Kind::List(_)) {
                self.wrong(&path, node, format!("is a list in the list; write `{}`", key.form));
                None
            } else {
                one(self, key, &path, index, node)
            };
            // One that is wrong is reported; then the list is not used.
            list = list.zip(item).map(|(list, item)| list.and(item));
        }
        list
    }

    fn rate(&mut self, key: &'static Key, path: &str, index: usize, node: &Node) -> Option<Rate> {
        let (mut rate, mut burst, mut max_wait) = (None, Some(None), Some(None));
        for Part { name, path, value } in self.parts(key, path, node)? {
            match name {
                "rate" => {
                    let read = self.per(&path, value, parse::rate, "100/s");
                    rate = self.noted(Field::Rate, index, &path, value, read);
                }
                "burst" => {
                    let read = self.count(&path, value);
                    burst = self.noted(Field::RateBurst, index, &path, value, read).map(Some);
                }
                _ => {
                    let read = self.duration(&path, value);
                    max_wait = self.noted(Field::RateMaxWait, index, &path, value, read).map(Some);
                }
            }
        }
        let mut rate = rate?;
        rate.burst = burst?.unwrap_or(rate.burst);
        rate.max_wait = max_wait?.unwrap_or(rate.max_wait);
        Some(rate)
    }

    fn quota(&mut self, key: &'static Key, path: &str, index: usize, node: &Node) -> Option<Quota> {
        let (mut quota, mut max_wait) = (None, Some(None));
        for Part { name, path, value } in self.parts(key, path, node)? {
            if name == "quota" {
                let read = self.per(&path, value, parse::quota, "5000/h");
                quota = self.noted(Field::Quota, index, &path, value, read);
            } else {
                let read = self.duration(&path, value);
                max_wait = self.noted(Field::QuotaMaxWait, index, &path, value, read).map(Some);
            }
        }
        let mut quota = quota?;
        quota.max_wait = max_wait?.unwrap_or(quota.max_wait);
        Some(quota)
    }

    fn concurrency(&mut self, key: &'static Key, node: &Node) -> Option<Concurrency> {
        let (mut limit, mut max_wait) = (None, Some(None));
        for Part { name, path, value } in self.parts(key, key.name, node)? {
            if name == "limit" {
                let read = self.count(&path, value);
                limit = self.noted(Field::Concurrency, 0, &path, value, read);
            } else {
                let read = self.duration(&path, value);
                max_wait = self.noted(Field::ConcurrencyMaxWait, 0, &path, value, read).map(Some);
            }
        }
        let mut concurrency = Concurrency::new(limit?);
        concurrency.max_wait = max_wait?.unwrap_or(concurrency.max_wait);
        Some(concurrency)
    }

    fn breaker(&mut self, key: &'static Key, node: &Node) -> Option<Breaker> {
        let parts = self.parts(key, key.name, node)?;
        let has = |name| parts.iter().any(|part: &Part<'_>| part.name == name);
        if has("failures") && has("failure_rate") {
            self.wrong(key.name, node, "counts failures in a row and their share; remove `failures` or `failure_rate`");
            return None;
        }
        // One of `slow_rate` alone is told what it needs by the settings' check.
        if !(has("failures") || has("failure_rate") || has("slow_call") || has("slow_rate")) {
            let advice =
                "lacks a threshold; write `breaker = { failures = 5, … }` or `breaker = { failure_rate = \"50%\", … }`";
            self.wrong(key.name, node, advice);
            return None;
        }
        let mut breaker = Breaker::WINDOWED;
        let mut is_whole = true;
        for Part { name, path, value } in parts {
            let fine = match name {
                "failures" => {
                    breaker.failures = self.count(&path, value);
                    self.noted(Field::Breaker, 0, &path, value, breaker.failures).is_some()
                }
                "failure_rate" => {
                    breaker.failure_rate = self.share(&path, value);
                    self.noted(Field::BreakerFailureRate, 0, &path, value, breaker.failure_rate).is_some()
                }
                "window" => {
                    breaker.window = self.window(&path, value);
                    self.noted(Field::BreakerWindow, 0, &path, value, breaker.window).is_some()
                }
                "min_calls" => {
                    breaker.min_calls = self.count(&path, value);
                    self.noted(Field::BreakerMinCalls, 0, &path, value, breaker.min_calls).is_some()
                }
                "slow_call" => {
                    breaker.slow_call = self.time(Field::BreakerSlowCall, &path, value);
                    breaker.slow_call.is_some()
                }
                "slow_rate" => {
                    breaker.slow_rate = self.share(&path, value);
                    self.noted(Field::BreakerSlowRate, 0, &path, value, breaker.slow_rate).is_some()
                }
                "recovery" => {
                    self.time(Field::BreakerRecovery, &path, value).map(|time| breaker.recovery = time).is_some()
                }
                "recovery_jitter" => {
                    let read = self.share(&path, value).map(|share| breaker.recovery_jitter = share);
                    self.noted(Field::BreakerRecoveryJitter, 0, &path, value, read).is_some()
                }
                "recovery_cap" => {
                    breaker.recovery_cap = self.time(Field::BreakerRecoveryCap, &path, value);
                    breaker.recovery_cap.is_some()
                }
                "successes" => {
                    let read = self.count(&path, value).map(|count| breaker.successes = count);
                    self.noted(Field::BreakerSuccesses, 0, &path, value, read).is_some()
                }
                _ => {
                    let read = self.count(&path, value).map(|count| breaker.probes = count);
                    self.noted(Field::BreakerProbes, 0, &path, value, read).is_some()
                }
            };
            is_whole &= fine;
        }
        is_whole.then_some(breaker)
    }

    fn retries(&mut self, key: &'static Key, node: &Node) -> Option<Retry> {
        let mut retry = Retry::new(0);
        let mut is_whole = true;
        let mut shape = None;
        for Part { name, path, value } in self.parts(key, key.name, node)? {
            let (field, read) = match name {
                "max" => (Field::Retries, self.count(&path, value).map(|max| retry.max = max)),
                "base" => (Field::RetriesBase, self.duration(&path, value).map(|time| retry.base = time)),
                "factor" => (Field::RetriesFactor, self.number(&path, value).map(|factor| retry.factor = factor)),
                "cap" => (Field::RetriesCap, self.duration(&path, value).map(|time| retry.cap = time)),
                "jitter" => (Field::RetriesJitter, self.jitter(&path, value).map(|jitter| retry.jitter = jitter)),
                "budget" => (Field::RetriesBudget, self.budget(&path, value).map(|budget| retry.budget = budget)),
                _ => (Field::RetriesStatuses, self.statuses(&path, value).map(|set| retry.statuses = set)),
            };
            if field != Field::Retries {
                shape = Some((path.clone(), value));
            }
            is_whole &= self.noted(field, 0, &path, value, read).is_some();
        }
        if let (true, 0, Some((path, value))) = (is_whole, retry.max, shape) {
            self.wrong(&path, value, "has no effect with no retries; write `max = 1` or more, or remove it");
            return None;
        }
        is_whole.then_some(retry)
    }

    fn switch(&mut self, path: &str, value: &Node) -> Option<bool> {
        if let Kind::Switch(switch) = value.kind {
            return Some(switch);
        }
        self.wrong(path, value, format!("is no switch; write `{path} = true` or `{path} = false`"));
        None
    }

    /// A rate or a quota.
    fn per<T>(
        &mut self,
        path: &str,
        value: &Node,
        read: fn(&str) -> Result<T, parse::Error>,
        example: &str,
    ) -> Option<T> {
        let advice = match &value.kind {
            Kind::Text(text) => match read(text) {
                Ok(item) => return Some(item),
                Err(error) => error.to_string(),
            },
            Kind::Whole(count) => format!("has no period; write `\"{count}/s\"`, `\"{count}/m\"` or `\"{count}/h\"`"),
            _ => format!("is not a text; write one such as `\"{example}\"`"),
        };
        self.wrong(path, value, advice);
        None
    }

    fn count(&mut self, path: &str, value: &Node) -> Option<u32> {
        let advice = match &value.kind {
            Kind::Whole(count) => match u32::try_from(*count) {
                Ok(count) => return Some(count),
                Err(_) if *count < 0 => "is negative; write one such as `5`".to_owned(),
                Err(_) => format!("is too large; write at most `{}`", u32::MAX),
            },
            Kind::Text(text) if text.parse::<u32>().is_ok() => format!("is a text; write `{text}`"),
            Kind::Text(text) if path == "breaker" && parse::share(text).is_ok() => {
                format!("is a share; write `breaker = {{ failure_rate = {} }}`", value.shown())
            }
            _ => "is not a whole number; write one such as `5`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    /// A duration that is noted.
    fn time(&mut self, field: Field, path: &str, value: &Node) -> Option<u64> {
        let read = self.duration(path, value);
        self.noted(field, 0, path, value, read)
    }

    fn duration(&mut self, path: &str, value: &Node) -> Option<u64> {
        let advice = match &value.kind {
            Kind::Text(text) => match parse::duration(text) {
                Ok(time) => return Some(nanos(time)),
                Err(error) => error.to_string(),
            },
            Kind::Whole(count) if *count >= 0 => format!("has no unit; write `\"{count}s\"` or `\"{count}ms\"`"),
            _ => "is not a duration; write one such as `\"250ms\"`, `\"2s\"` or `\"1m30s\"`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    fn window(&mut self, path: &str, value: &Node) -> Option<crate::breaker::Window> {
        use crate::breaker::Window;

        let advice = match &value.kind {
            Kind::Whole(calls) => match u32::try_from(*calls) {
                Ok(calls) => return Some(Window::Calls(calls)),
                Err(_) => "is outside 1..=10000 calls; write one such as `100`".to_owned(),
            },
            Kind::Text(calls) if calls.parse::<u32>().is_ok() => {
                format!("is no window; write `{calls}` for the last {calls} calls, or `\"{calls}s\"` for a time")
            }
            Kind::Text(_) => return self.duration(path, value).map(Window::Time),
            _ => "is no window; write a time such as `\"30s\"`, or a number of calls such as `100`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    fn share(&mut self, path: &str, value: &Node) -> Option<Ratio> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(text), _) => match parse::share(text) {
                Ok(share) => return Some(share),
                Err(error) => error.to_string(),
            },
            (_, Some(percent)) if percent > 1.0 && percent <= 100.0 => {
                format!("is more than all; write `\"{percent}%\"`")
            }
            (_, Some(share)) if share > 1.0 => "is more than all; write `\"0%\"` to `\"100%\"`".to_owned(),
            (_, Some(share)) if share >= 0.0 => return Some(Ratio::new(share)),
            _ => "is not a share; write one such as `\"50%\"` or `0.5`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    fn number(&mut self, path: &str, value: &Node) -> Option<Ratio> {
        match float(value) {
            Some(number) if Ratio::new(number).is_valid() => Some(Ratio::new(number)),
            Some(_) => {
                self.wrong(path, value, "is outside 1..=1000000; write one such as `2` or `1.5`");
                None
            }
            None => {
                self.wrong(path, value, "is not a number; write one such as `2` or `1.5`");
                None
            }
        }
    }

    fn jitter(&mut self, path: &str, value: &Node) -> Option<Jitter> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(name), _) => match parse::jitter(name) {
                Ok(jitter) => return Some(jitter),
                Err(error) => error.to_string(),
            },
            (_, Some(ratio)) if (0.0..=1.0).contains(&ratio) => return Some(Jitter::proportional(ratio)),
            (_, Some(_)) => "is outside 0..=1; write one such as `0.5`".to_owned(),
            _ => "is no kind of jitter; write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`"
                .to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    fn budget(&mut self, path: &str, value: &Node) -> Option<Budget> {
        let advice = match (&value.kind, float(value)) {
            (Kind::Text(text), _) => match parse::budget(text) {
                Ok(budget) => return Some(budget),
                Err(error) => error.to_string(),
            },
            (_, Some(share)) if share > 0.0 && share < 1.0 => {
                format!("is a number; write `\"{}%\"`", Ratio::from_millionths(Ratio::new(share).millionths() * 100))
            }
            _ => "is no budget; write a share such as `\"20%\"`, or `\"off\"`".to_owned(),
        };
        self.wrong(path, value, advice);
        None
    }

    fn statuses(&mut self, path: &str, value: &Node) -> Option<Statuses> {
        let Kind::List(nodes) = &value.kind else {
            let example = match value.kind {
                Kind::Whole(_) => value.shown(),
                _ => "429, \"502..=504\"".to_owned(),
            };
            self.wrong(path, value, format!("is not a list; write `[{example}]`"));
            return None;
        };
        let mut set = Statuses::NONE;
        let before = self.mistakes.len();
        // There are 500 of them.
        for (index, node) in nodes.iter().enumerate().take(1_000) {
            let advice = match range(node) {
                Some((first, last)) if first > last => "is an empty range; write the smaller status first",
                Some((first, last)) if first >= 100 && last <= 599 => {
                    set = set.with_range(first, last);
                    continue;
                }
                Some(_) => "is no HTTP status; write statuses in `100..=599`",
                None => "is not a status; write numbers and ranges, as in `[429, 500, \"502..=504\"]`",
            };
            self.wrong(&format!("{path}[{index}]"), node, advice);
            if self.mistakes.len() - before > 20 {
                break;
            }
        }
        (self.mistakes.len() == before).then_some(set)
    }
}

/// A status, or a range of them as a text.
fn range(node: &Node) -> Option<(u16, u16)> {
    match &node.kind {
        Kind::Whole(status) => {
            let status = u16::try_from(*status).unwrap_or(0);
            Some((status, status))
        }
        Kind::Text(text) => {
            let (first, last) = text.split_once("..")?;
            let (last, is_closed) = last.strip_prefix('=').map_or((last, false), |last| (last, true));
            let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
            Some((first, if is_closed { last } else { last.saturating_sub(1) }))
        }
        _ => None,
    }
}

fn float(value: &Node) -> Option<f64> {
    match value.kind {
        Kind::Whole(number) => Some(number as f64),
        Kind::Float(number) => Some(number),
        _ => None,
    }
}

/// A key as it is shown: its beginning if it is long, with what cannot be printed escaped.
fn shown(key: &str) -> String {
    let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare && !key.is_empty() && key.len() <= 60 { key.to_owned() } else { Node::text(key).shown() }
}
