//! What a call is under: the whole policy, or what it has for a key. A call is generic over it, so that one without a key has
//! nothing to ask.

use std::ops::Deref;
use std::sync::Arc;

use crate::Policy;
use crate::limiter::Limiter;
use crate::policy::State;

/// The part of a policy that a call is under: the whole of it, or what it has for a key.
pub trait Part<'p>: sealed::Sealed + Send + Sync {
    #[doc(hidden)]
    type Limiter: Deref<Target = Limiter> + Send + 'p;

    #[doc(hidden)]
    fn state<'a>(&'a self, policy: &'a Policy) -> &'a State;

    /// The limiter, to be held by a wait.
    #[doc(hidden)]
    fn limiter(&self, policy: &'p Policy) -> Self::Limiter;
}

/// All calls that have no key.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// The calls of one key.
#[derive(Debug)]
pub struct Key(pub(super) Arc<State>);

impl<'p> Part<'p> for Whole {
    type Limiter = &'p Limiter;

    #[inline]
    fn state<'a>(&'a self, policy: &'a Policy) -> &'a State {
        &policy.state
    }

    fn limiter(&self, policy: &'p Policy) -> &'p Limiter {
        &policy.state.limiter
    }
}

impl<'p> Part<'p> for Key {
    type Limiter = KeyLimiter;

    #[inline]
    fn state<'a>(&'a self, _: &'a Policy) -> &'a State {
        &self.0
    }

    fn limiter(&self, _: &'p Policy) -> KeyLimiter {
        KeyLimiter(Arc::clone(&self.0))
    }
}

/// The limiter of a key.
#[derive(Debug)]
pub struct KeyLimiter(Arc<State>);

impl Deref for KeyLimiter {
    type Target = Limiter;

    fn deref(&self) -> &Limiter {
        &self.0.limiter
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Whole {}
    impl Sealed for super::Key {}
}
