//! A policy: a name, settings, and the state that they govern. Plain atomics, made in a `static`, shared by path.

mod builder;
mod calls;
mod here;
mod live;
mod snapshot;
mod state;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use guard_spec::{Breaker, Budget, InvalidSettings, Retry, Settings};

pub use self::builder::PolicyBuilder;
pub(crate) use self::here::Here;
#[cfg(feature = "testing")]
use self::here::Kit;
use self::live::{Live, Timeouts};
use self::snapshot::LastChange;
pub use self::snapshot::{InWindow, Outcomes, Rejections, Snapshot, Transition, Unenforced};
pub(crate) use self::state::State;
use self::state::ToTell;
use crate::breaker::{BreakerState, Change};
use crate::budget::Account;
use crate::counters::Counters;
use crate::event::{EventKind, Events, Outlet};
use crate::keys::{Form, Keys};
use crate::{PolicyName, clock, telemetry};

/// The rules for calling one service, and what they have seen of it so far.
///
/// A guarded function has one of its own, or shares one by its path:
///
/// ```
/// use apiguard::{Breaker, Policy, Rate, Settings};
///
/// static STRIPE: Policy = Policy::new(
///     "stripe",
///     Settings::new().rate(Rate::per_second(100).burst(20)).breaker(Breaker::consecutive(5)),
/// );
/// assert_eq!(STRIPE.snapshot().name, "stripe");
/// ```
///
/// (`policy!` does the same and lists it in the registry.)
pub struct Policy {
    name: PolicyName,
    live: Live,
    pub(crate) state: State,
    /// What there is for each key of the calls that have one.
    pub(crate) keys: Keys,
    pub(crate) counters: Counters,
    pub(crate) budget: Account,
    last_change: LastChange,
    outlet: Outlet,
    #[cfg(feature = "testing")]
    kit: Kit,
}

impl Policy {
    /// A policy with these settings, full buckets and a closed breaker.
    ///
    /// # Panics
    /// When a setting is out of range: in a `static` or `const` that is a compile error. For settings that come at run
    /// time there is [`Policy::builder`].
    #[track_caller]
    pub const fn new(name: &'static str, settings: Settings) -> Policy {
        Policy::unchecked(PolicyName::new(name), &settings.checked())
    }

