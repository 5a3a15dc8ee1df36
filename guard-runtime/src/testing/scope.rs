//! Fresh policies within a future.
//!
//! ```text
//! which scope a call begins in:
//!     the one whose future is being polled on this thread             (a thread-local, set around each poll)
//!     else the only one on this tokio runtime                         (for tasks that were spawned without `spawn`)
//!     else, of several, the innermost, if each is within the one before; otherwise that cannot be known: a panic
//!     else none: the policies themselves
//! ```
//!
//! A scope makes its stand-in for a policy when a call first needs it, and lets go of it at its end, or when the policy is dropped
//! within it; calls that still run hold on to theirs. As long as no scope is anywhere in the process, asking for it is one load.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::runtime::{Handle, Id};
use tokio::task::JoinHandle;

use crate::Policy;
use crate::backoff::split_mix;
#[cfg(feature = "config")]
use crate::config::Applied;
use crate::event::Outlet;

/// How many scopes there are. Whoever may see one has synchronised with who made it, by being spawned: relaxed will do.
static SCOPES: AtomicUsize = AtomicUsize::new(0);

/// The scopes on each runtime, in the order in which they began.
static ON_RUNTIMES: Mutex<Vec<(Id, Arc<Scope>)>> = Mutex::new(Vec::new());

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// What is fresh.
pub(crate) struct Scope {
    /// The one that its future runs in.
    outer: Option<Arc<Scope>>,
    stand_ins: Mutex<HashMap<u64, Arc<Policy>>>,
    /// For those who listen to all policies.
    all: Arc<Outlet>,
    chance: Mutex<Chance>,
    /// What was applied last.
    #[cfg(feature = "config")]
    applied: Mutex<Applied>,
}

/// How random numbers come about.
enum Chance {
    /// By chance.
    Random,
    /// From a seed, which moves on.
    Seeded(u64),
    /// There is no jitter at all.
    None,
}

// A panic under one of these locks comes from an allocation at most, and leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scope {
    fn new() -> Arc<Scope> {
        SCOPES.fetch_add(1, Relaxed);
        Arc::new(Scope {
            outer: polled(),
            stand_ins: Mutex::default(),
            all: Arc::new(Outlet::new()),
            chance: Mutex::new(Chance::Random),
            #[cfg(feature = "config")]
            applied: Mutex::new(Applied::new()),
        })
    }

    /// What stands in for a policy here, made if there is none yet.
    pub(crate) fn stand_in(&self, id: u64, fresh: impl FnOnce(&Arc<Outlet>) -> Policy) -> Arc<Policy> {
        Arc::clone(lock(&self.stand_ins).entry(id).or_insert_with(|| Arc::new(fresh(&self.all))))
    }

    pub(crate) fn all(&self) -> &Outlet {
        &self.all
    }

    #[cfg(feature = "config")]
    pub(crate) fn applied(&self) -> &Mutex<Applied> {
        &self.applied
    }

    fn is_within(self: &Arc<Scope>, other: &Arc<Scope>) -> bool {
        let mut next = Some(self);
        while let Some(scope) = next {
            if Arc::ptr_eq(scope, other) {
                return true;
            }
            next = scope.outer.as_ref();
        }
        false
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        SCOPES.fetch_sub(1, Relaxed);
    }
}

