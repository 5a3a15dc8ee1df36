//! Settings from a file, a text, the environment, or anything else that serde reads, laid over what the code declares.
//!
//! ```toml
//! [defaults]                       # for every policy, where neither its table nor its code says anything
//! timeout = "10s"
//!
//! [policies."stripe.charges"]      # over what the code declares, key by key
//! rate = { rate = "100/s", burst = 20 }
//! retries = { max = 3, base = "200ms" }
//! breaker = "off"
//! ```
//!
//! The words, units and checks are those of the attribute. From the strongest: a variable of the environment
//! ([`Config::with_env`]), the policy's table, the code, `[defaults]`. A key that a later version of the file no longer has
//! goes back to what the code declares. [`Registry::apply`](crate::Registry::apply) applies a configuration,
//! [`Registry::watch`](crate::Registry::watch) a file and each change of it; all of it holds, or nothing changes.

mod apply;
mod check;
mod env;
mod error;
mod file;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use guard_spec::words::{Kind, Node, Overlay};
use guard_spec::{Settings, nearest};
use serde::{Deserialize, Deserializer};

#[cfg(feature = "testing")]
pub(crate) use self::apply::Applied;
pub use self::apply::{Change, Report, Warning};
pub use self::check::Check;
use self::env::Variable;
pub use self::error::{ConfigError, Mistake};
use self::error::{Found, Source};
pub use self::watch::Watch;

/// The settings of many policies: a table for each, defaults for all, and variables of the environment.
///
/// ```
/// use apiguard::{Rate, Settings, config::Config};
///
/// let config: Config = r#"
///     [policies."stripe.charges"]
///     rate = "100/s"
/// "#.parse()?;
/// let report = apiguard::registry().apply(&config)?;
/// for warning in report.warnings() {
///     println!("{warning}"); // no policy of this program has the name `stripe.charges`
/// }
///
/// // For a policy that is made at run time, and is in no registry:
/// let settings = config.settings("stripe.charges", Settings::new().rate(Rate::per_second(5)))?;
/// assert_eq!(settings.rate_limit(), Some(&Rate::per_second(100)));
///
/// let wrong = "[policies.search]\nrate = '0/s'\nretires = 3".parse::<Config>().unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "2:8: policies.search.rate = \"0/s\" never admits a call; write at least `1/s`\n\
///      3:1: policies.search.retires is no setting; did you mean `retries`?"
/// );
/// # Ok::<(), apiguard::config::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Config {
    source: Arc<Source>,
    defaults: Overlay,
    policies: BTreeMap<String, Table>,
    env: Vec<Variable>,
}

/// What is said of one policy.
#[derive(Clone)]
struct Table {
    overlay: Overlay,
    /// Where its name stands.
    at: Option<usize>,
}

impl Config {
    /// The longest file or text that is read, in bytes: 1 MiB.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Reads a TOML file.
    ///
    /// This reads the file at once: in an async program call it while that starts, and leave later changes to
    /// [`watch`](crate::Registry::watch).
    ///
    /// # Errors
    /// When there is no such file, when it is a directory or a pipe, empty (as a file is that is being written), longer than
    /// 1 MiB or not UTF-8; else everything that is wrong with it, with line and column.
    pub fn read(path: impl AsRef<Path>) -> Result<Config, ConfigError> {
        let path = path.as_ref();
        file::read(path).and_then(|bytes| Config::from_bytes(bytes, path))
    }

    fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Config, ConfigError> {
        let text = file::text(bytes, path)?;
        Config::from_source(Source::new(Some(path.display().to_string()), text))
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// When it is longer than 1 MiB; else everything that is wrong with it, with line and column.
    pub fn from_toml(text: &str) -> Result<Config, ConfigError> {
        if text.len() > Config::MOST_BYTES {
            return Err(ConfigError::of_file(None, file::TOO_LONG, None));
        }
        Config::from_source(Source::new(None, text))
    }

    fn from_source(source: Source) -> Result<Config, ConfigError> {
        let source = Arc::new(source);
        let root = file::parse(&source)?;
        Config::from_node(&root, source)
    }

    fn from_node(root: &Node, source: Arc<Source>) -> Result<Config, ConfigError> {
        let mut found = Found::default();
        let mut config = Config { source, defaults: Overlay::default(), policies: BTreeMap::new(), env: Vec::new() };
        let Kind::Table(entries) = &root.kind else {
            found.add(&config.source, "", Some(root.shown()), "is not a table; write `[policies.name]`", root.at);
            return Err(found.into_error());
        };
        let mut seen: Vec<&str> = Vec::new();
        for entry in entries {
            let key = error::key(&entry.key);
            if seen.contains(&entry.key.as_str()) {
                found.add(&config.source, &key, None, "is set twice; remove one", entry.at);
                continue;
            }
            match entry.key.as_str() {
                "defaults" => match Overlay::read(&entry.value) {
                    Ok(overlay) => config.defaults = overlay,
                    Err(mistakes) => found.extend(&config.source, "defaults", mistakes),
                },
                "policies" => config.read_policies(&entry.value, &mut found),
                _ => found.add(&config.source, &key, None, &no_table(&entry.key), entry.at),
            }
            if matches!(entry.key.as_str(), "defaults" | "policies") {
                seen.push(&entry.key);
            }
        }
        found.into_result().map(|()| config)
    }

    fn read_policies(&mut self, node: &Node, found: &mut Found) {
        let Kind::Table(entries) = &node.kind else {
            let advice = "is not a table; write `[policies.\"its.name\"]` above the settings of a policy";
            return found.add(&self.source, "policies", Some(node.shown()), advice, node.at);
        };
        for entry in entries {
            let path = format!("policies.{}", error::key(&entry.key));
            if self.policies.contains_key(&entry.key) {
                found.add(&self.source, &path, None, "is set twice; remove one", entry.at);
                continue;
            }
            if let Some((dotted, at)) = dotted(&entry.key, &entry.value) {
                let advice = format!("has a name with dots; write it in quotes, `[policies.{dotted:?}]`");
                found.add(&self.source, &path, None, &advice, at);
                continue;
            }
            match Overlay::read(&entry.value) {
                Ok(overlay) => drop(self.policies.insert(entry.key.clone(), Table { overlay, at: entry.at })),
                Err(mistakes) => found.extend(&self.source, &path, mistakes),
            }
        }
    }

    /// Lays the variables of the environment that begin with `APIGUARD_` over it.
    ///
    /// `APIGUARD_<POLICY>_<KEY>`: the policy's name in upper case, each character but ASCII letters and digits as `_`, and a key
    /// of its table: `APIGUARD_STRIPE_CHARGES_RATE=50/s` is `rate = "50/s"` for `stripe.charges`. The value is a text
    /// without quotes, or any value in TOML (`3`, `{ max = 3, base = "200ms" }`, `["100/m", "5000/h"]`). A variable that names
    /// no policy is a [`Warning`]; one that names two (`a.b` and `a-b`) is a mistake.
    #[must_use]
    pub fn with_env(self) -> Config {
        self.with_vars(std::env::vars_os())
    }

    /// [`with_env`](Config::with_env) with these variables.
    #[must_use]
    pub fn with_vars<K, V>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Config
    where
        K: Into<std::ffi::OsString>,
        V: Into<std::ffi::OsString>,
    {
        self.env.extend(vars.into_iter().filter_map(|(name, value)| Variable::of(&name.into(), value.into())));
        self.env.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The settings of a policy of this name whose code declares others: for those that are made at run time.
    ///
    /// # Errors
    /// When the two contradict each other; then with everything that is wrong.
    pub fn settings(&self, name: &str, declared: Settings) -> Result<Settings, ConfigError> {
        let mut found = Found::default();
        let env = env::resolve(&self.env, &[name], &mut found);
        let settings = self.merged(name, env.overlays.get(name), &declared, &mut found);
        found.into_result().map(|()| settings)
    }

    /// The names of the policies that have a table, in their order.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(String::as_str)
    }
}

/// What to say of a table that is none of ours.
fn no_table(name: &str) -> String {
    let meant = if name == "policy" { Some("policies") } else { nearest(name, ["defaults", "policies"]) };
    match meant {
        Some(meant) => format!("is no table of a configuration; did you mean `{meant}`?"),
        None if guard_spec::words::names().any(|key| key == name) => {
            "stands in no table; write `[policies.\"its.name\"]` or `[defaults]` above it".into()
        }
        None => format!("is no table of a configuration; write `[policies.{}]`, or `[defaults]`", error::key(name)),
    }
}

/// The whole name of `[policies.stripe.charges]`, which TOML reads as a table in a table, and where its rest stands.
fn dotted(name: &str, node: &Node) -> Option<(String, Option<usize>)> {
    let Kind::Table(entries) = &node.kind else { return None };
    let inner = entries.iter().find(|entry| {
        matches!(entry.value.kind, Kind::Table(_)) && guard_spec::words::names().all(|key| key != entry.key)
    })?;
    // One level more is enough to see what was meant.
    let mut name: String = name.chars().take(60).collect();
    name.push('.');
    name.extend(inner.key.chars().take(60));
    Some((name, inner.at))
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Config, ConfigError> {
        Config::from_toml(text)
    }
}

/// From any format that serde reads: a table `defaults`, and a table `policies` with a table for each name.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        let root = Node::deserialize(deserializer)?;
        Config::from_node(&root, Arc::new(Source::new(None, ""))).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("source", &self.source.name)
            .field("policies", &self.policies.len())
            .field("variables", &self.env.len())
            .finish_non_exhaustive()
    }
}
