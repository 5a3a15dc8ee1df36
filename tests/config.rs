//! Settings from files: the words of the attribute, every mistake at its place in one go, and nothing changed by a bad file.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use apiguard::config::{Config, ConfigError, Warning};
use apiguard::{
    Breaker, Budget, Concurrency, Jitter, Policy, Quota, Rate, Ratio, Retry, Settings, Statuses, guarded, registry,
};
use tokio::sync::{Mutex, MutexGuard};

apiguard::policy! {
    static STRIPE = (rate("100/s", burst = 20), breaker = 5, retries = 3, timeout = "10s", name = "stripe.charges");
}
apiguard::policy! {
    static SEARCH = (rate = "20/s", name = "search");
}
apiguard::policy! {
    static A = (timeout = "9s", name = "a");
}
apiguard::policy! {
    static A_ATTEMPT = (timeout = "9s", name = "a.attempt");
}

apiguard::policy! {
    static TWICE = (rate = "1/s", timeout = "9s", name = "twice");
}
apiguard::policy! {
    static TWICE_AGAIN = (rate = "2/s", timeout = "9s", name = "twice");
}

#[guarded(rate = "5/s", name = "bare")]
async fn bare() -> Result<(), apiguard::Error<std::io::Error>> {
    Ok(())
}

/// The registry is one for all tests of this program: those that apply to it take turns, and begin with what the code says.
async fn registry_alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
    turn
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What a table says of a policy that declares nothing.
fn settings(table: &str) -> Settings {
    let config =
        Config::from_toml(&format!("[policies.p]\n{table}")).unwrap_or_else(|error| panic!("{table}: {error}"));
    config.settings("p", Settings::new()).unwrap()
}

/// What is said of a wrong table, without `policies.p.`; line 1 is its first.
fn wrong(table: &str) -> String {
    let error = Config::from_toml(&format!("policies.p = {{ {table} }}")).expect_err(table);
    error.to_string().replace("policies.p.", "")
}

fn mistakes(result: Result<Config, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_key_is_written_as_in_the_attribute() {
    let new = Settings::new();
    let cases = [
        ("rate = '100/s'", new.rate(Rate::per_second(100))),
        (
            "rate = { rate = '5/250ms', burst = 20, max_wait = '2s' }",
            new.rate(Rate::new(5, ms(250)).burst(20).max_wait(secs(2))),
        ),
        ("rate.rate = '1/m'\nrate.burst = 2", new.rate(Rate::per_minute(1).burst(2))),
        (
            "rate = ['10/s', { rate = '100/m', burst = 5 }]",
            new.rate(Rate::per_second(10)).and_rate(Rate::per_minute(100).burst(5)),
        ),
        ("quota = '5000/h'", new.quota(Quota::per_hour(5_000))),
        ("quota = { quota = '100/15m', max_wait = '0s' }", new.quota(Quota::new(100, secs(900)).max_wait(secs(0)))),
        ("quota = ['100/m', '5000/h']", new.quota(Quota::per_minute(100)).and_quota(Quota::per_hour(5_000))),
        ("concurrency = 64", new.concurrency(Concurrency::new(64))),
        ("concurrency = { limit = 64, max_wait = '1s' }", new.concurrency(Concurrency::new(64).max_wait(secs(1)))),
        ("breaker = 5", new.breaker(Breaker::consecutive(5))),
        (
            "breaker = { failures = 3, recovery = '30s', recovery_jitter = '20%', recovery_cap = '10m', successes = 4, probes = 2 }",
            new.breaker(
                Breaker::consecutive(3)
                    .recovery(secs(30))
                    .recovery_jitter(0.2)
                    .recovery_cap(secs(600))
                    .successes(4)
                    .probes(2),
            ),
        ),
        (
            "breaker = { failure_rate = '50%', window = '30s', min_calls = 10, slow_call = '2s', slow_rate = 0.8 }",
            new.breaker(Breaker::failure_rate(0.5).window(secs(30)).min_calls(10).slow_call(secs(2)).slow_rate(0.8)),
        ),
        ("breaker = { failure_rate = 0.5, window = 100 }", new.breaker(Breaker::failure_rate(0.5).window_calls(100))),
        ("breaker = { slow_call = '1s' }", new.breaker(Breaker::slow_calls(secs(1)))),
        ("retries = 3", new.retries(Retry::new(3))),
        ("retries = 0", new.retries(Retry::new(0))),
        (
            "retries = { max = 3, base = '200ms', factor = 1.5, cap = '10s', jitter = 'full', budget = 'off', statuses = [429, '500..=502', '503..505'] }",
            new.retries(
                Retry::new(3)
                    .base(ms(200))
                    .factor(1.5)
                    .cap(secs(10))
                    .jitter(Jitter::Full)
                    .budget(Budget::Off)
                    .statuses(Statuses::NONE.with(429).with_range(500, 504)),
            ),
        ),
        (
            "retries = { max = 1, jitter = 0.25, budget = '12.5%' }",
            new.retries(
                Retry::new(1).jitter(Jitter::proportional(0.25)).budget(Budget::Share(Ratio::from_millionths(125_000))),
            ),
        ),
        ("timeout = '1m30s'\nattempt_timeout = '250ms'", new.timeout(secs(90)).attempt_timeout(ms(250))),
        ("max_pause = '0s'", new.max_pause(secs(0))),
        ("abandoned = '2s'\nshadow = true", new.abandoned(secs(2)).shadow(true)),
    ];
    for (table, expected) in cases {
        assert_eq!(settings(table), expected, "{table}");
        // As JSON, too: written by serde and read by it.
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), expected, "{json}");
    }
}

