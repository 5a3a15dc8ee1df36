//! Settings -> nodes, in the shortest form that reads back as the same settings.

use super::node::{Entry, Kind, Node};
use crate::breaker::Window;
use crate::text::InWords;
use crate::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Ratio, Retry, Settings, Statuses};

/// The keys that are set.
pub(super) fn entries(settings: &Settings) -> Vec<Entry> {
    let mut table = Table::default();
    table.maybe("rate", list(settings.rates().map(rate)));
    table.maybe("quota", list(settings.quotas().map(quota)));
    table.maybe("concurrency", settings.concurrency.as_ref().map(concurrency));
    table.maybe("breaker", settings.breaker.as_ref().map(breaker));
    table.maybe("retries", settings.retries.as_ref().map(retries));
    table.maybe("timeout", settings.timeout.map(time));
    table.maybe("attempt_timeout", settings.attempt_timeout.map(time));
    table.maybe("max_pause", differs(settings.max_pause, Settings::new().max_pause).map(time));
    table.maybe("abandoned", differs(settings.abandoned, Settings::new().abandoned).map(time));
    table.maybe("shadow", differs(settings.shadow, false).map(|shadow| Kind::Switch(shadow).into()));
    table.0
}

pub(super) fn settings(settings: &Settings) -> Node {
    Kind::Table(entries(settings)).into()
}

#[derive(Default)]
struct Table(Vec<Entry>);

impl Table {
    fn with(key: &str, value: Node) -> Table {
        let mut table = Table::default();
        table.maybe(key, Some(value));
        table
    }

    fn maybe(&mut self, key: &str, value: Option<Node>) {
        self.0.extend(value.map(|value| Entry { key: key.to_owned(), at: None, value }));
    }

    /// Its first value alone, if that says everything.
    fn short(mut self) -> Node {
        match (self.0.len(), self.0.pop()) {
            (1, Some(first)) => first.value,
            (_, last) => {
                self.0.extend(last);
                Kind::Table(self.0).into()
            }
        }
    }
}

fn list(nodes: impl Iterator<Item = Node>) -> Option<Node> {
    let mut nodes: Vec<_> = nodes.collect();
    if nodes.len() > 1 { Some(Kind::List(nodes).into()) } else { nodes.pop() }
}

fn differs<T: Copy + PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

fn time(nanos: u64) -> Node {
    Node::text(InWords::nanos(nanos))
}

fn share(ratio: Ratio) -> Node {
    // At most 10^12 millionths.
    Node::text(format_args!("{}%", Ratio::from_millionths(ratio.millionths() * 100)))
}

fn number(ratio: Ratio) -> Node {
    let millionths = ratio.millionths();
    if millionths % 1_000_000 == 0 {
        Kind::Whole((millionths / 1_000_000).into()).into()
    } else {
        // Exact in an `f64`, and read back to the same millionth.
        Kind::Float(millionths as f64 / 1e6).into()
    }
}

pub(super) fn rate(rate: &Rate) -> Node {
    let unset = Rate::per_second(1);
    let mut table = Table::with("rate", Node::text(InWords::rate(rate.count, rate.per)));
    table.maybe("burst", differs(rate.burst, unset.burst).map(Node::whole));
    table.maybe("max_wait", differs(rate.max_wait, unset.max_wait).map(time));
    table.short()
}

pub(super) fn quota(quota: &Quota) -> Node {
    let mut table = Table::with("quota", Node::text(InWords::rate(quota.count, quota.window)));
    table.maybe("max_wait", differs(quota.max_wait, Quota::per_second(1).max_wait).map(time));
    table.short()
}

pub(super) fn concurrency(concurrency: &Concurrency) -> Node {
    let mut table = Table::with("limit", Node::whole(concurrency.limit));
    table.maybe("max_wait", differs(concurrency.max_wait, Concurrency::new(1).max_wait).map(time));
    table.short()
}

pub(super) fn breaker(breaker: &Breaker) -> Node {
    let unset = Breaker::consecutive(1);
    let mut table = Table::default();
    table.maybe("failures", breaker.failures.map(Node::whole));
    table.maybe("failure_rate", breaker.failure_rate.map(share));
    table.maybe(
        "window",
        breaker.window.map(|window| match window {
            Window::Time(nanos) => time(nanos),
            Window::Calls(calls) => Node::whole(calls),
        }),
    );
    table.maybe("min_calls", breaker.min_calls.map(Node::whole));
    table.maybe("slow_call", breaker.slow_call.map(time));
    table.maybe("slow_rate", breaker.slow_rate.map(share));
    table.maybe("recovery", differs(breaker.recovery, unset.recovery).map(time));
    table.maybe("recovery_jitter", differs(breaker.recovery_jitter, unset.recovery_jitter).map(share));
    table.maybe("recovery_cap", breaker.recovery_cap.map(time));
    table.maybe("successes", differs(breaker.successes, unset.successes).map(Node::whole));
    table.maybe("probes", differs(breaker.probes, unset.probes).map(Node::whole));
    // The value alone is a number of failures.
    if breaker.failures.is_some() { table.short() } else { Kind::Table(table.0).into() }
}

pub(super) fn retries(retry: &Retry) -> Node {
    let unset = Retry::new(0);
    let mut table = Table::with("max", Node::whole(retry.max));
    if retry.max == 0 {
        // The rest has no effect, and would be a mistake.
        return table.short();
    }
    table.maybe("base", differs(retry.base, unset.base).map(time));
    table.maybe("factor", differs(retry.factor, unset.factor).map(number));
    table.maybe("cap", differs(retry.cap, unset.cap).map(time));
    table.maybe("jitter", differs(retry.jitter, unset.jitter).map(jitter));
    table.maybe("budget", differs(retry.budget, unset.budget).map(budget));
    table.maybe("statuses", differs(retry.statuses, unset.statuses).map(|set| statuses(&set)));
    table.short()
}

fn jitter(jitter: Jitter) -> Node {
    match jitter {
        Jitter::Proportional(ratio) => number(ratio),
        other => Node::text(other),
    }
}

fn budget(budget: Budget) -> Node {
    match budget {
        Budget::Share(ratio) => share(ratio),
        Budget::Off => Node::text("off"),
    }
}

/// Neighbours as ranges: `[429, 500, "502..=504"]`.
fn statuses(set: &Statuses) -> Node {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for status in set.iter() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == status => *last = status,
            _ => runs.push((status, status)),
        }
    }
    let one = |(first, last): (u16, u16)| {
        if first == last { Node::whole(first.into()) } else { Node::text(format_args!("{first}..={last}")) }
    };
    Kind::List(runs.into_iter().map(one).collect()).into()
}
