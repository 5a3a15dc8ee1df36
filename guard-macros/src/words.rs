//! The policy in words, at the end of the docs of what it guards.

use std::fmt::Display;
use std::time::Duration;

use guard_spec::{Field, InWords, Jitter, Quota, Rate, Ratio, Retry, Settings};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, FnArg, Visibility};

use crate::draft::{Draft, Value};
use crate::fields::{Setter, known_settings, place};
use crate::function::Function;
use crate::tokens;

/// For a function. None for a method that has no docs and may be one of a trait's: it would hide the trait's docs.
pub(crate) fn of_function(draft: &Draft, function: &Function) -> Option<TokenStream> {
    let is_method = matches!(function.signature.inputs.first(), Some(FnArg::Receiver(_)));
    let may_be_of_a_trait = is_method && matches!(function.visibility, Visibility::Inherited);
    if may_be_of_a_trait && !has_docs(&function.attributes) {
        return None;
    }
    let head = match &draft.policy {
        Some(policy) => format!("Guarded by the policy `{}`", typed(policy)),
        None if draft.in_block => "Guarded by the policy of its `impl`".into(),
        None => "Guarded".into(),
    };
    Some(attribute(&head, &lines(draft)))
}

/// For a static that `policy!` declares.
pub(crate) fn of_policy(draft: &Draft) -> TokenStream {
    attribute("For all that use it", &lines(draft))
}

