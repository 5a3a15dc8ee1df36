//! A configuration is applied: all settings are made and checked first, then the policies change, one after another.
//!
//! The settings that the code declares are kept from the first time that a configuration says something of a policy. What
//! [`Policy::configure`] changes later is the code's word, too: the keys that differ from what was applied are taken over.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use guard_spec::words::{self, Overlay};
use guard_spec::{Settings, nearest};

use super::error::{Found, write_place};
use super::{Config, ConfigError, env, error};
use crate::{Policy, PolicyName, Registry};

/// What was applied last.
pub(crate) struct Applied {
    /// By the address of a policy, which is never dropped.
    policies: BTreeMap<usize, Kept>,
    pub(super) warnings: Vec<Warning>,
}

struct Kept {
    declared: Settings,
    applied: Settings,
}

static APPLIED: Mutex<Applied> = Mutex::new(Applied::new());

/// That of the program; in a test's scope, that of the scope.
pub(super) fn with_applied<T>(read: impl FnOnce(MutexGuard<'_, Applied>) -> T) -> T {
    // Nothing below panics between two changes of it; if it did, what was applied would be told wrong, and no more.
    let locked = |applied| Mutex::lock(applied).unwrap_or_else(PoisonError::into_inner);
    #[cfg(feature = "testing")]
    if let Some(scope) = crate::testing::scope() {
        return read(locked(scope.applied()));
    }
    read(locked(&APPLIED))
}

impl Applied {
    pub(crate) const fn new() -> Applied {
        Applied { policies: BTreeMap::new(), warnings: Vec::new() }
    }

    /// What the code declares, as far as it is known by now.
    pub(super) fn declared(&self, policy: &'static Policy) -> Settings {
        let now = policy.settings();
        match self.policies.get(&address(policy)) {
            Some(kept) => Overlay::between(&kept.applied, &now).over(kept.declared),
            None => now,
        }
    }
}

fn address(policy: &'static Policy) -> usize {
    std::ptr::from_ref(policy).addr()
}

/// A key of a policy whose value changed. Displays as `search.rate: "20/s" -> "50/s"`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The policy's name.
    pub policy: PolicyName,
    /// The key.
    pub key: &'static str,
    /// Its value before, as it is written in a file; `None` where it was not set.
    pub before: Option<String>,
    /// Its value now.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = "not set";
        let (before, after) = (self.before.as_deref().unwrap_or(none), self.after.as_deref().unwrap_or(none));
        write!(f, "{}.{}: {before} -> {after}", self.policy, self.key)
    }
}

pub(super) fn changes(policy: &Policy, before: &Settings, after: &Settings) -> Vec<Change> {
    let value = |settings: &Settings, key| settings.written(key).map(|node| node.to_string());
    let change = |key| {
        let (before, after) = (value(before, key), value(after, key));
        Change { policy: policy.policy_name().clone(), key, before, after }
    };
    Overlay::between(before, after).keys().map(change).collect()
}

/// Something that is no mistake, and may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The file has a table for a policy that is not in this program: a file may serve several programs.
    #[non_exhaustive]
    UnknownPolicy {
        /// The name in the file.
        name: String,
        /// The path of the file.
        file: Option<String>,
        /// Line and column.
        position: Option<(usize, usize)>,
        /// The name that is near.
        nearest: Option<String>,
    },
    /// A variable of the environment begins with `APIGUARD_` and is no setting of a policy.
    #[non_exhaustive]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The name that is near.
        nearest: Option<String>,
    },
    /// A policy is given retries or a timeout where its code declares none: a function with settings of its own was compiled
    /// without the code for it. (Functions with `policy = …`, and `Policy::call`, have it.)
    #[non_exhaustive]
    NotCompiled {
        /// The key.
        key: &'static str,
        /// The policies.
        policies: Vec<PolicyName>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meant = |f: &mut fmt::Formatter<'_>, nearest: &Option<String>| match nearest {
            Some(nearest) => write!(f, "; did you mean {nearest:?}?"),
            None => Ok(()),
        };
        match self {
            Warning::UnknownPolicy { name, file, position, nearest } => {
                write_place(f, file.as_deref(), *position)?;
                write!(f, "policies.{} names no policy of this program", error::key(name))?;
                meant(f, nearest)
            }
            Warning::UnknownVariable { name, nearest } => {
                write!(f, "{name} names no setting of a policy of this program")?;
                meant(f, nearest)
            }
            Warning::NotCompiled { key, policies } => {
                write!(f, "{key} is not declared in the code of ")?;
                for (index, policy) in policies.iter().enumerate().take(5) {
                    write!(f, "{}{policy}", if index == 0 { "" } else { ", " })?;
                }
                if policies.len() > 5 {
                    write!(f, " and {} more", policies.len() - 5)?;
                }
                f.write_str(": a function with settings of its own has no code for it; declare it in the attribute")
            }
        }
    }
}