/// The scope whose future is being polled on this thread.
fn polled() -> Option<Arc<Scope>> {
    // While the thread's locals are torn down nothing is polled.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// That of the runtime; an error if there are several, and none is within all others.
fn of_runtime() -> Result<Option<Arc<Scope>>, ()> {
    let Ok(runtime) = Handle::try_current() else { return Ok(None) };
    let runtime = runtime.id();
    let scopes = lock(&ON_RUNTIMES);
    let mut here = scopes.iter().filter(|(id, _)| *id == runtime).map(|(_, scope)| scope);
    let Some(last) = here.next_back() else { return Ok(None) };
    if here.all(|other| last.is_within(other)) { Ok(Some(Arc::clone(last))) } else { Err(()) }
}

fn found() -> Result<Option<Arc<Scope>>, ()> {
    if SCOPES.load(Relaxed) == 0 {
        return Ok(None);
    }
    polled().map_or_else(of_runtime, |scope| Ok(Some(scope)))
}

/// The scope that what runs now is in.
#[track_caller]
pub(crate) fn scope() -> Option<Arc<Scope>> {
    let found = found();
    assert!(
        found.is_ok(),
        "two `testing::isolated` run at once on this runtime, and this task may belong to either: spawn it with \
         `testing::spawn`, or wrap its future in `testing::inherit`"
    );
    found.ok().flatten()
}

/// Lets go of what stands in for a policy that is gone, in this scope and those around it. (In others it ends with them.)
pub(crate) fn forget(id: u64) {
    let innermost = found().ok().flatten();
    let mut next = innermost.as_ref();
    while let Some(scope) = next {
        // It is dropped without the lock: its subscribers are woken.
        let gone = lock(&scope.stand_ins).remove(&id);
        drop(gone);
        next = scope.outer.as_ref();
    }
}

/// A number that is not left to chance.
pub(crate) fn random() -> Option<u64> {
    match &mut *lock(&found().ok().flatten()?.chance) {
        Chance::Random => None,
        Chance::Seeded(seed) => Some(split_mix(seed)),
        Chance::None => Some(0),
    }
}

/// Whether delays have no jitter.
pub(crate) fn is_without_jitter() -> bool {
    found().ok().flatten().is_some_and(|scope| matches!(*lock(&scope.chance), Chance::None))
}

#[track_caller]
fn set_chance(chance: Chance, function: &str) {
    let scope = scope();
    assert!(
        scope.is_some(),
        "`testing::{function}` works within `testing::isolated` only: other tests are not to notice"
    );
    if let Some(scope) = scope {
        *lock(&scope.chance) = chance;
    }
}

/// Makes every random number of the guard follow from `seed`, in this scope from now on: the jitter of delays and that of a breaker's
/// recovery.
///
/// The same calls in the same order have the same delays then, in every run and on every machine. (Tasks on several threads have
/// no order.) A breaker's recovery is the same up to the next millisecond of the clock, which is another one in each run. A nested
/// scope begins with chance again.
///
/// # Panics
/// Outside of [`isolated`].
///
/// # Examples
/// ```
/// use apiguard::testing::{self, isolated};
/// use apiguard::{Backoff, Retry};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let delays = async || isolated(async {
///     testing::seed(7);
///     Backoff::new(Retry::new(5)).unwrap().collect::<Vec<_>>()
/// }).await;
/// assert_eq!(delays().await, delays().await);
/// # }
/// ```
#[track_caller]
pub fn seed(seed: u64) {
    set_chance(Chance::Seeded(seed), "seed");
}

/// Takes the jitter away, in this scope from now on: a delay is `min(cap, base x factor^(n-1))` or what the server asks for, whatever
/// jitter the policy has, and a breaker's recovery takes what it says, to the next millisecond of the clock. A nested scope begins with
/// jitter again.
///
/// # Panics
/// Outside of [`isolated`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use apiguard::testing::{isolated, no_jitter};
/// use apiguard::{Backoff, Jitter, Retry};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// isolated(async {
///     no_jitter();
///     let delays = Backoff::new(Retry::new(3).jitter(Jitter::Full)).unwrap();
///     assert_eq!(delays.collect::<Vec<_>>(), [1, 2, 4].map(Duration::from_secs));
/// }).await;
/// # }
/// ```
#[track_caller]
pub fn no_jitter() {
    set_chance(Chance::None, "no_jitter");
}

/// A future in which every policy is as new: full buckets, a closed breaker, zero counters, a full budget, no keys, no subscribers, and
/// the settings that it was declared with.
///
/// That is so for every policy that is called, read or changed within it, those of `#[guarded]`, of `policy!` and of
/// [`Policy::new`](crate::Policy::new) alike, wherever they are kept. Outside nothing is changed by it, and it sees nothing of what
/// happens outside: tests that run at the same time, in threads of one process, do not notice one another.
/// [`registry()`](crate::registry) finds the same policies, which then show what they are here. What the process has one of, such as a
/// subscriber of `tracing` or a recorder of `metrics`, is told of all scopes. Mechanisms alone (`TokenBucket`,
/// `CircuitBreaker`…) are left as they are, and so is what a call has begun outside.
///
/// # What is within it
///
/// - The future, whatever polls it, and what it polls in turn.
/// - Tasks on the same tokio runtime, by `tokio::spawn`, `spawn_blocking` or a `JoinSet`, as long as it runs: each
///   `#[tokio::test]` has a runtime of its own. (So is whatever else runs on that runtime meanwhile, such as the other branch of
///   a `join!`.)
/// - What [`spawn`] and [`inherit`] take, on any runtime and thread, and after it has ended, too.
///
/// A scope in a scope is as new again. Tasks that were spawned by neither of these functions are in the inner one while it runs.
/// A scope that begins in such a task is beside the others, not in one of them.
/// Threads that the test starts are outside, unless what they run is in [`inherit`].
///
/// # Panics
///
/// Calls in a task that was spawned by neither of these functions, while two scopes that are not within one another run on its
/// runtime: there is no telling to which it belongs.
///
/// # Cancel safety
///
/// Dropping it drops the future, which then is within it as before.
///
/// # Examples
///
/// ```
/// use apiguard::testing::isolated;
/// use apiguard::{Policy, Rate, Settings};
///
/// static SEARCH: Policy = Policy::new("search", Settings::new().rate(Rate::per_second(1)));
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// for _ in 0..3 {
///     isolated(async {
///         SEARCH.call(async || Ok::<_, std::io::Error>(())).await.unwrap();
///         assert_eq!(SEARCH.snapshot().tokens, Some(0));
///     }).await;
/// }
/// assert_eq!((SEARCH.snapshot().calls, SEARCH.snapshot().tokens), (0, Some(1)));
/// # }
/// ```
pub fn isolated<F: Future>(future: F) -> Isolated<F> {
    Isolated { future: Some(future), place: None }
}

/// A future that stays in the scope in which this is called, wherever it is polled; outside of one, the future as it is.
///
/// For a `JoinSet`, for a thread with a runtime of its own, and for tasks where two scopes run at once.
///
/// ```
/// use apiguard::testing::{inherit, isolated};
/// use apiguard::{Policy, Settings};
///
/// static SEARCH: Policy = Policy::new("search", Settings::new());
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// isolated(async {
///     let call = inherit(SEARCH.call(async || Ok::<_, std::io::Error>(())));
///     std::thread::spawn(|| {
///         let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
///         runtime.block_on(call).unwrap();
///     }).join().unwrap();
///     assert_eq!(SEARCH.snapshot().calls, 1);
/// }).await;
/// # }
/// ```
///
/// # Panics
/// As a call in a task of unknown scope: see [`isolated`].
#[track_caller]
pub fn inherit<F: Future>(future: F) -> Inherited<F> {
    Inherited { future: Some(future), scope: scope() }
}

/// Spawns a task that stays in the scope of this one: `tokio::spawn(inherit(future))`.
///
/// # Panics
/// Outside of a tokio runtime, and as [`inherit`].
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(inherit(future))
}

