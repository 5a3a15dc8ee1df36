//! All policies that are linked into the program, whether they have been used or not.
//!
//! `#[guarded]` and `policy!` leave an entry at link time (`inventory`). A crate that nothing in the program names is not
//! linked, and neither are its policies: name it once (`use payments as _;`).

mod table;

use crate::{Events, Policy, Snapshot, telemetry};

/// The entry of one policy.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Registration(pub &'static Policy);

inventory::collect!(Registration);

/// Every policy that is linked into the program.
///
/// ```
/// for policy in apiguard::registry().iter() {
///     println!("{}", policy.snapshot());
/// }
/// ```
pub fn registry() -> Registry {
    Registry(())
}

/// See [`registry`].
///
/// Displays as a table of all policies that fits in 120 columns: settings, breaker and what each has done.
///
/// ```
/// println!("{}", apiguard::registry());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Registry(());

impl Registry {
    /// The policies in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = &'static Policy> {
        let mut policies: Vec<_> = inventory::iter::<Registration>().map(|entry| entry.0).collect();
        policies.sort_by_key(|policy| policy.name());
        policies.into_iter()
    }

    /// The policy of this name; of several with one name (see [`duplicates`](Registry::duplicates)), any.
    pub fn get(self, name: &str) -> Option<&'static Policy> {
        inventory::iter::<Registration>().map(|entry| entry.0).find(|policy| policy.name() == name)
    }

    /// How every policy stands and what it has done, in the order of their names.
    pub fn snapshots(self) -> Vec<Snapshot> {
        self.iter().map(Policy::snapshot).collect()
    }

    /// What happens to the calls of all policies from now on, those that are not in the registry included: see
    /// [`Policy::subscribe`].
    pub fn subscribe(self) -> Events {
        #[cfg(feature = "testing")]
        if let Some(scope) = crate::testing::scope() {
            return scope.all().subscribe();
        }
        telemetry::ALL.subscribe()
    }

    /// Names that more than one policy has. Give each its own with `name = "…"`.
    pub fn duplicates(self) -> Vec<&'static str> {
        let names: Vec<_> = self.iter().map(Policy::name).collect();
        let mut twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        twice
    }
}