/// What became of a configuration. Displays one change and one warning a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    changes: Vec<Change>,
    overridden: Vec<Change>,
    warnings: Vec<Warning>,
}

impl Report {
    /// The settings that are other than before.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The settings that are other than the code declares: before is what it declares.
    pub fn overridden(&self) -> &[Change] {
        &self.overridden
    }

    /// What may be a mistake.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            f.write_str("no setting changed")?;
        }
        for (index, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if index == 0 { "" } else { "\n" })?;
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

impl Config {
    /// The settings of a policy, checked.
    pub(super) fn merged(&self, name: &str, env: Option<&Overlay>, declared: &Settings, found: &mut Found) -> Settings {
        let table = self.policies.get(name);
        let mut settings = self.defaults.under(*declared);
        for overlay in table.map(|table| &table.overlay).into_iter().chain(env) {
            settings = overlay.over(settings);
        }
        let key = format!("policies.{}", error::key(name));
        for problem in settings.problems().iter() {
            // Where it was written, or else what made it a problem: the table, or the defaults.
            let of = |overlay: &Overlay| words::Mistake::of(&problem, overlay);
            let head = problem.field().name().split('.').next().unwrap_or_default();
            let says = |overlay: &Overlay| overlay.keys().any(|key| key == head);
            let mistake = if let Some(env) = env.filter(|env| says(env)) {
                words::Mistake { at: None, ..of(env) }
            } else if let Some(table) = table.filter(|table| says(&table.overlay)) {
                of(&table.overlay)
            } else {
                let by_default = says(&self.defaults) && settings.written(head) != declared.written(head);
                let mut mistake = if by_default { of(&self.defaults) } else { of(&Overlay::default()) };
                let origin = if by_default { "of the defaults" } else { "of the code, with what is configured" };
                mistake.advice = format!("({origin}) {}", mistake.advice);
                let first = || self.defaults.places().first().and_then(|place| place.at);
                mistake.at = mistake.at.or_else(|| table.map_or_else(first, |table| table.at));
                mistake
            };
            found.extend(&self.source, &key, vec![mistake]);
        }
        settings
    }
}

impl Registry {
    /// Applies a configuration to the policies of the program, while calls run and wait.
    ///
    /// For each key of a policy the strongest word holds: a variable of the environment ([`Config::with_env`]), the
    /// policy's table, what the code declares, `[defaults]`. A key that an earlier configuration set and this one does not
    /// goes back to what the code declares. The settings change as by [`Policy::configure`]: nothing that was taken is
    /// forgotten, and a breaker whose settings stay keeps its state. A policy of which neither this configuration nor the one
    /// before says anything is left alone. There is one configuration at a time: this one takes the place of the one before it.
    ///
    /// What the code declares is what it had declared, or configured, when a configuration first said something of the policy;
    /// keys that [`Policy::configure`] changes later are declared anew by that.
    ///
    /// A function that was compiled without retries, or without a timeout, has no code for them ([`Warning::NotCompiled`]).
    ///
    /// ```
    /// use apiguard::{config::Config, guarded, registry};
    ///
    /// #[guarded(name = "shop.suggestions", rate = "20/s", timeout = "5s")]
    /// async fn suggestions() -> Result<(), apiguard::Error<std::io::Error>> {
    ///     Ok(())
    /// }
    ///
    /// let config: Config = "[policies.'shop.suggestions']\nrate = '50/s'".parse()?;
    /// let report = registry().apply(config)?;
    /// assert_eq!(report.to_string(), r#"shop.suggestions.rate: "20/s" -> "50/s""#);
    /// # Ok::<(), apiguard::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong, of all policies: settings of the file and of the code that contradict each other, and variables
    /// of the environment. Then no policy has changed.
    pub fn apply(self, config: impl Borrow<Config>) -> Result<Report, ConfigError> {
        with_applied(|applied| self.apply_over(applied, config.borrow()))
    }