    /// A policy whose name and settings are known at run time only.
    ///
    /// ```
    /// use apiguard::{Policy, Rate};
    ///
    /// let policy = Policy::builder("tenant-7").rate(Rate::per_second(10)).build()?;
    /// let wrong = Policy::builder("tenant-8").rate(Rate::per_second(0)).build().unwrap_err();
    /// assert_eq!(wrong.to_string(), "`rate = \"0/s\"` never admits a call; write at least `1/s`");
    /// # Ok::<(), apiguard::InvalidSettings>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder { name: name.into(), settings: Settings::new() }
    }

    pub(crate) const fn unchecked(name: PolicyName, settings: &Settings) -> Policy {
        Policy {
            name,
            live: Live::new(settings),
            state: State::unchecked(settings),
            keys: Keys::new(),
            counters: Counters::new(),
            budget: Account::new(),
            last_change: LastChange::new(),
            outlet: Outlet::new(),
            #[cfg(feature = "testing")]
            kit: Kit::new(settings),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn policy_name(&self) -> &PolicyName {
        &self.name
    }

    /// Its settings, as they are now.
    pub fn settings(&self) -> Settings {
        self.here().with_settings(Settings::clone)
    }

    pub(crate) fn with_settings<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        self.live.read(read)
    }

    #[inline]
    pub(crate) fn retries_good(&self) -> bool {
        self.live.retries_good()
    }

    #[inline]
    pub(crate) fn is_shadow(&self) -> bool {
        self.live.is_shadow()
    }

    #[inline]
    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.live.timeouts
    }

    /// Holds other settings from now on, while calls run and wait.
    ///
    /// Nothing that was taken is forgotten or counted twice: a rate keeps the tokens that are there, as far as the new burst holds
    /// so many (an empty bucket stays empty), a quota counts what was taken before, attempts in flight stay in flight. Those
    /// who wait keep their order and are let through by the new limits; who asks for more than these ever have is rejected. A pause
    /// that a server asked for goes on. A breaker whose settings change closes and begins anew, unless it is forced; one whose
    /// settings stay keeps its state. Retries and timeouts hold from the next attempt on; a running attempt keeps its end.
    ///
    /// Two things are not known and count from now on: what was taken under no quota, and attempts in flight that nobody
    /// counted. When the rates change, what was taken of them before is not given back any more when it turns out to be unused
    /// (`settle`).
    ///
    /// A guarded function that was compiled without retries, or without a timeout, has no code for them: its settings say
    /// otherwise then.
    ///
    /// ```
    /// use apiguard::{Policy, Rate, Settings};
    ///
    /// let policy = Policy::builder("stripe").rate(Rate::per_second(10)).build()?;
    /// policy.configure(policy.settings().rate(Rate::per_second(25)))?;
    /// let wrong = policy.configure(Settings::new().rate(Rate::per_second(0))).unwrap_err();
    /// assert_eq!(wrong.to_string(), "`rate = \"0/s\"` never admits a call; write at least `1/s`");
    /// assert_eq!(policy.settings().rate_limit(), Some(&Rate::per_second(25)));
    /// # Ok::<(), apiguard::InvalidSettings>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with the settings; then nothing has changed.
    pub fn configure(&self, settings: Settings) -> Result<(), InvalidSettings> {
        settings.validate()?;
        let here = self.here();
        here.tell(here.change(&settings));
        Ok(())
    }

    /// Holds settings, which are sound, from now on; whom to tell of it, without a lock.
    pub(crate) fn change(&self, settings: &Settings) -> ToTell {
        let one_at_a_time = self.live.lock();
        let (old, version) = self.live.replace(settings);
        let now = clock::now();
        let form = Form::of(&State::unchecked(settings), now.saturating_add(1), version);
        let before = || State { version: AtomicU32::new(version.wrapping_sub(1)), ..State::unchecked(&old) };
        let restarts = old.circuit_breaker() != settings.circuit_breaker();
        let states = self.keys.configure(form, restarts, now, &before, &self.state.breaker);
        let mut to_tell = ToTell::default();
        for state in std::iter::once(&self.state).chain(states.iter().map(|state| &**state)) {
            state.configure(&old, settings, version, &mut to_tell);
        }
        drop(one_at_a_time);
        to_tell
    }

    /// Rejects every call until [`force_closed`](Policy::force_closed) or [`reset`](Policy::reset), of a policy without a breaker,
    /// too.
    pub fn force_open(&self) {
        self.here().force(BreakerState::ForcedOpen);
    }

    /// Keeps the breaker closed, whatever fails, until [`force_open`](Policy::force_open) or [`reset`](Policy::reset).
    pub fn force_closed(&self) {
        self.here().force(BreakerState::ForcedClosed);
    }

    /// Closes the breaker and forgets what it has counted, and ends a pause that a server asked for. Tokens are not given
    /// back: the server has seen those attempts.
    pub fn reset(&self) {
        let here = self.here();
        here.state.limiter.resume();
        for state in here.keys.states() {
            state.limiter.resume();
        }
        here.force(BreakerState::Closed);
    }

    fn force(&self, state: BreakerState) {
        // Not while the settings change.
        let one_at_a_time = self.live.lock();
        let settings = self.with_settings(Settings::clone);
        let mut changes = Vec::new();
        let mut force = |each: &State| changes.extend(each.breaker.force(state, settings.circuit_breaker()));
        // Before the keys: those that come in between look at it.
        force(&self.state);
        for key in self.keys.restart() {
            force(&key);
        }
        drop(one_at_a_time);
        // Subscribers are code of the user's.
        for change in changes {
            self.changed(change);
        }
    }

    /// The hash of a key, by which its part of the policy is found.
    #[inline]
    pub(crate) fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        if !self.keys.is_ready() {
            self.prepare_keys();
        }
        self.keys.hash_of(key)
    }

    #[cold]
    fn prepare_keys(&self) {
        let _one_at_a_time = self.live.lock();
        self.keys.prepare(Form::of(&self.new_state(), 0, self.live.version()));
    }

    /// The state that a key has, by its hash.
    pub(crate) fn known_state(&self, hash: u64) -> Option<Arc<State>> {
        let state = self.keys.state(hash)?;
        self.bring_up_to_date(&state);
        Some(state)
    }

    /// The state of a key, by its hash: it is made if there is none.
    pub(crate) fn state_of(&self, hash: u64) -> Arc<State> {
        if let Some(state) = self.known_state(hash) {
            return state;
        }
        let (now, all) = (clock::now(), &self.state.breaker);
        let state = self.keys.state_or(hash, Arc::new(self.new_state()), now, all).or_else(|_| {
            // Not while the settings change.
            let _one_at_a_time = self.live.lock();
            self.keys.state_or(hash, Arc::new(self.new_state()), now, all)
        });
        // It is of these settings then; if it were not it would be a state of its own, and right for this call.
        let state = state.unwrap_or_else(|alone| alone);
        self.bring_up_to_date(&state);
        state
    }

    fn new_state(&self) -> State {
        let version = self.live.version();
        State { version: AtomicU32::new(version), ..State::unchecked(&self.with_settings(Settings::clone)) }
    }

    /// A key's state that is found while the settings change has the old ones, perhaps.
    #[inline]
    pub(crate) fn bring_up_to_date(&self, state: &State) {
        if state.version() != self.live.version() {
            self.configure_late(state);
        }
    }

    #[cold]
    fn configure_late(&self, state: &State) {
        let one_at_a_time = self.live.lock();
        let settings = self.with_settings(Settings::clone);
        let mut to_tell = ToTell::default();
        state.configure(&settings, &settings, self.live.version(), &mut to_tell);
        drop(one_at_a_time);
        self.tell(to_tell);
    }

    /// Without a lock.
    pub(crate) fn tell(&self, ToTell { wakers, changes }: ToTell) {
        wakers.into_iter().for_each(Waker::wake);
        for change in changes {
            self.changed(change);
        }
    }

    /// Its breaker, or one of its keys', has changed. Without a lock.
    pub(crate) fn changed(&self, Change { from, to }: Change) {
        self.last_change.set(from, to, clock::now());
        telemetry::tell(self, self.is_shadow(), EventKind::Breaker { from, to });
    }

    pub(crate) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// What happens to its calls from now on: waits, retries, rejections, pauses, changes of its breaker.
    ///
    /// A call never waits for a subscriber: one that is more than 256 events behind misses the oldest.
    ///
    /// ```
    /// use apiguard::{BreakerState, EventKind, Policy, Settings};
    ///
    /// static STRIPE: Policy = Policy::new("stripe", Settings::new());
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let mut events = STRIPE.subscribe();
    /// STRIPE.force_open();
    /// let event = events.recv().await.unwrap();
    /// assert!(matches!(event.kind, EventKind::Breaker { to: BreakerState::ForcedOpen, .. }));
    /// assert_eq!(event.to_string(), "stripe: breaker closed -> forced-open");
    /// # }
    /// ```
    pub fn subscribe(&self) -> Events {
        self.here().outlet.subscribe()
    }

    /// Drops all keys that are idle; returns how many. Calls with keys do the same, a few at a time: this is for what a flood of keys
    /// has left in a policy that is no longer called.
    pub fn evict_idle(&self) -> usize {
        self.here().keys.evict_idle(clock::now())
    }

    /// What it has done so far and how it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.here().stands()
    }

    /// The same of this one, whatever scope of a test this is in.
    pub(crate) fn stands(&self) -> Snapshot {
        let State { limiter, breaker, .. } = &self.state;
        let settings = self.with_settings(Settings::clone);
        let stands = breaker.state();
        let has_breaker = settings.circuit_breaker().is_some() || stands != BreakerState::Closed;
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        // Before the outcomes and rejections that they are a part of, so that `calls` is never too low.
        let (retries, rejected_retries) = (read(&counters.retries), read(&counters.rejected_retries));
        let outcomes = Outcomes {
            successes: counters.successes(),
            permanent: read(&counters.permanent),
            failures: read(&counters.failures),
            throttled: read(&counters.throttled),
            abandoned: read(&counters.abandoned),
        };
        let rejections = Rejections {
            rate_limited: read(&counters.rate_limited),
            circuit_open: read(&counters.circuit_open),
            timed_out: read(&counters.calls_timed_out),
            saturated: read(&counters.saturated),
            other: read(&counters.rejected_otherwise),
        };
        let budget = settings.retry().map_or(Budget::Off, Retry::retry_budget);
        let never_ran = rejections.total().saturating_sub(rejected_retries);
        Snapshot {
            name: self.name.clone(),
            settings,
            calls: outcomes.total().saturating_sub(retries) + never_ran,
            retries,
            over_budget: read(&counters.over_budget),
            retry_budget: self.budget.available(budget, counters.successes(), clock::now()),
            waits: read(&counters.waits),
            timed_out: read(&counters.timed_out),
            outcomes,
            rejections,
            tokens: limiter.available(),
            in_flight: limiter.in_flight(),
            waiting: limiter.waiting(),
            breaker: has_breaker.then_some(stands),
            failures_in_a_row: breaker.failures_in_a_row(),
            window: settings.circuit_breaker().is_some_and(Breaker::is_windowed).then(|| breaker.counts().into()),
            last_change: self.last_change.read(clock::now()),
            shadow: Unenforced {
                rejected: read(&counters.would_reject),
                delayed: read(&counters.would_delay),
                retried: read(&counters.would_retry),
            },
            keys: self.keys.len(),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("settings", &format_args!("{settings}"))
            .finish_non_exhaustive()
    }
}
