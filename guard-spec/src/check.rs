//! What can be wrong with settings: one list of checks for the attribute, constants and run time.
//!
//! The checks are `const`, so that a constant out of range is a compile error; a [`Problem`] carries the field and the
//! value as data, so that each reader (macro, configuration, `const` panic) points at what was written.

use crate::breaker::Window;
use crate::problem::{Field, InvalidSettings, Problem, Problems, Value};
use crate::{Breaker, Budget, Concurrency, Jitter, LONGEST, Quota, Rate, Ratio, Retry, Settings};

const MS: u64 = 1_000_000;
const LONGEST_NANOS: u64 = LONGEST.as_nanos() as u64;

impl Settings {
    /// Everything that is wrong with these settings, each with the field it belongs to.
    pub const fn problems(&self) -> Problems {
        let mut found = Problems::none();
        while found.index < Settings::MOST_LIMITS {
            if let Some(rate) = self.rates.get(found.index) {
                check_rate(rate, &mut found);
            }
            found.index += 1;
        }
        if self.rates.given() > Settings::MOST_LIMITS {
            found.add(Field::Rate, Value::Count(self.rates.given() as u64), TOO_MANY);
        }
        found.index = 0;
        while found.index < Settings::MOST_LIMITS {
            if let Some(quota) = self.quotas.get(found.index) {
                check_quota(quota, &mut found);
            }
            found.index += 1;
        }
        if self.quotas.given() > Settings::MOST_LIMITS {
            found.add(Field::Quota, Value::Count(self.quotas.given() as u64), TOO_MANY);
        }
        found.index = 0;
        if let Some(concurrency) = &self.concurrency {
            check_concurrency(concurrency, &mut found);
        }
        if let Some(breaker) = &self.breaker {
            check_breaker(breaker, &mut found);
        }
        if let Some(retry) = &self.retries {
            check_retry(retry, &mut found);
        }
        check_timeouts(self, &mut found);
        if self.max_pause > LONGEST_NANOS {
            found.add(Field::MaxPause, Value::Nanos(self.max_pause), "is too long; write at most `365d`");
        }
        if self.abandoned < MS {
            found.add(Field::Abandoned, Value::Nanos(self.abandoned), "is too short; write at least `1ms`");
        } else if self.abandoned > LONGEST_NANOS {
            found.add(Field::Abandoned, Value::Nanos(self.abandoned), "is too long; write at most `365d`");
        }
        found
    }

    /// Whether these settings can be used.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let problems: Vec<_> = self.problems().iter().collect();
        if problems.is_empty() { Ok(()) } else { Err(InvalidSettings(problems)) }
    }

    /// The same settings, for a `const` that must be right.
    ///
    /// # Panics
    /// When something is wrong with them. In a `const` that is a compile error.
    #[track_caller]
    pub const fn checked(self) -> Settings {
        if let Some(problem) = self.problems().first() {
            reject(&problem);
        }
        self
    }

    /// As [`checked`](Settings::checked), for one setting of a `const` alone: so each is reported where it stands.
    ///
    /// # Panics
    /// When something is wrong with this setting.
    #[doc(hidden)]
    #[track_caller]
    pub const fn check(&self, field: Field, index: usize) {
        let problems = self.problems();
        let mut at = 0;
        while at < problems.len {
            if let Some(problem) = &problems.list[at] {
                if problem.field as u8 == field as u8 && problem.index == index {
                    reject(problem);
                }
            }
            at += 1;
        }
    }
}

#[allow(clippy::panic)] // what `checked` documents
#[track_caller]
const fn reject(problem: &Problem) -> ! {
    // `const` panics take one string: the name and the advice are joined by hand.
    let mut text = [0; 256];
    let mut len = 0;
    len = append(&mut text, len, "`");
    len = append(&mut text, len, problem.field.name());
    len = append(&mut text, len, "` ");
    len = append(&mut text, len, problem.advice);
    match core::str::from_utf8(text.split_at(len).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("{}", problem.advice),
    }
}

