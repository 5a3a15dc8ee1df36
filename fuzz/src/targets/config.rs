//! Configurations: a text in TOML, and variables of the environment below a line `----`.
//!
//! Every mistake stands in the text, in the order of the text; another reader of TOML finds the same; what is accepted is sound, and is
//! the same after it was written and read; what is refused has changed nothing.

use std::collections::BTreeMap;

use apiguard::config::{Config, ConfigError};
use apiguard::{Breaker, Policy, Rate, Retry, Settings, registry};

use crate::driver::Seen;

apiguard::policy! {
    static A = (rate("10/s", burst = 5), breaker = 5, retries = 3, timeout = "10s", name = "fuzz.a");
}
apiguard::policy! {
    static B = (quota = "100/m", concurrency = 4, name = "fuzz.b");
}
apiguard::policy! {
    // To the environment it has the name of the one above.
    static B_AGAIN = (rate = "1/s", name = "fuzz-b");
}

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let input = String::from_utf8_lossy(input);
    let (text, variables) = input.split_once("\n----\n").unwrap_or((&input, ""));
    let read = Config::from_toml(text);
    let by_serde = toml::from_str::<Config>(text.strip_prefix('\u{feff}').unwrap_or(text));
    assert_eq!(read.is_ok(), by_serde.is_ok(), "{text:?}: {read:?}, {by_serde:?}");
    let config = match read {
        Ok(config) => config,
        Err(error) => return check_mistakes(&error, text, true, seen),
    };
    for name in config.policies().chain(["nobody"]) {
        for declared in declared() {
            match config.settings(name, declared) {
                Ok(settings) => check_settings(name, settings, seen),
                Err(error) => check_mistakes(&error, text, true, seen),
            }
        }
    }
    // What cannot be a variable is none: a name with `=` or NUL, a value with NUL.
    let variables = variables.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| name.len() < 200);
    let config = config.with_vars(variables);
    apply(&config, text, seen);
}

/// What the code of policies may say.
fn declared() -> [Settings; 2] {
    let all = Settings::new().rate(Rate::per_second(1)).breaker(Breaker::consecutive(1)).retries(Retry::new(1));
    [Settings::new(), all]
}

fn check_settings(name: &str, settings: Settings, seen: &mut Seen) {
    assert!(settings.validate().is_ok(), "{name}: {settings}");
    let json = serde_json::to_string(&settings).expect("sound settings are written");
    assert_eq!(serde_json::from_str::<Settings>(&json).ok(), Some(settings), "{json}");
    let whole = serde_json::to_string(&BTreeMap::from([("policies", BTreeMap::from([(name, settings)]))]));
    let again: Config = serde_json::from_str(&whole.expect("written")).expect("what was written is read");
    assert_eq!(again.settings(name, Settings::new()).ok(), Some(settings));
    let keys: Vec<&str> = json.split('"').skip(1).step_by(2).filter(|word| word.is_ascii()).collect();
    seen.mark(keys.iter().filter(|key| key.bytes().all(|byte| byte.is_ascii_lowercase())).collect::<Vec<_>>());
}

/// `in_text`: nothing else can have made them.
fn check_mistakes(error: &ConfigError, text: &str, in_text: bool, seen: &mut Seen) {
    assert!(!error.mistakes().is_empty());
    let shown = error.to_string();
    assert!(shown.lines().count() <= 51 && shown.len() < 64 * 1024, "{} bytes of mistakes", shown.len());
    let lines: Vec<&str> = text.split('\n').collect();
    let mut last = (0, 0);
    for mistake in error.mistakes() {
        let shown = mistake.to_string();
        assert!(!mistake.advice().is_empty() && !shown.contains(char::is_control), "{shown:?}");
        seen.mark_message(mistake.advice());
        match (mistake.line(), mistake.column()) {
            (Some(line), Some(column)) => {
                let there = lines.get(line - 1).unwrap_or_else(|| panic!("{shown}: there is no such line"));
                assert!(column >= 1 && column <= there.chars().count() + 1, "{shown}: there is no such column");
                assert!((line, column) >= last, "{shown}: after {last:?}");
                last = (line, column);
            }
            place => assert!(!in_text, "{shown}: {place:?}"),
        }
    }
}

/// The policies of this program, as they are now.
fn policies() -> Vec<(&'static str, Settings)> {
    registry().iter().map(|policy: &Policy| (policy.name(), policy.settings())).collect()
}

fn apply(config: &Config, text: &str, seen: &mut Seen) {
    let before = policies();
    assert_eq!(before.len(), 3);
    match registry().apply(config) {
        Ok(report) => {
            for (name, settings) in policies() {
                assert!(settings.validate().is_ok(), "{name}");
            }
            for warning in report.warnings() {
                seen.mark_message(&warning.to_string());
            }
            for change in report.changes() {
                seen.mark((change.key, change.after.is_some()));
                assert_ne!(change.before, change.after, "{change}");
            }
            assert_eq!(report.changes(), report.overridden(), "the code's settings held before");
        }
        Err(error) => {
            check_mistakes(&error, text, false, seen);
            assert!(policies() == before, "a mistake, and settings that changed");
        }
    }
    drop(registry().check().to_string());
    // Back to what the code says.
    let nothing = Config::from_toml("").expect("nothing is wrong with nothing");
    let _ = registry().apply(nothing).expect("nor then");
    assert!(policies() == before);
}
