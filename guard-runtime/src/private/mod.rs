//! What the macros write, and what this repository's own simulations need. Not for use by hand: it may change in any release.

pub mod constant;
pub mod fallback;

pub use inventory;

use std::hash::Hash;

pub use crate::call::{Admission, Call};
pub use crate::context::Heard;
pub use crate::output::Guarded;
pub use crate::policy::Policy;
pub use crate::registry::Registration;
#[cfg(feature = "testing")]
pub use crate::testing::simulation::{Simulation, simulate};
use crate::verdict::Judged;
use crate::{PolicyName, Verdict};
pub use guard_spec::{Breaker, Budget, Concurrency, Field, Jitter, Quota, Rate, Ratio, Retry, Settings, Statuses};

pub use core::option::Option::{None, Some};
pub use core::result::Result::{Err, Ok};
pub use core::time::Duration;
pub use core::{concat, module_path};

/// The choice of a verdict by the type of the outcome.
///
/// A trait for each line of the table in the module `verdict`, all with one method name. The compiler tries a receiver
/// with fewer references first, and skips a trait that the type does not implement: the first line that fits wins, and
/// no type has to opt in.
pub mod judge {
    use std::error::Error as StdError;

    use crate::Classify;
    use crate::verdict::{Judged, judge_chain};

    #[derive(Debug)]
    pub struct Good<'a, T>(pub &'a T);

    pub trait GoodClassified {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<T: Classify> GoodClassified for &Good<'_, T> {
        fn __apiguard_judge(&self) -> Judged {
            Judged::of(self.0)
        }
    }

    pub trait GoodAnything {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<T> GoodAnything for Good<'_, T> {
        #[inline]
        fn __apiguard_judge(&self) -> Judged {
            Judged::SUCCESS
        }
    }

    #[derive(Debug)]
    pub struct Bad<'a, E>(pub &'a E);

    pub trait BadClassified {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<E: Classify> BadClassified for &&&&Bad<'_, E> {
        fn __apiguard_judge(&self) -> Judged {
            Judged::of(self.0)
        }
    }

    pub trait BadBoxed {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<E: AsRef<dyn StdError + Send + Sync>> BadBoxed for &&&Bad<'_, E> {
        fn __apiguard_judge(&self) -> Judged {
            judge_chain(self.0.as_ref())
        }
    }

    pub trait BadBoxedLocal {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<E: AsRef<dyn StdError>> BadBoxedLocal for &&Bad<'_, E> {
        fn __apiguard_judge(&self) -> Judged {
            judge_chain(self.0.as_ref())
        }
    }

    pub trait BadError {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<E: StdError + 'static> BadError for &Bad<'_, E> {
        fn __apiguard_judge(&self) -> Judged {
            judge_chain(self.0)
        }
    }

    pub trait BadAnything {
        fn __apiguard_judge(&self) -> Judged;
    }

    impl<E> BadAnything for Bad<'_, E> {
        fn __apiguard_judge(&self) -> Judged {
            Judged::UNKNOWN
        }
    }
}

/// An outcome and the function that judges it. (Its fields are public, since a function of another type is then one error
/// at the function, and says which type it should have.)
#[derive(Debug)]
pub struct Classified<'a, O> {
    pub outcome: &'a O,
    pub classify: fn(&O) -> Verdict,
}

impl<O> Classified<'_, O> {
    /// The verdict.
    #[inline]
    pub fn judged(self) -> Judged {
        Judged::by((self.classify)(self.outcome))
    }
}

/// An outcome and the function that says what it has used.
#[derive(Debug)]
pub struct Used<'a, O> {
    pub outcome: &'a O,
    pub settle: fn(&O) -> u32,
}

impl<O> Used<'_, O> {
    /// The tokens.
    #[inline]
    pub fn tokens(self) -> u32 {
        (self.settle)(self.outcome)
    }
}

/// What a call is told apart by: `key = …`.
#[diagnostic::on_unimplemented(
    message = "a `key` has to be `Hash`, and `{Self}` is not",
    label = "not `Hash`",
    note = "write an expression that tells the keys apart, such as `key = tenant` or `key = (tenant, region)`"
)]
pub trait Key: Hash {}

#[diagnostic::do_not_recommend]
impl<K: Hash + ?Sized> Key for K {}

/// The key of a call.
#[inline]
pub const fn key<K: Key + ?Sized>(key: &K) -> &K {
    key
}

/// What an attempt takes of a rate: `cost = …`.
#[diagnostic::on_unimplemented(
    message = "a `cost` is a `u32`, and this is a `{Self}`",
    label = "not a `u32`",
    note = "convert it where it may be another number, for example with `u32::try_from(…).unwrap_or(u32::MAX)`; \
            a cost above the burst is rejected with `Rejected::CostTooHigh`"
)]
pub trait Cost {
    type Value;
}

#[diagnostic::do_not_recommend]
impl Cost for u32 {
    type Value = u32;
}