    fn apply_over(self, mut applied: MutexGuard<'_, Applied>, config: &Config) -> Result<Report, ConfigError> {
        let policies: Vec<&'static Policy> = self.iter().collect();
        let names: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
        let mut found = Found::default();
        let env = env::resolve(&config.env, &names, &mut found);
        let mut plans = Vec::new();
        let mut checked: Option<(&str, Settings)> = None;
        for policy in &policies {
            let (name, now, declared) = (policy.name(), policy.settings(), applied.declared(policy));
            // Of policies that are the same in name and code a mistake is told once.
            let mut told = Found::default();
            let is_again = checked == Some((name, declared));
            let found = if is_again { &mut told } else { &mut found };
            let settings = config.merged(name, env.overlays.get(name), &declared, found);
            checked = Some((name, declared));
            plans.push((*policy, now, declared, settings));
        }
        found.into_result()?;

        let mut report = Report { warnings: config.unknown(&names, &env), ..Report::default() };
        let mut to_tell = Vec::new();
        for (policy, now, declared, settings) in &plans {
            report.changes.extend(changes(policy, now, settings));
            report.overridden.extend(changes(policy, declared, settings));
            if now != settings {
                let here = policy.here();
                let whom = here.change(settings);
                to_tell.push((here, whom));
            }
            if declared == settings {
                applied.policies.remove(&address(policy));
            } else {
                applied.policies.insert(address(policy), Kept { declared: *declared, applied: *settings });
            }
        }
        report.warnings.extend(not_compiled(&plans));
        applied.warnings.clone_from(&report.warnings);
        drop(applied);
        // Wakers and subscribers are code of the user's, which may apply a configuration.
        for (policy, whom) in to_tell {
            policy.tell(whom);
        }
        Ok(report)
    }
}

/// Retries and timeouts that the code does not declare.
fn not_compiled(plans: &[(&'static Policy, Settings, Settings, Settings)]) -> Vec<Warning> {
    ["retries", "timeout", "attempt_timeout"]
        .into_iter()
        .filter_map(|key| {
            let lacks = |declared: &Settings, settings: &Settings| {
                declared.written(key).is_none() && settings.written(key).is_some()
            };
            let policies: Vec<_> = plans
                .iter()
                .filter(|(_, _, declared, settings)| lacks(declared, settings))
                .map(|(policy, ..)| policy.policy_name().clone())
                .collect();
            (!policies.is_empty()).then_some(Warning::NotCompiled { key, policies })
        })
        .collect()
}

impl Config {
    /// The policies and the variables that are not in this program.
    fn unknown(&self, names: &[&str], env: &env::Resolved) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (name, table) in &self.policies {
            if names.binary_search(&name.as_str()).is_err() {
                // Each takes a while.
                let near = if warnings.len() < 20 { nearest(name, names.iter().copied()) } else { None };
                warnings.push(Warning::UnknownPolicy {
                    name: name.clone(),
                    file: self.source.name.clone(),
                    position: table.at.and_then(|at| self.source.position(at)),
                    nearest: near.map(str::to_owned),
                });
            }
        }
        let variable = |(name, nearest): &(String, Option<String>)| Warning::UnknownVariable {
            name: name.clone(),
            nearest: nearest.clone(),
        };
        warnings.extend(env.unknown.iter().map(variable));
        warnings
    }
}