const fn append(text: &mut [u8; 256], mut len: usize, part: &str) -> usize {
    let part = part.as_bytes();
    let mut index = 0;
    while index < part.len() && len < text.len() {
        text[len] = part[index];
        len += 1;
        index += 1;
    }
    len
}

const fn check_rate(rate: &Rate, found: &mut Problems) {
    let value = Value::Rate(rate.count, rate.per);
    let before = found.len();
    if rate.count == 0 {
        found.add(Field::Rate, value, "never admits a call; write at least `1/s`");
    } else if rate.per == 0 {
        found.add(Field::Rate, value, "has a period of nothing; write `1/s` or a longer period");
    } else if rate.per > LONGEST_NANOS {
        found.add(Field::Rate, value, "has a period of over `365d`; write a shorter one");
    } else if rate.count as u64 > rate.per {
        found.add(Field::Rate, value, "is more than one attempt in a nanosecond; write at most `1000000000/s`");
    }
    let burst = Value::Count(rate.burst as u64);
    if rate.burst == 0 {
        found.add(Field::RateBurst, burst, "admits nothing; write at least `1`");
    } else if found.len() == before
        && rate.burst as u128 * rate.per as u128 > LONGEST_NANOS as u128 * rate.count as u128
    {
        found.add(Field::RateBurst, burst, "takes the rate over `365d` to refill; write a smaller one");
    }
    check_max_wait(Field::RateMaxWait, rate.max_wait, found);
}

const TOO_MANY: &str = "are too many limits of one kind; write at most 4";

const fn check_quota(quota: &Quota, found: &mut Problems) {
    let value = Value::Rate(quota.count, quota.window);
    if quota.count == 0 {
        found.add(Field::Quota, value, "never admits a call; write at least `1/s`");
    } else if quota.window < MS {
        found.add(Field::Quota, value, "has a window that is too short; write one of at least `1ms`");
    } else if quota.window > LONGEST_NANOS {
        found.add(Field::Quota, value, "has a window of over `365d`; write a shorter one");
    }
    check_max_wait(Field::QuotaMaxWait, quota.max_wait, found);
}

const fn check_concurrency(concurrency: &Concurrency, found: &mut Problems) {
    if concurrency.limit == 0 {
        found.add(Field::Concurrency, Value::Count(0), "never admits a call; write at least `1`");
    }
    check_max_wait(Field::ConcurrencyMaxWait, concurrency.max_wait, found);
}

const fn check_max_wait(field: Field, max_wait: u64, found: &mut Problems) {
    if max_wait > LONGEST_NANOS {
        found.add(field, Value::Nanos(max_wait), "is too long; write at most `365d`");
    }
}

const fn check_breaker(breaker: &Breaker, found: &mut Problems) {
    match breaker.failures {
        Some(0) => {
            found.add(Field::Breaker, Value::Count(0), "would open before the first failure; write at least `1`");
        }
        Some(_) => {}
        None => check_window(breaker, found),
    }
    if breaker.failures.is_some() {
        check_no_window(breaker, found);
    }
    check_duration(Field::BreakerRecovery, breaker.recovery, found);
    if !breaker.recovery_jitter.is_valid() || breaker.recovery_jitter.millionths() > 1_000_000 {
        found.add(
            Field::BreakerRecoveryJitter,
            Value::Ratio(breaker.recovery_jitter),
            "is outside 0..=1; write `0.1` to add up to a tenth of the `recovery`",
        );
    }
    if let Some(cap) = breaker.recovery_cap {
        let value = Value::Nanos(cap);
        if cap > LONGEST_NANOS {
            found.add(Field::BreakerRecoveryCap, value, "is too long; write at most `365d`");
        } else if cap < breaker.recovery {
            found.add(
                Field::BreakerRecoveryCap,
                value,
                "is shorter than `recovery`; write at least the `recovery` (default `60s`), or lower it",
            );
        }
    }
    check_count(Field::BreakerSuccesses, breaker.successes, "would never close; write at least `1`", found);
    check_count(
        Field::BreakerProbes,
        breaker.probes,
        "lets no probe through, so it would never close; write at least `1`",
        found,
    );
}

