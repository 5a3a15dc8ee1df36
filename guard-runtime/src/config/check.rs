//! The start-up check: what is worth a look before the first call.

use std::fmt;

use super::apply::{Change, Warning, changes, with_applied};
use crate::Registry;

/// What [`Registry::check`] found. Displays one finding a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Check {
    /// Names that more than one policy has: a table of that name is for all of them.
    pub duplicates: Vec<&'static str>,
    /// Settings that are other than the code declares, by the configuration that was applied last: before is what the code
    /// declares.
    pub overridden: Vec<Change>,
    /// What may be a mistake in the configuration that was applied last, policies that nobody has among it.
    pub warnings: Vec<Warning>,
}

impl Check {
    /// Whether there is nothing that may be a mistake. (Settings that a configuration overrides are none.)
    pub fn is_clean(&self) -> bool {
        self.duplicates.is_empty() && self.warnings.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in &self.duplicates {
            write!(
                f,
                "{separator}warning: several policies have the name {name:?}; give each its own with `name = …`"
            )?;
            separator = "\n";
        }
        for warning in &self.warnings {
            write!(f, "{separator}warning: {warning}")?;
            separator = "\n";
        }
        for change in &self.overridden {
            write!(f, "{separator}configured: {change}")?;
            separator = "\n";
        }
        if separator.is_empty() { f.write_str("nothing to report") } else { Ok(()) }
    }
}

impl Registry {
    /// What is worth a look when a program starts, after its configuration was applied: names that several policies have,
    /// settings that the configuration overrides, policies in it that nobody has.
    ///
    /// ```
    /// let check = apiguard::registry().check();
    /// if !check.is_clean() {
    ///     eprintln!("{check}");
    /// }
    /// ```
    pub fn check(self) -> Check {
        with_applied(|applied| {
            let overridden =
                self.iter().flat_map(|policy| changes(policy, &applied.declared(policy), &policy.settings())).collect();
            Check { duplicates: self.duplicates(), overridden, warnings: applied.warnings.clone() }
        })
    }
}
