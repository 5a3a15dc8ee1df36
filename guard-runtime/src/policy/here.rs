//! Which state a call is under: the policy's own, or the fresh one that `testing::isolated` has for it where the call begins.
//!
//! Without the feature `testing` this is a reference by another name, and nothing is looked up.

use std::fmt;
use std::ops::Deref;

use super::Policy;

#[cfg(not(feature = "testing"))]
pub(crate) use self::plain::Here;
#[cfg(feature = "testing")]
pub(crate) use self::twin::Here;
#[cfg(feature = "testing")]
pub(crate) use self::twin::Kit;

impl Policy {
    /// This policy as it is here.
    #[inline]
    pub(crate) fn here(&self) -> Here<'_> {
        Here::of(self)
    }
}

impl fmt::Debug for Here<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(not(feature = "testing"))]
mod plain {
    use super::{Deref, Policy};
    use crate::event::Outlet;
    use crate::telemetry;

    pub struct Here<'p>(&'p Policy);

    impl<'p> Here<'p> {
        #[inline]
        pub(crate) fn of(policy: &'p Policy) -> Here<'p> {
            Here(policy)
        }

        /// The same, for another holder.
        #[inline]
        pub(crate) fn again(&self) -> Here<'p> {
            Here(self.0)
        }
    }

    impl Deref for Here<'_> {
        type Target = Policy;

        #[inline]
        fn deref(&self) -> &Policy {
            self.0
        }
    }

    impl Policy {
        /// Where those listen who listen to all policies.
        #[allow(clippy::unused_self)] // that of a test depends on it
        pub(crate) fn outlet_of_all(&self) -> &Outlet {
            &telemetry::ALL
        }
    }
}

#[cfg(feature = "testing")]
mod twin {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use guard_spec::Settings;

    use super::{Deref, Policy};
    use crate::event::Outlet;
    use crate::{telemetry, testing};

    /// What the testing kit knows of a policy.
    pub(crate) struct Kit {
        /// What it is found by, 0 until it is asked for. (An address will not do: another policy may be there later.)
        id: AtomicU64,
        /// The settings that it was made with.
        declared: Settings,
        /// Of a fresh one that stands in for another: where those listen who listen to all policies.
        stands_in: Option<Arc<Outlet>>,
    }

    impl Kit {
        pub(crate) const fn new(settings: &Settings) -> Kit {
            Kit { id: AtomicU64::new(0), declared: *settings, stands_in: None }
        }

        fn standing_in(settings: &Settings, all: &Arc<Outlet>) -> Kit {
            Kit { id: AtomicU64::new(0), declared: *settings, stands_in: Some(Arc::clone(all)) }
        }

        fn id(&self) -> u64 {
            static LAST: AtomicU64 = AtomicU64::new(0);

            let id = self.id.load(Relaxed);
            if id != 0 {
                return id;
            }
            let new = LAST.fetch_add(1, Relaxed) + 1;
            // Two threads may ask at once: the first one names it.
            self.id.compare_exchange(0, new, Relaxed, Relaxed).map_or_else(|named| named, |_| new)
        }
    }

    impl Drop for Kit {
        /// Nobody can call the policy any more: what stands in for it ends with it, and so do its subscriptions.
        fn drop(&mut self) {
            let id = *self.id.get_mut();
            if id != 0 {
                testing::forget(id);
            }
        }
    }

    /// A policy, or the one that stands in for it.
    pub struct Here<'p>(Which<'p>);

    #[derive(Clone)]
    enum Which<'p> {
        Itself(&'p Policy),
        StandIn(Arc<Policy>),
    }

    impl<'p> Here<'p> {
        pub(crate) fn of(policy: &'p Policy) -> Here<'p> {
            let scope = if policy.kit.stands_in.is_some() { None } else { testing::scope() };
            Here(match scope {
                None => Which::Itself(policy),
                Some(scope) => Which::StandIn(scope.stand_in(policy.kit.id(), |all| policy.fresh(all))),
            })
        }

        /// The same, for another holder.
        pub(crate) fn again(&self) -> Here<'p> {
            Here(self.0.clone())
        }
    }

    impl Deref for Here<'_> {
        type Target = Policy;

        fn deref(&self) -> &Policy {
            match &self.0 {
                Which::Itself(policy) => policy,
                Which::StandIn(policy) => policy,
            }
        }
    }

    impl Policy {
        /// One of the same name and declared settings that nobody has called yet.
        fn fresh(&self, all: &Arc<Outlet>) -> Policy {
            let declared = &self.kit.declared;
            Policy { kit: Kit::standing_in(declared, all), ..Policy::unchecked(self.name.clone(), declared) }
        }

        /// Where those listen who listen to all policies.
        pub(crate) fn outlet_of_all(&self) -> &Outlet {
            self.kit.stands_in.as_deref().unwrap_or(&telemetry::ALL)
        }
    }
}