const SHORTEST_WINDOW: u64 = 1_000 * MS;
const LONGEST_WINDOW: u64 = 86_400_000 * MS;
const MOST_WINDOW_CALLS: u32 = 10_000;

/// What a breaker's window may be.
const fn check_window(breaker: &Breaker, found: &mut Problems) {
    if let Some(rate) = breaker.failure_rate {
        check_share(Field::BreakerFailureRate, rate, found);
    }
    match breaker.window {
        Some(Window::Time(nanos)) if nanos < SHORTEST_WINDOW || nanos > LONGEST_WINDOW => {
            found.add(Field::BreakerWindow, Value::Nanos(nanos), "is outside `1s` to `1d`; write one such as `30s`");
        }
        Some(Window::Calls(calls)) if calls == 0 || calls > MOST_WINDOW_CALLS => {
            let value = Value::Count(calls as u64);
            found.add(Field::BreakerWindow, value, "is outside 1..=10000 calls; write one such as `100`");
        }
        _ => {}
    }
    match (breaker.min_calls, breaker.window) {
        (Some(0), _) => {
            found.add(Field::BreakerMinCalls, Value::Count(0), "would judge by no call; write at least `1`");
        }
        (Some(calls), Some(Window::Calls(window))) if calls > window && window > 0 => found.add(
            Field::BreakerMinCalls,
            Value::Count(calls as u64),
            "is more than the `window` holds, so it would never open; write at most the `window`",
        ),
        _ => {}
    }
    if let Some(slow) = breaker.slow_call {
        check_duration(Field::BreakerSlowCall, slow, found);
    }
    match (breaker.slow_rate, breaker.slow_call) {
        (Some(rate), None) => found.add(
            Field::BreakerSlowRate,
            Value::Ratio(rate),
            "has no effect without `slow_call`; write from when on a call is slow, as in `slow_call = \"2s\"`",
        ),
        (Some(rate), Some(_)) => check_share(Field::BreakerSlowRate, rate, found),
        _ => {}
    }
}

const NO_WINDOW: &str = "does not go with failures in a row; take a `failure_rate` instead of them, or remove this";

/// A breaker that counts failures in a row has no window.
const fn check_no_window(breaker: &Breaker, found: &mut Problems) {
    match breaker.window {
        Some(Window::Time(nanos)) => found.add(Field::BreakerWindow, Value::Nanos(nanos), NO_WINDOW),
        Some(Window::Calls(calls)) => found.add(Field::BreakerWindow, Value::Count(calls as u64), NO_WINDOW),
        None => {}
    }
    if let Some(calls) = breaker.min_calls {
        found.add(Field::BreakerMinCalls, Value::Count(calls as u64), NO_WINDOW);
    }
    if let Some(slow) = breaker.slow_call {
        found.add(Field::BreakerSlowCall, Value::Nanos(slow), NO_WINDOW);
    }
    if let Some(rate) = breaker.slow_rate {
        found.add(Field::BreakerSlowRate, Value::Ratio(rate), NO_WINDOW);
    }
}

/// A share that opens a breaker.
const fn check_share(field: Field, share: Ratio, found: &mut Problems) {
    if share.is_valid() && share.millionths() == 0 {
        found.add(field, Value::Ratio(share), "would open without one such call; write a share above 0, such as `50%`");
    } else if !share.is_valid() || share.millionths() > 1_000_000 {
        found.add(field, Value::Ratio(share), "is outside 0..=1; write a share such as `0.5` or `50%`");
    }
}

