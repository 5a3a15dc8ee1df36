//! Variables of the environment: `APIGUARD_<POLICY>_<KEY>`.
//!
//! The names are made from those of the policies and not taken apart: `APIGUARD_A_ATTEMPT_TIMEOUT` is `attempt_timeout` of `a` or
//! `timeout` of `a.attempt`, by which of them there is; with both it is a mistake.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use guard_spec::nearest;
use guard_spec::words::{Kind, Node, Overlay, names};

use super::error::Found;
use super::file;

const PREFIX: &str = "APIGUARD_";
/// No setting is longer.
const LONGEST: usize = 64 * 1024;

/// A variable that begins as ours do.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    /// `None` for one that is no text.
    value: Option<String>,
}

impl Variable {
    pub(super) fn of(name: &OsStr, value: OsString) -> Option<Variable> {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) {
            return None;
        }
        Some(Variable { name: name.into_owned(), value: value.into_string().ok() })
    }

    /// The value: what is written as TOML, or a text without quotes.
    fn node(&self) -> Result<Node, String> {
        let Some(value) = &self.value else { return Err("is not UTF-8".into()) };
        let value = value.trim();
        if value.len() > LONGEST {
            return Err("is longer than 64 KiB".into());
        }
        let is_written = value.starts_with(['{', '[', '"', '\'']);
        match if value.contains('\n') { Err("more than one line".into()) } else { file::value(value) } {
            Ok(node) => Ok(node),
            Err(error) if is_written => Err(format!("is no TOML: {error}")),
            Err(_) => Ok(Kind::Text(value.to_owned()).into()),
        }
    }
}

/// What the environment says.
#[derive(Default)]
pub(super) struct Resolved {
    /// By the policy's name.
    pub(super) overlays: BTreeMap<String, Overlay>,
    /// Variables that name no policy, and what was meant perhaps.
    pub(super) unknown: Vec<(String, Option<String>)>,
}

/// A policy's name as it is written in a variable's.
fn upper(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

pub(super) fn resolve(variables: &[Variable], policies: &[&str], found: &mut Found) -> Resolved {
    let mut resolved = Resolved::default();
    if variables.is_empty() {
        return resolved;
    }
    let mut known: BTreeMap<String, Vec<(&str, &'static str)>> = BTreeMap::new();
    for policy in policies {
        for key in names() {
            let name = format!("{PREFIX}{}_{}", upper(policy), upper(key));
            let meanings = known.entry(name).or_default();
            // Several policies may have one name.
            if !meanings.contains(&(*policy, key)) {
                meanings.push((*policy, key));
            }
        }
    }
    for variable in variables {
        let Some(meanings) = known.get(&variable.name) else {
            // Each takes a while.
            let few = resolved.unknown.len() < 20;
            let near = few.then(|| nearest_name(&variable.name, known.keys())).flatten();
            resolved.unknown.push((variable.name.chars().take(100).collect(), near));
            continue;
        };
        let name = variable.name.clone();
        let [(policy, key)] = meanings[..] else {
            let all: Vec<_> = meanings.iter().map(|(policy, key)| format!("`{key}` of {policy:?}")).collect();
            let advice = format!("is {}; set it in the file", all.join(" and "));
            found.add_variable(name, None, advice);
            continue;
        };
        let node = match variable.node() {
            Ok(node) => node,
            Err(advice) => {
                found.add_variable(name, None, advice);
                continue;
            }
        };
        match Overlay::read_one(key, &node) {
            Ok(overlay) => resolved.overlays.entry(policy.to_owned()).or_default().and(overlay),
            Err(mistakes) => {
                for mistake in mistakes {
                    let inner = mistake.path.strip_prefix(key).unwrap_or_default();
                    found.add_variable(format!("{name}{inner}"), mistake.value, mistake.advice);
                }
            }
        }
    }
    resolved
}

/// [`nearest`] compares in lower case, and few letters.
fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let known: Vec<String> = known.map(|name| name.to_lowercase()).collect();
    nearest(name, known.iter().map(String::as_str)).map(str::to_uppercase)
}