/// While it lives, this thread is in a scope.
struct Inside {
    before: Option<Arc<Scope>>,
}

impl Inside {
    fn of(scope: &Arc<Scope>) -> Inside {
        let scope = Some(Arc::clone(scope));
        Inside { before: CURRENT.try_with(|current| current.replace(scope)).ok().flatten() }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let before = self.before.take();
        // What was there is dropped after the borrow: stand-ins drop wakers, which are code of others.
        drop(CURRENT.try_with(|current| current.replace(before)));
    }
}

/// While it lives, a runtime's tasks are in a scope.
struct Place {
    scope: Arc<Scope>,
}

impl Place {
    fn taken() -> Place {
        let scope = Scope::new();
        if let Ok(runtime) = Handle::try_current() {
            lock(&ON_RUNTIMES).push((runtime.id(), Arc::clone(&scope)));
        }
        Place { scope }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&ON_RUNTIMES).retain(|(_, scope)| !Arc::ptr_eq(scope, &self.scope));
    }
}

pin_project! {
    /// See [`isolated`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Isolated<F> {
        #[pin]
        future: Option<F>,
        // From the first poll to the end.
        place: Option<Place>,
    }

    impl<F> PinnedDrop for Isolated<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(place) = this.place {
                let _inside = Inside::of(&place.scope);
                this.future.set(None);
            }
        }
    }
}

impl<F: Future> Future for Isolated<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return polled_again() };
        let place = this.place.get_or_insert_with(Place::taken);
        let inside = Inside::of(&place.scope);
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
            drop(inside);
            *this.place = None;
        }
        polled
    }
}

pin_project! {
    /// See [`inherit`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Inherited<F> {
        #[pin]
        future: Option<F>,
        scope: Option<Arc<Scope>>,
    }

    impl<F> PinnedDrop for Inherited<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = this.scope.as_ref().map(Inside::of);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Inherited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let inside = this.scope.as_ref().map(Inside::of);
        let Some(future) = this.future.as_mut().as_pin_mut() else { return polled_again() };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
            drop(inside);
            // Not longer than it needs it, whoever keeps what is left of it.
            *this.scope = None;
        }
        polled
    }
}

/// A future that has ended may panic when it is polled again, as those of async blocks do.
#[allow(clippy::panic)]
#[cold]
fn polled_again<T>() -> Poll<T> {
    panic!("polled after it has ended")
}

impl<F> fmt::Debug for Isolated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolated").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Inherited<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").finish_non_exhaustive()
    }
}
