//! What a call is under: the whole policy, or what it has for a key. A call is generic over it, so that one without a key has
//! nothing to ask.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guard_spec::Settings;

use crate::Policy;
use crate::breaker::{BreakerState, Pass};
use crate::clock;
use crate::keys::Asked;
use crate::limiter::{Entry, Limiter, Refusal};
use crate::policy::{Here, State};

/// The part of a policy that a call is under: the whole of it, or what it has for a key.
pub trait Part<'p>: sealed::Sealed + Send + Sync {
    #[doc(hidden)]
    type Limiter: Deref<Target = Limiter> + Send + 'p;

    /// Lets an attempt through if nothing stands in its way; in which generation of the breaker.
    #[doc(hidden)]
    fn admit(&self, policy: &Policy, cost: u32, now: u64) -> Option<u32>;

    /// Takes the tokens, or a place in the line.
    #[doc(hidden)]
    fn enter(&self, policy: &Policy, cost: u32, now: u64, latest: u64) -> Result<Entry, Refusal>;

    /// Where the breaker is, unless it is as if it had just been made.
    #[doc(hidden)]
    fn known<'a>(&'a self, policy: &'a Policy) -> Option<&'a State>;

    /// The generation in which a breaker begins that is not known.
    #[doc(hidden)]
    fn first(&self, policy: &Policy) -> u32;

    /// Limits and breaker, for what changes them.
    #[doc(hidden)]
    fn state<'a>(&'a self, policy: &'a Policy) -> &'a State;

    /// The limiter, to be held by a wait.
    #[doc(hidden)]
    fn limiter(&self, policy: &Here<'p>) -> Self::Limiter;

    /// The call ends.
    #[doc(hidden)]
    fn leave(&mut self, policy: &Policy);
}

/// All calls that have no key.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// The calls of one key, by its hash. Most need no more: the state is there, and is held, once one has had to wait or has failed.
#[derive(Debug)]
pub struct Key {
    hash: u64,
    state: OnceLock<Arc<State>>,
}

impl Key {
    pub(super) fn new(hash: u64) -> Key {
        Key { hash, state: OnceLock::new() }
    }

    fn hold(&self, policy: &Policy) -> &Arc<State> {
        self.state.get_or_init(|| policy.state_of(self.hash))
    }
}

#[inline]
fn admit(State { limiter, breaker, .. }: &State, cost: u32, now: u64) -> Option<u32> {
    let Pass(generation) = breaker.pass_if_closed()?;
    limiter.take_now(cost, now).map(|_| generation)
}

impl<'p> Part<'p> for Whole {
    type Limiter = WholeLimiter<'p>;

    #[inline]
    fn admit(&self, policy: &Policy, cost: u32, now: u64) -> Option<u32> {
        admit(&policy.state, cost, now)
    }

    fn enter(&self, policy: &Policy, cost: u32, now: u64, latest: u64) -> Result<Entry, Refusal> {
        policy.state.limiter.enter(|| policy.with_settings(Settings::clone), cost, now, latest)
    }

    #[inline]
    fn known<'a>(&'a self, policy: &'a Policy) -> Option<&'a State> {
        Some(&policy.state)
    }

    fn first(&self, _: &Policy) -> u32 {
        0
    }

    #[inline]
    fn state<'a>(&'a self, policy: &'a Policy) -> &'a State {
        &policy.state
    }

    fn limiter(&self, policy: &Here<'p>) -> WholeLimiter<'p> {
        WholeLimiter(policy.again())
    }

    #[inline]
    fn leave(&mut self, _: &Policy) {}
}

impl<'p> Part<'p> for Key {
    type Limiter = KeyLimiter;

    #[inline]
    fn admit(&self, policy: &Policy, cost: u32, now: u64) -> Option<u32> {
        if let Some(state) = self.state.get() {
            return admit(state, cost, now);
        }
        // All keys may be forced open or closed.
        policy.state.breaker.pass_if_closed()?;
        match policy.keys.ask(self.hash, cost, now) {
            Asked::Taken(_, Pass(generation)) => Some(generation),
            Asked::State(state) => {
                policy.bring_up_to_date(&state);
                admit(self.state.get_or_init(|| state), cost, now)
            }
            Asked::Short(..) | Asked::Stateless => None,
        }
    }

    fn enter(&self, policy: &Policy, cost: u32, now: u64, latest: u64) -> Result<Entry, Refusal> {
        if self.state.get().is_none() {
            match policy.keys.ask(self.hash, cost, now) {
                Asked::Taken(full_at, _) => return Ok(Entry::taken(cost, now, full_at)),
                Asked::Short(rate, _) if cost > rate.burst() => {
                    return Err(Refusal::Never { cost, most: rate.burst() });
                }
                Asked::Short(rate, full_at) => {
                    // Who is too late needs no place.
                    let turn = rate.turn(full_at, cost, now);
                    if turn > latest {
                        return Err(Refusal::NotYet { retry_after: Duration::from_nanos(turn.saturating_sub(now)) });
                    }
                }
                Asked::State(_) | Asked::Stateless => {}
            }
        }
        self.hold(policy).limiter.enter(|| policy.with_settings(Settings::clone), cost, now, latest)
    }

    #[inline]
    fn known<'a>(&'a self, policy: &'a Policy) -> Option<&'a State> {
        if let Some(state) = self.state.get() {
            return Some(state);
        }
        if let Some(state) = policy.known_state(self.hash) {
            return Some(self.state.get_or_init(|| state));
        }
        // All keys are forced open.
        let all = &policy.state;
        let is_forced = all.breaker.pass_if_closed().is_none() && all.breaker.state() == BreakerState::ForcedOpen;
        is_forced.then_some(all)
    }

    fn first(&self, policy: &Policy) -> u32 {
        policy.keys.first(self.hash).0
    }

    #[inline]
    fn state<'a>(&'a self, policy: &'a Policy) -> &'a State {
        self.hold(policy)
    }

    fn limiter(&self, policy: &Here<'p>) -> KeyLimiter {
        KeyLimiter(Arc::clone(self.hold(policy)))
    }

    #[inline]
    fn leave(&mut self, policy: &Policy) {
        if let Some(state) = self.state.take() {
            policy.keys.leave(self.hash, state, clock::now());
        }
    }
}

/// The limiter of a policy.
#[derive(Debug)]
pub struct WholeLimiter<'p>(Here<'p>);

impl Deref for WholeLimiter<'_> {
    type Target = Limiter;

    #[inline]
    fn deref(&self) -> &Limiter {
        &self.0.state.limiter
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