const fn check_retry(retry: &Retry, found: &mut Problems) {
    check_duration(Field::RetriesBase, retry.base, found);
    check_duration(Field::RetriesCap, retry.cap, found);
    if retry.base > retry.cap && retry.cap >= MS {
        found.add(
            Field::RetriesBase,
            Value::Nanos(retry.base),
            "is longer than `cap`; write at most the `cap` (default `60s`), or raise it",
        );
    }
    if !retry.factor.is_valid() || retry.factor.millionths() < 1_000_000 {
        found.add(
            Field::RetriesFactor,
            Value::Ratio(retry.factor),
            "is outside 1..=1000000; write `2` to double each delay, or `1` to keep it",
        );
    }
    if let Jitter::Proportional(ratio) = retry.jitter {
        if !ratio.is_valid() || ratio.millionths() > 1_000_000 {
            found.add(
                Field::RetriesJitter,
                Value::Ratio(ratio),
                "is outside 0..=1; write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`",
            );
        }
    }
    if let Budget::Share(ratio) = retry.budget {
        if ratio.millionths() == 0 || ratio.millionths() > 1_000_000 {
            found.add(
                Field::RetriesBudget,
                Value::Ratio(ratio),
                "is outside 0..=1, or nothing; write `\"20%\"`, or `\"off\"` for no budget",
            );
        }
    }
    if retry.statuses.unknown != 0 {
        let status = if retry.statuses.unknown == u16::MAX { 0 } else { retry.statuses.unknown };
        found.add(Field::RetriesStatuses, Value::Count(status as u64), "is no HTTP status; write one in `100..=599`");
    }
}

const fn check_timeouts(settings: &Settings, found: &mut Problems) {
    if let Some(timeout) = settings.timeout {
        check_duration(Field::Timeout, timeout, found);
        if let Some(retry) = &settings.retries {
            if retry.max > 0 && timeout >= MS && retry.base <= retry.cap && shortest_first_delay(retry) >= timeout {
                found.add(
                    Field::Timeout,
                    Value::Nanos(timeout),
                    "ends before the first retry could start; write more than the `base` of `retries` (default `1s`)",
                );
            }
        }
    }
    if let Some(attempt) = settings.attempt_timeout {
        check_duration(Field::AttemptTimeout, attempt, found);
        if let Some(timeout) = settings.timeout {
            if attempt > timeout && timeout >= MS {
                found.add(
                    Field::AttemptTimeout,
                    Value::Nanos(attempt),
                    "is longer than `timeout`; write at most the `timeout`",
                );
            }
        }
    }
}

/// The first delay when the dice fall best.
const fn shortest_first_delay(retry: &Retry) -> u64 {
    match retry.jitter {
        Jitter::Full => 0,
        Jitter::Equal => retry.base / 2,
        _ => retry.base,
    }
}

const fn check_duration(field: Field, nanos: u64, found: &mut Problems) {
    if nanos < MS {
        found.add(field, Value::Nanos(nanos), "is too short for a timer; write at least `1ms`");
    } else if nanos > LONGEST_NANOS {
        found.add(field, Value::Nanos(nanos), "is too long; write at most `365d`");
    }
}