/// Only where docs are made: elsewhere lints about docs see what the user wrote. Under a heading, since the user's docs may
/// end below one of theirs.
fn attribute(head: &str, lines: &[String]) -> TokenStream {
    let text = text(head, lines);
    quote!(#[cfg_attr(doc, doc = #text)])
}

fn text(head: &str, lines: &[String]) -> String {
    let mut text = format!("\n\n# Policy\n\n{head}{}", if lines.is_empty() { "." } else { ":\n" });
    for line in lines {
        text.push_str("\n- ");
        text.push_str(line);
    }
    text
}

fn has_docs(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc"))
}

/// One line for each thing that the settings say.
fn lines(draft: &Draft) -> Vec<String> {
    let mut lines = Vec::new();
    if draft.shadow == Some(true) {
        lines.push("in shadow: it rejects, delays and retries nothing, and reports what it would do".into());
    }
    for draft in &draft.rates {
        lines.push(rate(&draft.rate, draft.burst.as_ref(), draft.max_wait.as_ref()));
    }
    for draft in &draft.quotas {
        lines.push(quota(&draft.quota, draft.max_wait.as_ref()));
    }
    if let Some(draft) = &draft.concurrency {
        lines.push(with_wait(format!("{} attempts at a time", shown(&draft.limit)), draft.max_wait.as_ref(), None));
    }
    if let Some(cost) = &draft.cost {
        lines.push(format!("an attempt takes `{}` tokens", typed(cost)));
    }
    if let Some(settle) = &draft.settle {
        lines.push(format!("and is charged what `{}` says that it has used", typed(settle)));
    }
    if let Some(key) = &draft.key {
        lines.push(format!("calls are told apart by `{}`", typed(key)));
    }
    lines.extend(retries(draft));
    if let Some(timeout) = &draft.timeout {
        lines.push(format!("the whole call takes at most {}", time(timeout)));
    }
    if let Some(timeout) = &draft.attempt_timeout {
        lines.push(format!("an attempt takes at most {}", time(timeout)));
    }
    lines.extend(
        waiting(draft).map(|longest| format!("at most {longest} are spent waiting, turns and delays together")),
    );
    lines.extend(breaker(draft));
    if let Some(fallback) = &draft.fallback {
        lines.push(format!("`{}` is called instead of returning an error", typed(fallback)));
    }
    lines
}

fn rate(rate: &Value<Rate>, burst: Option<&Value<u32>>, max_wait: Option<&Value<Duration>>) -> String {
    let mut parts = Vec::new();
    match (rate, burst) {
        (Value::Known(rate, _), Some(burst)) => {
            parts.push(format!("{} attempts per {}, {} at once", rate.count(), period(rate.period()), shown(burst)));
        }
        (Value::Known(rate, _), None) => {
            parts.push(format!("{} attempts per {}, evenly spaced", rate.count(), period(rate.period())));
        }
        (Value::Const(rate), Some(burst)) => {
            parts.push(format!("attempts at the rate `{}`, {} at once", typed(rate), shown(burst)));
        }
        (Value::Const(rate), None) => parts.push(format!("attempts at the rate `{}`", typed(rate))),
    }
    let default = rate.known().map(|rate| rate.longest_wait());
    with_wait(parts.join("; "), max_wait, default)
}

fn quota(quota: &Value<Quota>, max_wait: Option<&Value<Duration>>) -> String {
    let line = match quota {
        Value::Known(quota, _) => format!("{} attempts in any {}", quota.count(), period(quota.window())),
        Value::Const(quota) => format!("attempts within the quota `{}`", typed(quota)),
    };
    with_wait(line, max_wait, quota.known().map(|quota| quota.longest_wait()))
}

/// With the longest wait for a turn.
fn with_wait(line: String, max_wait: Option<&Value<Duration>>, default: Option<Duration>) -> String {
    match (max_wait, default) {
        (Some(Value::Known(Duration::ZERO, _)), _) => format!("{line}; none waits for its turn"),
        (Some(wait), _) => format!("{line}; at most {} are spent waiting for a turn", time(wait)),
        (None, Some(wait)) => format!("{line}; at most {} are spent waiting for a turn", in_words(wait)),
        (None, None) => line,
    }
}

/// `second` of `1s`, but `250ms`.
fn period(period: Duration) -> String {
    match period.as_secs() {
        _ if period.subsec_nanos() > 0 => in_words(period),
        1 => "second".into(),
        60 => "minute".into(),
        3_600 => "hour".into(),
        86_400 => "day".into(),
        _ => in_words(period),
    }
}

fn retries(draft: &Draft) -> Option<String> {
    let retries = draft.retries.as_ref()?;
    let Some(max) = retries.max.known() else {
        // A number, or all of it.
        return Some(format!("retries: `{}`", shown_plain(&retries.max)));
    };
    if max == 0 {
        return Some("one attempt".into());
    }
    let mut parts = vec![format!("up to {} attempts", u64::from(max) + 1)];
    let known = known_settings(draft);
    if let (Some(retry), true) = (known.retry(), all_known(draft, &RETRY)) {
        // As many as fit into a line.
        let delays: Vec<_> = (1..=max.min(4)).map(|attempt| in_words(delay(retry, attempt))).collect();
        let more = if max > 4 { ", …" } else { "" };
        let random = match retry.randomness() {
            Jitter::Proportional(share) if share.millionths() > 0 => {
                format!(" and up to {} % more", share.millionths() / 10_000)
            }
            Jitter::Full => " or any part of it".into(),
            Jitter::Equal => " or down to half of it".into(),
            Jitter::Decorrelated => " at least, at random up to three times the delay before".into(),
            _ => String::new(),
        };
        let plural = if max == 1 { "a delay" } else { "delays" };
        parts.push(format!("{plural} of {}{more}{random}", delays.join(", ")));
        parts.push(format!("up to {} where the server asks for it", in_words(retry.longest_delay())));
    }
    Some(parts.join("; "))
}

/// The delay before retry `n` without its jitter.
fn delay(retry: &Retry, n: u32) -> Duration {
    let growth = (f64::from(u32::try_from(retry.growth().millionths()).unwrap_or(u32::MAX)) / 1e6)
        .powi(i32::try_from(n - 1).unwrap_or(i32::MAX));
    let nanos = retry.first_delay().as_nanos() as f64 * growth;
    // Rounded to what reads well.
    let cap = retry.longest_delay();
    if nanos >= cap.as_nanos() as f64 { cap } else { Duration::from_millis((nanos / 1e6).round() as u64) }
}

const RETRY: [Field; 5] =
    [Field::Retries, Field::RetriesBase, Field::RetriesFactor, Field::RetriesCap, Field::RetriesJitter];
const WAITING: [Field; 7] = [
    Field::Rate,
    Field::RateMaxWait,
    Field::Quota,
    Field::QuotaMaxWait,
    Field::ConcurrencyMaxWait,
    Field::Retries,
    Field::RetriesCap,
];

fn all_known(draft: &Draft, fields: &[Field]) -> bool {
    let places = fields.iter().flat_map(|field| (0..Settings::MOST_LIMITS).map(|index| place(draft, *field, index)));
    !places.flatten().any(|place| matches!(place, Setter::Const(_)))
}

/// The longest that a call can spend waiting, as far as it is known here.
fn waiting(draft: &Draft) -> Option<String> {
    let retries = draft.retries.as_ref().map_or(Some(0), |retries| retries.max.known());
    let timeout = match &draft.timeout {
        None => None,
        Some(Value::Known(timeout, _)) => Some(*timeout),
        Some(Value::Const(timeout)) => return Some(format!("`{}`", typed(timeout))),
    };
    let known = known_settings(draft);
    let longest = if draft.policy.is_none() && all_known(draft, &WAITING) {
        let retries = retries?;
        let has_limit = known.rates().next().is_some() || known.has_more_limits();
        let turn = if has_limit { Duration::from_nanos(known.patience()) } else { Duration::ZERO };
        let delay = known.retry().map(Retry::longest_delay).unwrap_or_default();
        Some(turn.saturating_mul(retries.saturating_add(1)).saturating_add(delay.saturating_mul(retries)))
    } else {
        None
    };
    // Only half of the time that is left is spent waiting for a turn.
    let timeout = if retries == Some(0) { timeout.map(|timeout| timeout / 2) } else { timeout };
    let bound = [longest, timeout].into_iter().flatten().min()?;
    (!bound.is_zero()).then(|| in_words(bound))
}

fn breaker(draft: &Draft) -> Option<String> {
    let draft = draft.breaker.as_ref()?;
    if let Some(Value::Const(failures)) = &draft.failures {
        // A number, or all of it.
        return Some(format!("breaker: `{}`", typed(failures)));
    }
    // What is not said is as the settings have it.
    let known = draft.known();
    let window = || match &draft.window {
        Some(Value::Const(window)) => format!("of the attempts in the window `{}`", typed(window)),
        _ => match (known.window_size(), known.window_time()) {
            (Some(calls), _) => format!("of the last {calls} attempts"),
            (None, time) => format!("of the attempts in {}", in_words(time.unwrap_or_default())),
        },
    };
    let trips = if let Some(failures) = &draft.failures {
        format!("after {} failed attempts in a row", shown(failures))
    } else {
        let mut reasons = Vec::new();
        if let Some(rate) = &draft.failure_rate {
            reasons.push(format!("{} {} have failed", share(rate), window()));
        }
        if let Some(slow) = &draft.slow_call {
            let rate =
                draft.slow_rate.as_ref().map_or_else(|| percent(known.slow_share().unwrap_or(Ratio::ONE)), share);
            let of = if reasons.is_empty() { format!(" {}", window()) } else { String::new() };
            reasons.push(format!("{rate}{of} took at least {}", time(slow)));
        }
        let least = draft.min_calls.as_ref().map_or_else(|| known.least_calls().to_string(), shown);
        format!("when {}, of at least {least},", reasons.join(" or "))
    };
    let recovery = draft.recovery.as_ref().map_or_else(|| in_words(known.recovery_time()), time);
    let growth = draft.recovery_cap.as_ref().map(|cap| format!(" growing to {}", time(cap))).unwrap_or_default();
    let random = match &draft.recovery_jitter {
        Some(Value::Known(Ratio::ZERO, _)) => String::new(),
        Some(jitter) => format!(" and up to {} more", share(jitter)),
        None => format!(" and up to {} more", percent(known.recovery_randomness())),
    };
    let successes = draft.successes.as_ref().map_or_else(|| known.success_threshold().to_string(), shown);
    Some(format!(
        "{trips} none is made for {recovery}{growth}{random}; then {successes} good probes let all through again"
    ))
}

fn percent(share: Ratio) -> String {
    format!("{} %", Ratio::from_millionths(share.millionths().saturating_mul(100)))
}

fn share(value: &Value<Ratio>) -> String {
    match value {
        Value::Known(share, _) => percent(*share),
        Value::Const(value) => format!("`{}`", typed(value)),
    }
}

/// What lasts for years is told in days.
fn in_words(time: Duration) -> String {
    let days = time.as_secs() / 86_400;
    if days > 365 { format!("{days}d") } else { InWords::duration(time).to_string() }
}

fn time(value: &Value<Duration>) -> String {
    match value {
        Value::Known(time, _) => in_words(*time),
        Value::Const(value) => format!("`{}`", typed(value)),
    }
}

fn shown<T: Display + Copy>(value: &Value<T>) -> String {
    match value {
        Value::Known(value, _) => value.to_string(),
        Value::Const(_) => format!("`{}`", shown_plain(value)),
    }
}

fn shown_plain<T: Display + Copy>(value: &Value<T>) -> String {
    match value {
        Value::Known(value, _) => value.to_string(),
        Value::Const(value) => typed(value),
    }
}

/// An expression as it was typed, as near as tokens tell, in one line of code.
fn typed(value: &Expr) -> String {
    // Code in backticks cannot hold a backtick or a line's end.
    tokens::typed(value).replace(['`', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Diagnostics;

    fn of(settings: &str) -> Vec<String> {
        let mut diag = Diagnostics::default();
        let draft = crate::parse::attribute(settings.parse().unwrap(), crate::check::Place::Function, &mut diag);
        assert!(diag.is_empty(), "{settings}");
        lines(&draft)
    }

    #[test]
    fn a_policy_is_told_in_lines() {
        assert_eq!(
            of("rate(\"100/s\", burst = 20), retries = 3, breaker = 5, timeout = \"10s\", fallback = shop::cached"),
            [
                "100 attempts per second, 20 at once; at most 30s are spent waiting for a turn",
                "up to 4 attempts; delays of 1s, 2s, 4s and up to 50 % more; up to 1m where the server asks for it",
                "the whole call takes at most 10s",
                "at most 10s are spent waiting, turns and delays together",
                "after 5 failed attempts in a row none is made for 1m and up to 10 % more; then 2 good probes let all through again",
                "`shop::cached` is called instead of returning an error",
            ]
        );
    }

    #[test]
    fn the_longest_wait_is_the_sum_of_all_turns_and_delays() {
        let longest = |settings| {
            of(settings).into_iter().find_map(|line| {
                Some(
                    line.strip_prefix("at most ")?
                        .strip_suffix(" are spent waiting, turns and delays together")?
                        .to_owned(),
                )
            })
        };
        // Four turns of 2 s and three delays of 10 s.
        assert_eq!(longest("rate(\"1/s\", max_wait = \"2s\"), retries(3, cap = \"10s\")").unwrap(), "38s");
        assert_eq!(longest("rate = \"1/s\"").unwrap(), "30s");
        // A single attempt has half of the timeout for its turn.
        assert_eq!(longest("rate = \"1/s\", timeout = \"10s\"").unwrap(), "5s");
        assert_eq!(longest("rate = LIMIT, retries = 3, timeout = \"10s\"").unwrap(), "10s");
        assert_eq!(longest("rate(\"1/s\", max_wait = \"0s\"), breaker = 5"), None);
        assert_eq!(longest("rate = LIMIT, retries = 3"), None, "not known here");
        assert_eq!(longest("retries = 4000000000").unwrap(), "2777777d", "no overflow");
    }

    #[test]
    fn a_breaker_with_a_window_is_told_by_what_opens_it() {
        assert_eq!(
            of("breaker(failure_rate = \"50%\", slow_call = \"2s\", recovery_cap = \"10m\", recovery_jitter = 0)"),
            [
                "when 50 % of the attempts in 30s have failed or 80 % took at least 2s, of at least 20, none is made for 1m \
              growing to 10m; then 2 good probes let all through again"
            ]
        );
        assert_eq!(
            of("breaker(slow_call = SLOW, slow_rate = 0.999, window = 10, min_calls = N, recovery_jitter = J)"),
            [
                "when 99.9 % of the last 10 attempts took at least `SLOW`, of at least `N`, none is made for 1m and up to \
              `J` more; then 2 good probes let all through again"
            ]
        );
        assert_eq!(
            of("breaker(failure_rate = RATE, window = WINDOW)"),
            [
                "when `RATE` of the attempts in the window `WINDOW` have failed, of at least 20, none is made for 1m and up \
              to 10 % more; then 2 good probes let all through again"
            ]
        );
    }

    #[test]
    fn constants_are_told_by_their_names() {
        assert_eq!(
            of("rate(LIMITS.search, max_wait = PATIENCE), retries = N, breaker(5, recovery = Duration::from_secs(5))"),
            [
                "attempts at the rate `LIMITS.search`; at most `PATIENCE` are spent waiting for a turn",
                "retries: `N`",
                "after 5 failed attempts in a row none is made for `Duration::from_secs(5)` and up to 10 % more; then 2 good probes let all through again",
            ]
        );
    }
}
