//! Settings of any kind: what is wrong with them is said, what is sound makes a policy and is the same after it was written and read.

use std::collections::BTreeMap;

use apiguard::config::Config;
use apiguard::{Breaker, Budget, Concurrency, Jitter, Policy, Quota, Rate, Ratio, Retry, Settings, Statuses};

use crate::choices::Choices;
use crate::driver::Seen;

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let settings = any(&mut choices);
    let problems = settings.problems();
    assert_eq!(problems.is_empty(), settings.validate().is_ok());
    for problem in problems.iter() {
        let text = problem.to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
        seen.mark((problem.field().name(), problem.index()));
        seen.mark_message(&text);
    }
    let shown = settings.to_string();
    assert!(!shown.is_empty() && !shown.contains('\n'), "{shown:?}");
    let policy = Policy::builder("p").settings(settings).build();
    assert_eq!(policy.is_ok(), problems.is_empty(), "{shown}");
    let written = serde_json::to_string(&settings);
    assert_eq!(written.is_ok(), problems.is_empty(), "{shown}");
    let (Ok(policy), Ok(written)) = (policy, written) else { return };
    assert_eq!(policy.settings(), settings);
    // Of no retries nothing else is written: in a file it would be a mistake.
    let settings = match settings.retry() {
        Some(retry) if retry.max() == 0 => settings.retries(Retry::new(0)),
        _ => settings,
    };
    seen.mark(written.split(['"', ':', '{', '}', '[', ']', ',']).filter(|word| word.len() > 3).count());
    assert_eq!(serde_json::from_str::<Settings>(&written).ok(), Some(settings), "{written}");
    in_a_file(settings);
}

/// As a configuration in TOML.
fn in_a_file(settings: Settings) {
    let file = BTreeMap::from([("policies", BTreeMap::from([("a.b", settings)]))]);
    let text = toml::to_string(&file).expect("sound settings are written");
    let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(config.settings("a.b", Settings::new()).ok(), Some(settings), "{text}");
    assert_eq!(config.settings("other", settings).ok(), Some(settings), "nothing is said of another policy");
}

/// Any settings, sound or not.
pub(crate) fn any(choices: &mut Choices<'_>) -> Settings {
    let mut settings = Settings::new();
    for _ in 0..rarely_many(choices) {
        settings = settings.and_rate(rate(choices));
    }
    for _ in 0..rarely_many(choices) {
        settings = settings.and_quota(quota(choices));
    }
    if choices.one_in(2) {
        settings = settings.concurrency(concurrency(choices));
    }
    if choices.one_in(2) {
        settings = settings.breaker(breaker(choices));
    }
    if choices.one_in(2) {
        settings = settings.retries(retry(choices));
    }
    if choices.one_in(3) {
        settings = settings.timeout(choices.duration());
    }
    if choices.one_in(3) {
        settings = settings.attempt_timeout(choices.duration());
    }
    if choices.one_in(4) {
        settings = settings.max_pause(choices.duration());
    }
    if choices.one_in(4) {
        settings = settings.abandoned(choices.duration());
    }
    settings.shadow(choices.one_in(16))
}

/// Those of [`any`] that are sound: what is wrong is left out.
pub(crate) fn sound(choices: &mut Choices<'_>) -> Settings {
    let mut settings = any(choices);
    while let Some(problem) = settings.problems().first() {
        settings = without(&settings, problem.field().name());
    }
    settings
}

fn without(settings: &Settings, field: &str) -> Settings {
    let key = field.split('.').next().unwrap_or_default();
    let mut left = Settings::new().shadow(settings.is_shadow());
    let keeps = |name: &str| name != key;
    if keeps("rate") {
        left = settings.rates().fold(left, |left, rate| left.and_rate(*rate));
    }
    if keeps("quota") {
        left = settings.quotas().fold(left, |left, quota| left.and_quota(*quota));
    }
    if let Some(concurrency) = settings.concurrency_limit().filter(|_| keeps("concurrency")) {
        left = left.concurrency(*concurrency);
    }
    if let Some(breaker) = settings.circuit_breaker().filter(|_| keeps("breaker")) {
        left = left.breaker(*breaker);
    }
    if let Some(retry) = settings.retry().filter(|_| keeps("retries")) {
        left = left.retries(*retry);
    }
    if let Some(timeout) = settings.call_timeout().filter(|_| keeps("timeout")) {
        left = left.timeout(timeout);
    }
    if let Some(timeout) = settings.single_attempt_timeout().filter(|_| keeps("attempt_timeout")) {
        left = left.attempt_timeout(timeout);
    }
    if keeps("max_pause") {
        left = left.max_pause(settings.longest_pause());
    }
    if keeps("abandoned") {
        left = left.abandoned(settings.abandoned_after());
    }
    left
}

fn rarely_many(choices: &mut Choices<'_>) -> u8 {
    match choices.byte() {
        0..100 => 0,
        100..200 => 1,
        200..240 => 2,
        more => more - 238,
    }
    .min(6)
}

pub(crate) fn rate(choices: &mut Choices<'_>) -> Rate {
    let mut rate = Rate::new(choices.count(), choices.duration());
    if choices.one_in(2) {
        rate = rate.burst(choices.count());
    }
    if choices.one_in(2) {
        rate = rate.max_wait(choices.duration());
    }
    rate
}

pub(crate) fn quota(choices: &mut Choices<'_>) -> Quota {
    let quota = Quota::new(choices.count(), choices.duration());
    if choices.one_in(2) { quota.max_wait(choices.duration()) } else { quota }
}

fn concurrency(choices: &mut Choices<'_>) -> Concurrency {
    let concurrency = Concurrency::new(choices.count());
    if choices.one_in(2) { concurrency.max_wait(choices.duration()) } else { concurrency }
}

pub(crate) fn breaker(choices: &mut Choices<'_>) -> Breaker {
    let mut breaker = match choices.below(4) {
        0 | 1 => Breaker::consecutive(choices.count()),
        2 => Breaker::failure_rate(choices.float()),
        _ => Breaker::slow_calls(choices.duration()),
    };
    for _ in 0..choices.below(6) {
        breaker = match choices.below(10) {
            0 => breaker.window(choices.duration()),
            1 => breaker.window_calls(choices.count()),
            2 => breaker.min_calls(choices.count()),
            3 => breaker.slow_call(choices.duration()),
            4 => breaker.slow_rate(choices.float()),
            5 => breaker.recovery(choices.duration()),
            6 => breaker.recovery_jitter(choices.float()),
            7 => breaker.recovery_cap(choices.duration()),
            8 => breaker.successes(choices.count()),
            _ => breaker.probes(choices.count()),
        };
    }
    breaker
}

pub(crate) fn retry(choices: &mut Choices<'_>) -> Retry {
    let mut retry = Retry::new(choices.count());
    for _ in 0..choices.below(6) {
        retry = match choices.below(6) {
            0 => retry.base(choices.duration()),
            1 => retry.factor(choices.float()),
            2 => retry.cap(choices.duration()),
            3 => {
                let any = Jitter::proportional(choices.float());
                retry.jitter(choices.one_of(&[any, Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None]))
            }
            4 => {
                let any = Budget::Share(Ratio::new(choices.float()));
                retry.budget(choices.one_of(&[any, Budget::Off, Budget::percent(100), Budget::percent(1)]))
            }
            _ => {
                let (first, last) = (choices.count() as u16, choices.count() as u16);
                retry.statuses(Statuses::RETRIED.with(first).with_range(last, last.saturating_add(3)))
            }
        };
    }
    retry
}