const fn check_count(field: Field, count: u32, none: &'static str, found: &mut Problems) {
    if count == 0 {
        found.add(field, Value::Count(0), none);
    } else if count > 1_000 {
        found.add(field, Value::Count(count as u64), "is too many; write at most `1000`");
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::Statuses;

    fn said(settings: &Settings) -> Vec<String> {
        settings.problems().iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn sound_settings_have_no_problems() {
        let all = Settings::new()
            .rate(Rate::per_second(100).burst(20).max_wait(Duration::ZERO))
            .breaker(Breaker::consecutive(5))
            .retries(Retry::new(3))
            .timeout(Duration::from_secs(10))
            .attempt_timeout(Duration::from_secs(10));
        assert_eq!(all.validate(), Ok(()));
        assert!(Settings::new().problems().is_empty());
        assert!(Settings::new().rate(Rate::per_day(1)).problems().is_empty());
        assert!(Settings::new().rate(Rate::per_second(1_000_000_000)).problems().is_empty());
    }

    #[test]
    fn every_problem_is_found_at_once_with_its_field() {
        let found = Settings::new()
            .rate(Rate::per_second(0).burst(0).max_wait(Duration::MAX))
            .breaker(Breaker::consecutive(0).recovery(Duration::ZERO).successes(0).probes(1_001))
            .retries(
                Retry::new(3)
                    .base(Duration::from_nanos(1))
                    .factor(f64::NAN)
                    .cap(Duration::MAX)
                    .jitter(Jitter::proportional(1.5))
                    .budget(Budget::percent(101))
                    .statuses(Statuses::NONE.with(42)),
            )
            .timeout(Duration::ZERO)
            .attempt_timeout(Duration::MAX)
            .max_pause(Duration::MAX)
            .abandoned(Duration::ZERO)
            .problems();
        let fields: Vec<_> = found.iter().map(|problem| problem.field().name()).collect();
        assert_eq!(
            fields,
            [
                "rate",
                "rate.burst",
                "rate.max_wait",
                "breaker",
                "breaker.recovery",
                "breaker.successes",
                "breaker.probes",
                "retries.base",
                "retries.cap",
                "retries.factor",
                "retries.jitter",
                "retries.budget",
                "retries.statuses",
                "timeout",
                "attempt_timeout",
                "max_pause",
                "abandoned",
            ]
        );
        assert_eq!(found.len(), fields.len());
    }

    #[test]
    fn a_problem_says_what_to_write() {
        assert_eq!(
            said(&Settings::new().rate(Rate::per_second(0))),
            ["`rate = \"0/s\"` never admits a call; write at least `1/s`"]
        );
        assert_eq!(
            said(&Settings::new().rate(Rate::per_second(1).burst(0))),
            ["`rate.burst = 0` admits nothing; write at least `1`"]
        );
    }

    #[test]
    fn what_is_just_within_its_range_is_sound_and_what_is_just_beyond_is_not() {
        let year = Duration::from_secs(365 * 86_400);
        let (more, ms) = (year + Duration::from_nanos(1), Duration::from_millis(1));
        let sound = [
            Settings::new().quota(Quota::new(1, ms)),
            Settings::new().quota(Quota::new(1, year)),
            Settings::new().rate(Rate::new(1, year).max_wait(year)),
            Settings::new().rate(Rate::per_day(1).burst(365)),
            Settings::new().rate(Rate::new(1_000, Duration::from_micros(1))),
            (0..4).fold(Settings::new(), |four, _| four.and_rate(Rate::per_day(1)).and_quota(Quota::per_day(1))),
            Settings::new().max_pause(year).abandoned(year),
            Settings::new().abandoned(ms),
            Settings::new().breaker(Breaker::consecutive(1).recovery_cap(year)),
            Settings::new().retries(Retry::new(1).base(Duration::from_secs(60)).factor(1.0)),
            Settings::new().retries(Retry::new(1).jitter(Jitter::proportional(1.0)).budget(Budget::percent(100))),
            // Nothing is retried, or the first retry can start.
            Settings::new().retries(Retry::new(0)).timeout(Duration::from_secs(1)),
            Settings::new().retries(Retry::new(1).jitter(Jitter::Equal)).timeout(Duration::from_millis(501)),
        ];
        for settings in sound {
            assert_eq!(said(&settings), [""; 0]);
        }
        let wrong = [
            (Settings::new().quota(Quota::new(1, more)), Field::Quota),
            (Settings::new().rate(Rate::new(1, more)), Field::Rate),
            (Settings::new().rate(Rate::per_day(1).max_wait(more)), Field::RateMaxWait),
            ((0..5).fold(Settings::new(), |five, _| five.and_rate(Rate::per_day(1))), Field::Rate),
            ((0..9).fold(Settings::new(), |nine, _| nine.and_quota(Quota::per_day(1))), Field::Quota),
            (Settings::new().max_pause(more), Field::MaxPause),
            (Settings::new().abandoned(more), Field::Abandoned),
            (Settings::new().abandoned(Duration::from_nanos(999_999)), Field::Abandoned),
            (Settings::new().breaker(Breaker::consecutive(1).recovery_cap(more)), Field::BreakerRecoveryCap),
            (Settings::new().retries(Retry::new(1).factor(0.999_999)), Field::RetriesFactor),
            (Settings::new().retries(Retry::new(1).jitter(Jitter::proportional(1.000_001))), Field::RetriesJitter),
            (
                Settings::new().retries(Retry::new(1).jitter(Jitter::Equal)).timeout(Duration::from_millis(500)),
                Field::Timeout,
            ),
        ];
        for (settings, field) in wrong {
            let found = settings.problems();
            assert!(!found.is_empty());
            assert_eq!((found.len(), found.first().map(|problem| problem.field())), (1, Some(field)), "{found:?}");
        }
    }

    #[test]
    fn a_status_that_is_none_is_told_as_it_was_written() {
        for status in [0, 42, 600] {
            let told = said(&Settings::new().retries(Retry::new(1).statuses(Statuses::NONE.with(status))));
            let expected = format!("`retries.statuses = {status}` is no HTTP status; write one in `100..=599`");
            assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_in_one_line() {
        let wrong = Settings::new().rate(Rate::per_second(0)).concurrency(Concurrency::new(0)).validate().unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "`rate = \"0/s\"` never admits a call; write at least `1/s`; \
             `concurrency = 0` never admits a call; write at least `1`"
        );
    }

    #[test]
    fn one_setting_is_checked_alone() {
        let settings = Settings::new()
            .rate(Rate::per_second(1))
            .and_rate(Rate::per_second(1).burst(0))
            .retries(Retry::new(1).factor(0.5));
        let panics = |field, index| std::panic::catch_unwind(|| settings.check(field, index)).is_err();
        assert!(panics(Field::RateBurst, 1) && panics(Field::RetriesFactor, 0));
        assert!(!panics(Field::RateBurst, 0) && !panics(Field::Rate, 1) && !panics(Field::Timeout, 0));
        assert!(std::panic::catch_unwind(|| Settings::new().check(Field::Rate, 0)).is_ok());
    }

    #[test]
    fn contradictions_are_problems() {
        let one = |settings: Settings, field: Field| {
            let found = settings.problems();
            assert_eq!((found.len(), found.first().map(|p| p.field())), (1, Some(field)), "{found:?}");
        };
        let secs = Duration::from_secs;
        one(Settings::new().rate(Rate::per_day(1).burst(366)), Field::RateBurst);
        one(Settings::new().rate(Rate::new(1_001, Duration::from_micros(1))), Field::Rate);
        one(Settings::new().rate(Rate::new(1, secs(366 * 86_400)).burst(1)), Field::Rate);
        one(Settings::new().retries(Retry::new(1).base(secs(61))), Field::RetriesBase);
        one(Settings::new().retries(Retry::new(1)).timeout(secs(1)), Field::Timeout);
        one(Settings::new().timeout(secs(1)).attempt_timeout(secs(2)), Field::AttemptTimeout);
        one(Settings::new().retries(Retry::new(1).factor(0.5)), Field::RetriesFactor);
        one(Settings::new().quota(Quota::per_second(0)), Field::Quota);
        one(Settings::new().quota(Quota::new(1, Duration::from_micros(999))), Field::Quota);
        one(Settings::new().quota(Quota::per_day(1).max_wait(Duration::MAX)), Field::QuotaMaxWait);
        one(Settings::new().concurrency(Concurrency::new(0)), Field::Concurrency);
        let second = Rate::per_second(1).burst(0);
        let two = Settings::new().rate(Rate::per_second(1)).and_rate(second).problems();
        assert_eq!(
            two.iter().map(|problem| (problem.field(), problem.index())).collect::<Vec<_>>(),
            [(Field::RateBurst, 1)]
        );
        let mut five = Settings::new();
        for _ in 0..5 {
            five = five.and_quota(Quota::per_second(1));
        }
        one(five, Field::Quota);
        let lucky = Settings::new().retries(Retry::new(1).jitter(Jitter::Full)).timeout(secs(1));
        assert!(lucky.problems().is_empty(), "full jitter may start at once");
    }

    #[test]
    fn a_breakers_window_is_one_that_can_work() {
        let one = |breaker: Breaker, field: Field, text: &str| {
            let found = said(&Settings::new().breaker(breaker));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(Settings::new().breaker(breaker).problems().first().map(|p| p.field()), Some(field));
            assert!(found[0].contains(text), "{found:?}");
        };
        let (rate, slow) = (Breaker::failure_rate, Breaker::slow_calls(Duration::from_secs(2)));
        let secs = Duration::from_secs;
        one(rate(0.0), Field::BreakerFailureRate, "`breaker.failure_rate = 0` would open");
        for bad in [1.000_001, -0.5, f64::NAN, 50.0] {
            one(rate(bad), Field::BreakerFailureRate, "outside 0..=1");
            one(slow.slow_rate(bad), Field::BreakerSlowRate, "outside 0..=1");
            one(rate(0.5).recovery_jitter(bad), Field::BreakerRecoveryJitter, "outside 0..=1");
        }
        one(slow.slow_rate(0.0), Field::BreakerSlowRate, "above 0");
        one(rate(0.5).window(Duration::from_millis(999)), Field::BreakerWindow, "`1s` to `1d`");
        one(rate(0.5).window(secs(86_401)), Field::BreakerWindow, "`1s` to `1d`");
        one(rate(0.5).window_calls(0), Field::BreakerWindow, "1..=10000");
        one(rate(0.5).window_calls(0).min_calls(5), Field::BreakerWindow, "1..=10000");
        one(rate(0.5).window_calls(10_001), Field::BreakerWindow, "1..=10000");
        one(rate(0.5).min_calls(0), Field::BreakerMinCalls, "at least `1`");
        one(rate(0.5).window_calls(10).min_calls(11), Field::BreakerMinCalls, "at most the `window`");
        one(rate(0.5).slow_rate(0.5), Field::BreakerSlowRate, "without `slow_call`");
        one(rate(0.5).slow_call(Duration::ZERO), Field::BreakerSlowCall, "at least `1ms`");
        one(slow.recovery_cap(secs(59)), Field::BreakerRecoveryCap, "shorter than `recovery`");
        one(slow.recovery_cap(Duration::MAX), Field::BreakerRecoveryCap, "at most `365d`");
        let consecutive = Breaker::consecutive(5);
        one(consecutive.window(secs(30)), Field::BreakerWindow, "failures in a row");
        one(consecutive.window_calls(30), Field::BreakerWindow, "failures in a row");
        one(consecutive.min_calls(5), Field::BreakerMinCalls, "failures in a row");
        one(consecutive.slow_call(secs(2)), Field::BreakerSlowCall, "failures in a row");
        one(consecutive.slow_rate(0.5), Field::BreakerSlowRate, "failures in a row");
        let sound = [
            rate(1.0).window(secs(1)).min_calls(1),
            rate(0.000_001).window(secs(86_400)).min_calls(u32::MAX),
            rate(0.5).window_calls(1).recovery_jitter(0.0),
            rate(0.5).window_calls(10_000).min_calls(10_000).slow_call(secs(1)).slow_rate(1.0),
            slow.recovery_cap(secs(60)).recovery_jitter(1.0),
            Breaker::consecutive(5).recovery_cap(secs(3_600)),
        ];
        for breaker in sound {
            assert_eq!(said(&Settings::new().breaker(breaker)), [""; 0]);
        }
    }

    #[test]
    fn checks_run_in_const_evaluation() {
        const CHECKED: Settings = Settings::new().rate(Rate::per_second(1)).checked();
        const WRONG: Problems = Settings::new().rate(Rate::per_second(0)).problems();
        assert!(CHECKED.rate_limit().is_some());
        assert_eq!(WRONG.len(), 1);
    }

    #[test]
    #[should_panic(expected = "`rate` never admits a call; write at least `1/s`")]
    fn wrong_settings_are_not_checked() {
        let _ = Settings::new().rate(Rate::per_second(0)).checked();
    }
}