#[test]
fn what_is_written_is_short_and_each_setting_reads_back_alone() {
    let settings = Settings::new()
        .rate(Rate::per_second(100).burst(20))
        .breaker(Breaker::consecutive(5))
        .retries(Retry::new(3).statuses(Statuses::NONE.with(429).with_range(502, 504)));
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(
        json,
        r#"{"rate":{"rate":"100/s","burst":20},"breaker":5,"retries":{"max":3,"statuses":[429,"502..=504"]}}"#
    );
    let rate: Rate = serde_json::from_str(r#"{"rate":"100/s","burst":20}"#).unwrap();
    assert_eq!(Some(&rate), settings.rate_limit());
    assert_eq!(serde_json::to_string(&Quota::per_hour(5)).unwrap(), r#""5/h""#);
    assert_eq!(serde_json::from_str::<Breaker>("5").unwrap(), Breaker::consecutive(5));
    assert_eq!(serde_json::from_str::<Concurrency>("5").unwrap(), Concurrency::new(5));
    assert_eq!(serde_json::from_str::<Retry>("5").unwrap(), Retry::new(5));
    let wrong = serde_json::from_str::<Settings>(r#"{"rate":"0/s","retires":3}"#).unwrap_err().to_string();
    assert!(wrong.contains("`1/s`") && wrong.contains("did you mean `retries`?"), "{wrong}");
    let unwritable = serde_json::to_string(&Settings::new().rate(Rate::per_second(0))).unwrap_err().to_string();
    assert!(unwritable.contains("never admits"), "{unwritable}");
}

#[test]
fn each_mistake_says_what_to_write() {
    let cases = [
        ("rate = '0/s'", "rate = \"0/s\" never admits a call; write at least `1/s`"),
        ("rate = 100", "rate = 100 has no period; write `\"100/s\"`, `\"100/m\"` or `\"100/h\"`"),
        ("rate = '100/sec'", "rate = \"100/sec\" has the unit `sec`; write `s`"),
        ("rate = true", "rate = true is no value of it; write `rate = \"100/s\"`"),
        ("rate = false", "rate = false is no value of it; write `\"off\"`"),
        ("rate = []", "rate = [] limits nothing; write `rate = \"100/s\"`, or `\"off\"` for no limit"),
        ("rate = { burst = 5 }", "rate = { burst = 5 } lacks its first value; write `rate = { rate = \"100/s\", … }`"),
        ("rate = ['1/s', { rate = '1/m', burst = 0 }]", "rate[1].burst = 0 admits nothing; write at least `1`"),
        (
            "rate = ['1/s', '2/s', '3/s', '4/s', '5/s']",
            "rate[4] = \"5/s\" is one too many; write at most 4, without those that others imply",
        ),
        ("rate = 2026-01-01", "rate = a date is not a text; write one such as `\"100/s\"`"),
        ("concurrency = '64'", "concurrency = \"64\" is a text; write `64`"),
        ("concurrency = -1", "concurrency = -1 is negative; write one such as `5`"),
        (
            "concurrency = 99999999999999999999999999999999999999999",
            "concurrency = inf is not a whole number; write one such as `5`",
        ),
        ("breaker = 'fast'", "breaker = \"fast\" is not a whole number; write one such as `5`"),
        ("breaker = '50%'", "breaker = \"50%\" is a share; write `breaker = { failure_rate = \"50%\" }`"),
        ("breaker = { window = '30s' }", "lacks a threshold; write `breaker = { failures = 5, … }`"),
        ("breaker = { failures = 5, failure_rate = 0.5 }", "remove `failures` or `failure_rate`"),
        ("breaker = { failures = 5, window = 100 }", "breaker.window = 100 does not go with failures in a row"),
        ("breaker = { failure_rate = 50 }", "breaker.failure_rate = 50 is more than all; write `\"50%\"`"),
        ("breaker = { failure_rate = '50%', window = '100' }", "write `100` for the last 100 calls, or `\"100s\"`"),
        ("breaker = { cooldown = '30s' }", "breaker.cooldown is no setting of `breaker`; did you mean `recovery`?"),
        ("retries = { max = 3, base = 200 }", "retries.base = 200 has no unit; write `\"200s\"` or `\"200ms\"`"),
        ("retries = { max = 3, factor = nan }", "retries.factor = NaN is outside 1..=1000000"),
        ("retries = { max = 3, factor = 0.5 }", "retries.factor = 0.5 is outside 1..=1000000"),
        (
            "retries = { max = 3, jitter = 'ful' }",
            "retries.jitter = \"ful\" is no kind of jitter; did you mean `\"full\"`?",
        ),
        ("retries = { max = 3, budget = 0.2 }", "retries.budget = 0.2 is a number; write `\"20%\"`"),
        ("retries = { max = 3, statuses = 503 }", "retries.statuses = 503 is not a list; write `[503]`"),
        (
            "retries = { max = 3, statuses = [42] }",
            "retries.statuses[0] = 42 is no HTTP status; write statuses in `100..=599`",
        ),
        ("retries = { max = 3, statuses = ['504..=502'] }", "is an empty range; write the smaller status first"),
        ("retries = { max = 0, base = '1s' }", "retries.base = \"1s\" has no effect with no retries"),
        (
            "retries = { max = 3, timeout = '1s' }",
            "retries.timeout does not belong to `retries`; write `timeout = \"10s\"` beside it",
        ),
        ("timeout = 10", "timeout = 10 has no unit; write `\"10s\"` or `\"10ms\"`"),
        ("timeout = '1.5s'", "write `1s500ms` for one and a half seconds"),
        ("timeout = '1s', attempt_timeout = '2s'", "attempt_timeout = \"2s\" is longer than `timeout`"),
        ("timeout = '1s', retries = 3", "timeout = \"1s\" ends before the first retry could start"),
        ("abandoned = '1us'", "abandoned = \"1us\" is too short; write at least `1ms`"),
        ("shadow = 'yes'", "shadow = \"yes\" is no switch; write `shadow = true` or `shadow = false`"),
        ("dry_run = true", "dry_run is no setting; did you mean `shadow`?"),
        ("max_pause = '366d'", "max_pause = \"366d\" is too long; write at most `365d`"),
        ("burst = 20", "burst belongs to `rate`; write `rate = { rate = \"100/s\", burst = 20 }`"),
        ("circuit_breaker = 5", "circuit_breaker is no setting; did you mean `breaker`?"),
        ("colour = 5", "colour is no setting; the settings are `rate`, `quota`,"),
        ("fallback = 'cached'", "fallback is said in the code alone; remove it"),
    ];
    for (table, expected) in cases {
        let said = wrong(table);
        assert!(said.contains(expected), "{table}:\n{said}\n{expected}");
        assert_eq!(said.lines().count(), 1, "{table}:\n{said}");
    }
}

const WRONG_EVERYWHERE: &str = r#"# one mistake a line
[defaults]
timeout = "10"

[policies."stripe.charges"]
    rate = "0/s"
    retires = 3
    breaker = { failures = 5, recovery = "1m", probs = 2, successes = 0 }

[policies.search]
quota = ["5/h", "é/s", "0/s"]  # after it
concurrency = 0

[policy.search]
rate = "1/s"

[policies.a.attempt]
timeout = "1s"
"#;

#[test]
fn every_limit_can_be_written_off() {
    for key in ["rate", "quota", "concurrency", "breaker", "retries", "timeout", "attempt_timeout"] {
        assert_eq!(settings(&format!("{key} = \"off\"")), Settings::new(), "{key}");
    }
}

#[test]
fn values_just_beyond_what_can_be_are_told_by_how_they_are_wrong() {
    for (table, told) in [
        ("concurrency = -1", "is negative; write one such as `5`"),
        ("concurrency = 4294967296", "is too large; write at most `4294967295`"),
        ("timeout = -1", "is not a duration; write one such as"),
        ("quota = [[\"5/s\"]]", "is a list in the list; write"),
        ("breaker = { failure_rate = 1.5 }", "is more than all; write `\"1.5%\"`"),
        ("breaker = { failure_rate = 100.5 }", "is more than all; write `\"0%\"` to `\"100%\"`"),
        ("breaker = { failure_rate = -0.5 }", "is not a share; write one such as"),
        ("retries = { max = 1, jitter = 1.5 }", "is outside 0..=1; write one such as `0.5`"),
        ("retries = { max = 1, budget = 0.2 }", "is a number; write `\"20%\"`"),
        ("retries = { max = 1, budget = 0.0 }", "is no budget; write a share such as"),
        ("retries = { max = 1, budget = 1.0 }", "is no budget; write a share such as"),
        ("conc = 1", "`concurrency`"),
    ] {
        assert!(wrong(table).contains(told), "{table}: {}", wrong(table));
    }
    assert!(!wrong("c = 1").contains("did you mean"), "{}", wrong("c = 1"));
    let whole = settings("breaker = { failure_rate = 1.0 }");
    assert_eq!(whole, Settings::new().breaker(Breaker::failure_rate(1.0)));
}

#[test]
fn all_mistakes_are_reported_at_once_with_line_and_column() {
    let folder = Folder::new();
    let path = folder.file("apiguard.toml", WRONG_EVERYWHERE.as_bytes());
    let error = Config::read(&path).unwrap_err();
    let text = error.to_string().replace(&format!("{}:", path.display()), "");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "3:11: defaults.timeout = \"10\" has no unit; write `10s` or `10ms`",
            "6:12: policies.\"stripe.charges\".rate = \"0/s\" never admits a call; write at least `1/s`",
            "7:5: policies.\"stripe.charges\".retires is no setting; did you mean `retries`?",
            "8:48: policies.\"stripe.charges\".breaker.probs is no setting of `breaker`; did you mean `probes`?",
            "8:71: policies.\"stripe.charges\".breaker.successes = 0 would never close; write at least `1`",
            "11:17: policies.search.quota[1] = \"é/s\" is not a quota; write one such as `100/s`, `5000/h` or `5/250ms`",
            "11:24: policies.search.quota[2] = \"0/s\" never admits a call; write at least `1/s`",
            "12:15: policies.search.concurrency = 0 never admits a call; write at least `1`",
            "14:2: policy is no table of a configuration; did you mean `policies`?",
            "17:13: policies.a has a name with dots; write it in quotes, `[policies.\"a.attempt\"]`",
        ]
    );
    let first = &error.mistakes()[1];
    assert_eq!((first.line(), first.column()), (Some(6), Some(12)));
    assert_eq!(first.file(), Some(path.display().to_string().as_str()));
    assert_eq!((first.key(), first.value()), ("policies.\"stripe.charges\".rate", Some("\"0/s\"")));
    assert!(first.advice().starts_with("never admits"));
}

#[test]
fn a_mistake_hides_no_other_and_makes_none() {
    let cases = [
        ("rate = { rate = '80/sec', bursts = 5, max_wait = 1 }", 3),
        ("rate = [ '1/sec', { rate = '1/m', burst = 0 }, [], '1/s', '1/s', '1/s' ]", 4),
        ("retries = { mx = 3, base = '1', cap = '500ms' }, timeout = '600ms'", 2),
        ("retries = { max = 3, base = '2m', cp = '1h' }, timeout = '0s'", 2),
        ("breaker = { failure_rat = 0.5, recover = '1s', recovery_cap = '10s', slow_rate = 0.5 }", 2),
        ("breaker = { failures = '5', window = '30s', successes = 0 }", 2),
        ("timeout = 1, attempt_timeout = '0s', retries = -1, shadow = 1", 4),
    ];
    for (table, expected) in cases {
        let said = wrong(table);
        assert_eq!(said.lines().count(), expected, "{table}:\n{said}");
    }
}

#[test]
fn any_format_that_serde_reads_is_a_configuration() {
    let config: Config =
        serde_json::from_str(r#"{"defaults":{"timeout":"5s"},"policies":{"p":{"rate":"7/s"}}}"#).unwrap();
    let expected = Settings::new().rate(Rate::per_second(7)).timeout(secs(5));
    assert_eq!(config.settings("p", Settings::new()).unwrap(), expected);
    let wrong = serde_json::from_str::<Config>(r#"{"policies":{"p":{"rate":"0/s","rate":"7/s"}, "q": null}}"#);
    let said = wrong.unwrap_err().to_string();
    for part in ["policies.p.rate = \"0/s\"", "policies.p.rate is set twice", "policies.q = nothing is not a table"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    assert!(serde_json::from_str::<Config>(&deep).unwrap_err().to_string().contains("too deep"));
}

#[test]
fn the_table_goes_before_the_code_and_the_code_before_the_defaults() {
    let config: Config = r#"
        [defaults]
        timeout = "30s"
        breaker = 9
        max_pause = "1m"
        [policies.p]
        rate = "50/s"
        breaker = "off"
    "#
    .parse()
    .unwrap();
    let declared =
        Settings::new().rate(Rate::per_second(10).burst(5)).timeout(secs(3)).breaker(Breaker::consecutive(2));
    let expected = Settings::new().rate(Rate::per_second(50)).timeout(secs(3)).max_pause(secs(60));
    assert_eq!(config.settings("p", declared).unwrap(), expected);
    let other = declared.max_pause(secs(60));
    assert_eq!(config.settings("q", declared).unwrap(), other, "only the defaults, and only what the code leaves open");
    // `off` in the table goes before a default, too.
    assert_eq!(config.settings("p", Settings::new()).unwrap().circuit_breaker(), None);
}

#[test]
fn what_contradicts_the_code_is_found_where_it_was_written() {
    let config: Config = "[defaults]\nretries = 2\n[policies.p]\n\nattempt_timeout = '20s'".parse().unwrap();
    let declared = Settings::new().timeout(secs(10));
    let said = config.settings("p", declared).unwrap_err().to_string();
    assert_eq!(
        said,
        "5:19: policies.p.attempt_timeout = \"20s\" is longer than `timeout`; write at most the `timeout`"
    );
    let said = config.settings("q", Settings::new().timeout(ms(500))).unwrap_err().to_string();
    assert!(
        said.starts_with("2:11: policies.q.timeout = \"500ms\" (of the code, with what is configured) ends before"),
        "{said}"
    );
    let said = config.settings("p", Settings::new().timeout(ms(500))).unwrap_err();
    assert_eq!(said.mistakes().len(), 2, "{said}");
}

#[tokio::test]
async fn a_key_that_goes_away_is_what_the_code_declares_again() {
    let _turn = registry_alone().await;
    let declared = STRIPE.settings();
    let config: Config = "[policies.'stripe.charges']\nrate = '5/s'\ntimeout = '20s'".parse().unwrap();
    let report = registry().apply(&config).unwrap();
    assert_eq!(
        report.to_string(),
        "stripe.charges.rate: { rate = \"100/s\", burst = 20 } -> \"5/s\"\nstripe.charges.timeout: \"10s\" -> \"20s\""
    );
    assert_eq!(STRIPE.settings(), declared.rate(Rate::per_second(5)).timeout(secs(20)));
    let again = registry().apply(&config).unwrap();
    assert!(again.changes().is_empty());
    assert_eq!(again.overridden(), report.changes(), "of the code's words the file still overrides two");
    let less: Config = "[policies.'stripe.charges']\ntimeout = '20s'".parse().unwrap();
    let report = registry().apply(less).unwrap();
    assert_eq!(report.to_string(), "stripe.charges.rate: \"5/s\" -> { rate = \"100/s\", burst = 20 }");
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
    assert_eq!(STRIPE.settings(), declared);
}

#[tokio::test]
async fn what_the_code_configures_later_is_its_word_too() {
    let _turn = registry_alone().await;
    let declared = SEARCH.settings();
    // Nobody says anything of it: it is left alone.
    SEARCH.configure(declared.concurrency(Concurrency::new(3))).unwrap();
    let other: Config = "[policies.a]\ntimeout = '1s'".parse().unwrap();
    let _ = registry().apply(&other).unwrap();
    assert_eq!(SEARCH.settings(), declared.concurrency(Concurrency::new(3)));
    let config: Config = "[policies.search]\nrate = '1/s'".parse().unwrap();
    let _ = registry().apply(&config).unwrap();
    SEARCH.configure(SEARCH.settings().timeout(secs(7))).unwrap();
    let _ = registry().apply(&config).unwrap();
    assert_eq!(SEARCH.settings().call_timeout(), Some(secs(7)));
    let _ = registry().apply(&other).unwrap();
    assert_eq!(
        SEARCH.settings(),
        declared.concurrency(Concurrency::new(3)).timeout(secs(7)),
        "and no rate of the file"
    );
    SEARCH.configure(declared).unwrap();
}

#[tokio::test]
async fn one_mistake_leaves_every_policy_as_it_is() {
    let _turn = registry_alone().await;
    let before: Vec<_> = registry().iter().map(Policy::settings).collect();
    // Sound alone; the code of `a` makes it a contradiction, and `search` comes after it.
    let config: Config = "[policies.a]\nattempt_timeout = '10s'\n[policies.search]\nrate = '1/s'".parse().unwrap();
    let error = registry().apply(&config).unwrap_err();
    assert_eq!(error.mistakes().len(), 1);
    assert!(
        error.to_string().starts_with("2:19: policies.a.attempt_timeout = \"10s\" is longer than `timeout`"),
        "{error}"
    );
    assert_eq!(registry().iter().map(Policy::settings).collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn unknown_names_are_reported_with_the_nearest() {
    let _turn = registry_alone().await;
    let config: Config = "[policies.serch]\nrate = '1/s'\n[policies.other-program]\nrate = '1/s'".parse().unwrap();
    let report = registry().apply(&config).unwrap();
    let said: Vec<_> = report.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "3:11: policies.other-program names no policy of this program",
            "1:11: policies.serch names no policy of this program; did you mean \"search\"?",
        ]
    );
    let check = registry().check();
    assert_eq!((check.warnings.len(), check.is_clean()), (2, false));
    assert!(check.to_string().contains("\nwarning: 3:11: policies.other-program"), "{check}");
}

#[tokio::test]
async fn the_check_says_what_is_overridden_and_which_names_there_are_twice() {
    let _turn = registry_alone().await;
    assert_eq!(registry().check().overridden, []);
    let config: Config = "[policies.twice]\nrate = '3/s'".parse().unwrap();
    let _ = registry().apply(&config).unwrap();
    assert_eq!(
        [&TWICE, &TWICE_AGAIN].map(|policy| policy.settings().rate_limit().copied()),
        [Some(Rate::per_second(3)); 2]
    );
    let check = registry().check();
    assert!(!check.is_clean());
    let said = check.to_string();
    let mut lines: Vec<_> = said.lines().collect();
    // Two of one name come in any order.
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "warning: several policies have the name \"twice\"; give each its own with `name = …`",
            "configured: twice.rate: \"1/s\" -> \"3/s\"",
            "configured: twice.rate: \"2/s\" -> \"3/s\"",
        ]
    );
    let wrong: Config = "[policies.twice]\nattempt_timeout = '10s'".parse().unwrap();
    let error = registry().apply(wrong).unwrap_err();
    assert_eq!(error.mistakes().len(), 1, "once, though the code of the two differs: {error}");
    assert_eq!(registry().check(), check, "what was refused is not told");
}

#[tokio::test]
async fn a_setting_that_no_code_was_compiled_for_is_reported() {
    let _turn = registry_alone().await;
    let config: Config = "[policies.bare]\nretries = 3\nrate = '50/s'".parse().unwrap();
    let report = registry().apply(&config).unwrap();
    let [Warning::NotCompiled { key: "retries", policies, .. }] = report.warnings() else { panic!("{report}") };
    assert_eq!(policies[..], ["bare"]);
    let shown = report.to_string();
    let warning = "warning: retries is not declared in the code of bare: a function with settings of its own has no code for it; \
                   declare it in the attribute";
    assert!(shown.lines().any(|line| line == warning), "{shown}");
    bare().await.unwrap();
}

#[tokio::test]
async fn the_environment_is_laid_over_the_file() {
    let _turn = registry_alone().await;
    let declared = STRIPE.settings();
    let config: Config = "[policies.'stripe.charges']\nrate = '5/s'\nbreaker = 'off'".parse().unwrap();
    let vars = [
        ("APIGUARD_STRIPE_CHARGES_RATE", "7/s"),
        ("APIGUARD_STRIPE_CHARGES_RETRIES", "{ max = 2, base = \"200ms\" }"),
        ("APIGUARD_SEARCH_QUOTA", "['100/m', '5000/h']"),
        ("APIGUARD_SEARCH_CONCURRENCY", " 3 "),
        ("APIGUARD_SERCH_RATE", "1/s"),
        ("PATH", "/bin"),
    ];
    let report = registry().apply(config.clone().with_vars(vars)).unwrap();
    let mut expected = declared.rate(Rate::per_second(7)).retries(Retry::new(2).base(ms(200)));
    assert_ne!(STRIPE.settings(), expected);
    expected = Settings::new().rate(Rate::per_second(7)).retries(Retry::new(2).base(ms(200))).timeout(secs(10));
    assert_eq!(STRIPE.settings(), expected, "the file's `breaker` holds, too");
    assert_eq!(SEARCH.settings().concurrency_limit(), Some(&Concurrency::new(3)));
    assert_eq!(SEARCH.settings().quotas().count(), 2);
    let said: Vec<_> = report.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["APIGUARD_SERCH_RATE names no setting of a policy of this program; did you mean \"APIGUARD_SEARCH_RATE\"?"]
    );
    let vars = [
        ("APIGUARD_A_ATTEMPT_TIMEOUT", "1s"),
        ("APIGUARD_SEARCH_RATE", "0/s"),
        ("APIGUARD_SEARCH_RETRIES", "{ max = 2, bse = '1s' }"),
        ("APIGUARD_SEARCH_QUOTA", "['100/m'"),
    ];
    let error = registry().apply(config.with_vars(vars)).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines[0],
        "APIGUARD_A_ATTEMPT_TIMEOUT is `attempt_timeout` of \"a\" and `timeout` of \"a.attempt\"; set it in the file"
    );
    assert!(lines[1].starts_with("APIGUARD_SEARCH_QUOTA is no TOML"), "{error}");
    assert_eq!(lines[2], "APIGUARD_SEARCH_RATE = \"0/s\" never admits a call; write at least `1/s`");
    assert_eq!(lines[3], "APIGUARD_SEARCH_RETRIES.bse is no setting of `retries`; did you mean `base`?");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_a_mistake_and_a_huge_one_too() {
    use std::os::unix::ffi::OsStringExt as _;

    let value = std::ffi::OsString::from_vec(vec![b'1', 0xff]);
    let config = Config::from_toml("").unwrap();
    let error = config.clone().with_vars([("APIGUARD_P_RATE", value)]).settings("p", Settings::new()).unwrap_err();
    assert_eq!(error.to_string(), "APIGUARD_P_RATE is not UTF-8");
    let huge = config.with_vars([("APIGUARD_P_RATE", "1".repeat(1 << 20))]).settings("p", Settings::new()).unwrap_err();
    assert_eq!(huge.to_string(), "APIGUARD_P_RATE is longer than 64 KiB");
}

/// A folder that goes away with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Folder {
        use std::sync::atomic::{AtomicU32, Ordering};

        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("apiguard-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> std::path::PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_no_file_of_settings_is_an_error_of_one_line() {
    let folder = Folder::new();
    let mut utf16 = Vec::from("[defaults]\n".as_bytes());
    utf16.extend([0xff, 0xfe]);
    let long = vec![b'#'; Config::MOST_BYTES + 1];
    let cases = [
        (folder.0.clone(), "is a directory"),
        (folder.0.join("missing.toml"), "cannot be read (entity not found)"),
        (folder.file("empty.toml", b""), "is empty"),
        (folder.file("utf16.toml", &utf16), "is not UTF-8 from line 2 on"),
        (folder.file("long.toml", &long), "is longer than 1 MiB"),
        (std::path::PathBuf::from("a\0b"), "cannot be read (invalid input parameter)"),
    ];
    for (path, expected) in cases {
        let error = Config::read(&path).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}: {expected}", path.display())), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
    assert!(std::error::Error::source(&Config::read(folder.0.join("missing")).unwrap_err()).is_some());
    assert!(mistakes(Config::from_toml(&"#".repeat(Config::MOST_BYTES + 1))).contains("1 MiB"));
    // The last byte counts.
    let end = "\n[policies.p]\nrate = '7/s'";
    let exactly = format!("{}{end}", "#".repeat(Config::MOST_BYTES - end.len()));
    let config = Config::read(folder.file("exactly.toml", exactly.as_bytes())).unwrap();
    assert_eq!(config.settings("p", Settings::new()).unwrap(), Settings::new().rate(Rate::per_second(7)));
    let marked = folder.file("marked.toml", "\u{feff}[policies.p]\nrate = '0/s'".as_bytes());
    assert!(Config::read(marked).unwrap_err().to_string().contains(":2:8: policies.p.rate"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_or_a_pipe_is_not_waited_for() {
    let start = Instant::now();
    assert!(mistakes(Config::read("/dev/zero")).contains("is no regular file"));
    let folder = Folder::new();
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(mistakes(Config::read(&pipe)).contains("is no regular file"));
    assert!(start.elapsed() < secs(10));
}

#[test]
fn a_half_written_file_is_told_where_it_ends() {
    let whole = "[policies.p]\nrate = { rate = \"100/s\", burst = 20 }\nretries = 3\n";
    let mut refused = 0;
    for end in 1..whole.len() {
        if let Err(error) = Config::from_toml(&whole[..end]) {
            refused += 1;
            assert!(error.mistakes().iter().all(|mistake| mistake.line().is_some()), "{:?}: {error}", &whole[..end]);
        }
    }
    assert!(refused > 40, "{refused}: some beginnings are whole files, and only standing still tells");
    let error = mistakes(Config::from_toml(&whole[..30]));
    assert!(error.contains("is no TOML"), "{error}");
}

#[test]
fn hostile_texts_are_errors_and_take_no_time() {
    let start = Instant::now();
    let many = |line: fn(usize) -> String| (0..60_000).map(line).collect::<String>();
    let mut texts = vec![
        "\0".repeat(1_000),
        "[policies.p]\n\"\\u001b[31m\\n\" = 5".to_owned(),
        "[policies.p]\nrate = \"\\u001b[31m\\u0000\"".to_owned(),
        "[policies.p]\nrate = \"\0\"".to_owned(),
        format!("policies = {}", "[".repeat(500_000)),
        format!("policies = {}", "{ a = ".repeat(150_000)),
        format!("{}a = 1", "a.".repeat(500_000)),
        format!("[{}a]", "a.".repeat(500_000)),
        format!("[policies.p]\nrate = \"{}\"", "9".repeat(1_000_000)),
        format!("[policies.p]\nrate = [{}]", "'1/s',".repeat(150_000)),
        format!("[policies.p]\nretries = {{ max = 1, statuses = [{}] }}", "7,".repeat(400_000)),
        format!("[policies.p]\n'{}' = 1", "k".repeat(1_000_000)),
        format!("[policies.p]\n{}", many(|index| format!("k{index} = 1\n"))),
        many(|index| format!("[t{index}]\n")),
        "[policies.p]\n".repeat(60_000),
        "[[policies]]\n".repeat(60_000),
        "a = 1\n".repeat(150_000),
        "=".repeat(1_000_000),
        "\n".repeat(1_000_000) + "x",
    ];
    texts.retain(|text| text.len() <= Config::MOST_BYTES);
    assert!(texts.len() >= 15);
    for text in &texts {
        let error = Config::from_toml(text).unwrap_err();
        let shown = format!("{error}{error:?}");
        assert!(error.to_string().len() < 20_000, "{}", &shown[..1_000]);
        assert!(!error.to_string().contains(['\0', '\u{1b}']));
    }
    // Some milliseconds each; a quadratic reading would take minutes.
    assert!(start.elapsed() < secs(60), "{:?}", start.elapsed());
}

#[tokio::test]
async fn ten_thousand_policies_are_read_and_applied() {
    let _turn = registry_alone().await;
    let mut text = String::new();
    for index in 0..10_000 {
        writeln!(text, "[policies.\"tenant.{index}\"]\nrate = \"{}/s\"\ntimeout = \"5s\"", index + 1).unwrap();
    }
    text.push_str("[policies.search]\nrate = '3/s'\n");
    let start = Instant::now();
    let config = Config::from_toml(&text).unwrap();
    assert_eq!(config.policies().count(), 10_001);
    let tenant = config.settings("tenant.9999", Settings::new()).unwrap();
    assert_eq!(tenant.rate_limit(), Some(&Rate::per_second(10_000)));
    let report = registry().apply(&config).unwrap();
    assert_eq!((report.changes().len(), report.warnings().len()), (1, 10_000));
    let wrong = text.replace("/s", "/sec").replace("5s", "5");
    let error = Config::from_toml(&wrong).unwrap_err();
    assert_eq!((error.mistakes().len(), error.to_string().lines().count()), (1_000, 51));
    assert!(error.to_string().ends_with("and 19951 more"), "{error}");
    assert!(start.elapsed() < secs(60), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_registry_is_a_table_in_120_columns() {
    let _turn = registry_alone().await;
    for _ in 0..3 {
        bare().await.unwrap();
    }
    let table = registry().to_string();
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("policy ") && lines[0].ends_with(" rejected"), "{table}");
    let bare = lines.iter().find(|line| line.starts_with("bare ")).unwrap();
    assert!(bare.contains("rate: 5/s, burst 1, max_wait 30s") && bare.trim_end().ends_with('0'), "{table}");
    let column = lines[0].find("breaker").unwrap();
    let stripe = lines.iter().find(|line| line.starts_with("stripe.charges ")).unwrap();
    assert_eq!(&stripe[column..column + 6], "closed", "{table}");
}

#[tokio::test]
async fn a_snapshot_is_written_with_its_settings_in_words() {
    let policy =
        Policy::builder("tenant \"7\"").rate(Rate::per_second(5)).breaker(Breaker::consecutive(2)).build().unwrap();
    policy.call(async || Ok::<_, std::io::Error>(())).await.unwrap();
    let json: serde_json::Value = serde_json::to_value(policy.snapshot()).unwrap();
    assert_eq!(json["name"], "tenant \"7\"");
    assert_eq!(json["settings"], serde_json::json!({ "rate": "5/s", "breaker": 2 }));
    assert_eq!((&json["calls"], &json["outcomes"]["successes"]), (&1.into(), &1.into()));
    assert_eq!((&json["breaker"], &json["in_flight"]), (&"closed".into(), &serde_json::Value::Null));
    assert_eq!(json["rejections"]["rate_limited"], 0);
}