/// The cost of an attempt.
#[inline]
pub const fn cost<C: Cost<Value = C>>(cost: C) -> <C as Cost>::Value {
    cost
}

/// An argument that a retried body gives away. (The name is read in errors about a `Vec` or an `Option` of what has no
/// `Clone`: "required for `Vec<Order>` to implement `ClonedPerAttempt`".)
#[diagnostic::on_unimplemented(
    message = "a retried call gives `{Self}` away, and it cannot be cloned for the next attempt",
    label = "each attempt needs its own",
    note = "borrow it in the body (`&argument`), make its type `Clone`, or turn retries off with `retries = 0`"
)]
pub trait ClonedPerAttempt: Sized {
    /// A clone for one attempt.
    #[must_use]
    fn for_attempt(&self) -> Self;
}

impl<T: Clone> ClonedPerAttempt for T {
    #[inline]
    fn for_attempt(&self) -> T {
        self.clone()
    }
}

/// An argument that a body gives away and a fallback needs, without retries.
#[diagnostic::on_unimplemented(
    message = "the body gives `{Self}` away, and it cannot be cloned for the fallback",
    label = "the fallback needs its own",
    note = "borrow it in the body (`&argument`), or make its type `Clone`"
)]
pub trait ClonedForFallback: Sized {
    /// A clone for the only attempt.
    #[must_use]
    fn for_attempt(&self) -> Self;
}

impl<T: Clone> ClonedForFallback for T {
    #[inline]
    fn for_attempt(&self) -> T {
        self.clone()
    }
}

/// A `self` that a retried body gives away: it cannot be made anew, so it has to be `Copy`.
#[diagnostic::on_unimplemented(
    message = "a retried call gives `self` away, and `{Self}` is not `Copy`",
    label = "each attempt needs its own",
    note = "take `&self`, clone it in the body (`self.clone()`), or turn retries off with `retries = 0`"
)]
pub trait SelfGivenAway {}

#[diagnostic::do_not_recommend]
impl<T: Copy> SelfGivenAway for T {}

/// As [`SelfGivenAway`], for a body that runs once and has a fallback.
#[diagnostic::on_unimplemented(
    message = "the body gives `self` away, and `{Self}` is not `Copy`",
    label = "the fallback needs its own",
    note = "take `&self`, or clone it in the body (`self.clone()`)"
)]
pub trait SelfGivenAwayOnce {}

#[diagnostic::do_not_recommend]
impl<T: Copy> SelfGivenAwayOnce for T {}

/// Does nothing: the bound is the point.
#[inline]
pub const fn self_given_away_once<T: SelfGivenAwayOnce>(_: &T) {}

/// Does nothing: the bound is the point.
#[inline]
pub const fn self_given_away<T: SelfGivenAway>(_: &T) {}

/// Says what is wrong with one setting, if anything.
///
/// # Panics
/// With that, in `const` evaluation: a compile error where the call stands.
#[track_caller]
pub const fn check(settings: &Settings, field: Field, index: usize) {
    settings.check(field, index);
}

/// A policy whose settings have been checked: literals by the macro, constants by [`check`]. Checking them again would be most of
/// what the compiler does for it.
pub const fn policy(name: &'static str, settings: &Settings) -> Policy {
    Policy::unchecked(PolicyName::new(name), settings)
}

/// Settings whose mistakes [`check`] reports: none are left of wrong ones, so that each is reported once.
pub const fn checked_above(settings: Settings) -> Settings {
    if settings.problems().is_empty() { settings } else { Settings::new() }
}

/// A place that holds a policy: what stands behind `policy =`.
#[diagnostic::on_unimplemented(
    message = "`policy` needs a policy, and this is a `{Self}`",
    label = "not a policy",
    note = "write a place of type `Policy`, `&Policy` or `Arc<Policy>`, such as a static that `apiguard::policy!` declares"
)]
pub trait Place {
    /// What a call holds on to: an `Arc` is cloned, so that the place is free while the call runs.
    type Held<'a>: core::ops::Deref<Target = Policy>
    where
        Self: 'a;

    /// Takes hold of the policy.
    fn hold(&self) -> Self::Held<'_>;
}

#[diagnostic::do_not_recommend]
impl Place for Policy {
    type Held<'a> = &'a Policy;

    #[inline]
    fn hold(&self) -> &Policy {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<'p> Place for &'p Policy {
    type Held<'a>
        = &'p Policy
    where
        Self: 'a;

    #[inline]
    fn hold(&self) -> &'p Policy {
        self
    }
}

#[diagnostic::do_not_recommend]
impl Place for std::sync::Arc<Policy> {
    type Held<'a> = std::sync::Arc<Policy>;

    #[inline]
    fn hold(&self) -> std::sync::Arc<Policy> {
        std::sync::Arc::clone(self)
    }
}

/// Drops an outcome that a retry replaces.
#[cold]
pub fn let_go<T>(outcome: Option<T>) {
    drop(outcome);
}
