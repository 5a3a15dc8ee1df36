//! What a policy has for each key: 16 bytes, or a state.
//!
//! ```text
//! shard, slot   by the key's hash, which nobody outside the process can predict
//!               |
//!               +-- no slot      a full bucket and a closed breaker
//!               +-- a number     the bucket's `full_at`: one rate, nobody waits, nothing has failed
//!               +-- a state      anything else, and all keys of a policy with other limits than one rate
//! ```
//!
//! A call that is let through at once changes the number under the shard's lock (a lookup and an addition), and one that is
//! refused only reads it. Who waits, fails, is paused, or settles what it took makes a state of the number first; as soon as nobody
//! holds that any more and it says no more than a number would, it becomes one again.
//!
//! What has come back to where it began is dropped, and nothing is lost by it. No sweep stalls anybody: whoever brings a new key
//! looks at some slots, by a hand that goes round as in the clock algorithm for pages (Corbató, 1968), and calls of known keys do
//! so now and then, in all shards in turn. So there are about as many keys as are active, whatever has come before. At most a million
//! are. When there are as many, a key is dropped, too, of which no more is known than that some of its calls have failed; those that
//! still come beyond share one state among them, so that a flood of made-up keys takes no more memory and nothing from those that were
//! there before.
//!
//! An attempt that was let through by a number alone is of the first generation of its key's breaker, which is another one each time
//! that all breakers are told to begin anew. So it does not count when the breaker has tripped or was reset since. When the key
//! has been dropped since, and has come again, it counts for that one: a result at most.

mod shard;
mod table;

use std::hash::{Hash, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{OnceLock, PoisonError};

use self::shard::{Found, Shard, Swept};
use crate::breaker::{BreakerState, Core, Pass};
use crate::limiter::Shape;
use crate::policy::State;
use crate::random;
use crate::sync::{Arc, AtomicUsize, Mutex, MutexGuard};

/// The fewer they are, the longer it takes one to grow: some 20 us at 10^6 keys. They take 32 KiB.
const SHARDS: usize = 128;
/// How many slots a new key looks at.
const LOOKED_AT: usize = 8;
/// And when there are as many keys as there may be.
const LOOKED_AT_WHEN_FULL: usize = 128;
/// And who still finds no room, at so many other shards.
const SHARDS_LOOKED_AT: usize = 8;
/// One in so many calls of known keys looks at this many slots of the next shard.
const LOOKS_EVERY: u32 = 32;

/// First generations of breakers come again after so many: a new breaker is brought to its own by as many changes.
const FIRSTS: u32 = 16;

pub(crate) struct Keys {
    store: OnceLock<Box<Store>>,
    len: AtomicUsize,
    most: usize,
    /// For the keys beyond.
    beyond: Mutex<Option<Arc<State>>>,
}

struct Store {
    hasher: RandomState,
    shards: Box<[Place]>,
    /// The shard that calls of known keys look at next.
    hand: AtomicUsize,
}

/// A shard in cache lines of its own.
#[repr(align(128))]
struct Place {
    shard: Mutex<Shard>,
    /// How many states it has, for those who do not want the lock if there is none.
    states: AtomicUsize,
}

/// What the words of a shard mean.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// Whether a key may do without a state.
    is_compact: bool,
    rate: Option<Shape>,
    /// It holds what was taken from then on.
    since: u64,
    /// The first generation of a breaker.
    first: Pass,
    version: u32,
}

/// What a key says to somebody who wants tokens.
pub(crate) enum Asked {
    /// They are taken; `full_at` after it, and the generation of the breaker.
    Taken(u64, Pass),
    /// They are not there, of a bucket that has this `full_at`.
    Short(Shape, u64),
    /// Ask the state that it has.
    State(Arc<State>),
    /// Ask the state that has to be made for it.
    Stateless,
}

impl Form {
    /// Of keys that begin as this one does.
    pub(crate) fn of(new: &State, since: u64, version: u32) -> Form {
        let is_compact = new.limiter.is_rate_alone() && new.breaker.is_well();
        let rate = if is_compact { new.limiter.rate() } else { None };
        Form { is_compact, rate, since, first: Pass(0), version }
    }

    /// All breakers begin anew.
    fn next_generation(&mut self) {
        self.first = Pass((self.first.0 + 1) % FIRSTS);
    }

    /// A new state goes on from a number.
    fn begin(&self, new: &State, full_at: u64, now: u64, all: &Core) {
        new.limiter.begin(full_at, self.since, now);
        for _ in 0..self.first.0 {
            new.breaker.begin_anew();
        }
        let all = all.state();
        if matches!(all, BreakerState::ForcedOpen | BreakerState::ForcedClosed) {
            new.breaker.force(all, None);
        }
    }

    /// Whether a state was made under the settings that this is of. Its version is looked up before them, so it alone does not say.
    fn fits(&self, new: &State) -> bool {
        let form = Form::of(new, self.since, new.version());
        form.version == self.version && form.is_compact == self.is_compact && form.rate == self.rate
    }
}

impl Keys {
    /// No keys yet; a million may become active at a time.
    pub(crate) const fn new() -> Keys {
        Keys { store: OnceLock::new(), len: AtomicUsize::new(0), most: 1_000_000, beyond: Mutex::new(None) }
    }

    /// How many keys have something of their own, idle ones that have not been dropped yet included.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether a first key has come.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.store.get().is_some()
    }

    /// Before the first key, and while nobody changes the settings.
    pub(crate) fn prepare(&self, form: Form) {
        let place = || Place { shard: Mutex::new(Shard::new(form)), states: AtomicUsize::new(0) };
        let new = || Store {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| place()).collect(),
            hand: AtomicUsize::new(0),
        };
        self.store.get_or_init(|| Box::new(new()));
    }

    /// The hash of a key, by which nobody outside the process can choose it.
    #[inline]
    pub(crate) fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        table::usable(self.store.get().map_or(0, |store| random::hash_of(key, &store.hasher)))
    }

    #[inline]
    fn place(&self, hash: u64) -> Option<&Place> {
        // The low bits: the table goes by the upper ones.
        self.store.get()?.shards.get(hash as usize % SHARDS)
    }

    fn places(&self) -> &[Place] {
        self.store.get().map_or(&[], |store| &store.shards)
    }

    // ---- one key

    /// Takes tokens of a key that has no state.
    #[inline]
    pub(crate) fn ask(&self, hash: u64, cost: u32, now: u64) -> Asked {
        let Some(place) = self.place(hash) else { return Asked::Stateless };
        let mut shard = place.lock();
        let (asked, is_new) = match (shard.find(hash), shard.form.rate) {
            (Found::State(index), _) => (Asked::State(Arc::clone(shard.state(index))), false),
            (Found::FullAt(slot, full_at), Some(rate)) => match rate.take(full_at, cost, now) {
                Some(full_at) => {
                    shard.set(slot, full_at);
                    (Asked::Taken(full_at, shard.form.first), false)
                }
                None => (Asked::Short(rate, full_at), false),
            },
            _ if !shard.form.is_compact => (Asked::Stateless, false),
            (_, None) => (Asked::Taken(0, shard.form.first), false),
            (Found::Nothing, Some(rate)) => match rate.take(0, cost, now) {
                Some(full_at) => (Asked::Taken(full_at, shard.form.first), true),
                None => (Asked::Short(rate, 0), false),
            },
        };
        let looks = shard.counts(LOOKS_EVERY);
        if is_new {
            return self.insert(place, shard, hash, asked, now);
        }
        drop(shard);
        if looks {
            self.sweep_next(now);
        }
        asked
    }

    /// A new key, if there is room for it.
    #[cold]
    #[inline(never)]
    fn insert(&self, place: &Place, mut shard: MutexGuard<'_, Shard>, hash: u64, taken: Asked, now: u64) -> Asked {
        let let_go = self.make_room(place, &mut shard, now);
        let asked = match taken {
            Asked::Taken(full_at, _) if self.len() < self.most => {
                shard.insert(hash, full_at);
                self.len.fetch_add(1, Relaxed);
                taken
            }
            _ => Asked::Stateless,
        };
        drop(shard);
        drop(let_go);
        asked
    }

    /// The state of a key that has one.
    #[inline]
    pub(crate) fn state(&self, hash: u64) -> Option<Arc<State>> {
        let place = self.place(hash)?;
        // Who has made one in the meantime is as if it came a moment later.
        if place.states.load(Relaxed) == 0 {
            return None;
        }
        let shard = place.lock();
        match shard.find(hash) {
            Found::State(index) => Some(Arc::clone(shard.state(index))),
            _ => None,
        }
    }

    /// The generation in which the breaker of a key begins that has no state.
    pub(crate) fn first(&self, hash: u64) -> Pass {
        self.place(hash).map_or(Pass(0), |place| place.lock().form.first)
    }

    /// The state of a key; a new one if it has none, which goes on from what was taken. `all` is the breaker by which all keys are
    /// forced open or closed, if it is. Gives the new one back if the settings have changed since it was made.
    pub(crate) fn state_or(&self, hash: u64, new: Arc<State>, now: u64, all: &Core) -> Result<Arc<State>, Arc<State>> {
        let Some(place) = self.place(hash) else { return Err(new) };
        if self.len() >= self.most {
            // There may be room in other shards.
            (0..SHARDS_LOOKED_AT).for_each(|_| self.sweep_next(now));
        }
        let mut shard = place.lock();
        let full_at = match shard.find(hash) {
            Found::State(index) => {
                let found = Arc::clone(shard.state(index));
                drop(shard);
                return Ok(found);
            }
            _ if !shard.form.fits(&new) => return Err(new),
            Found::FullAt(_, full_at) => Some(full_at),
            Found::Nothing => None,
        };
        let let_go = if full_at.is_none() { self.make_room(place, &mut shard, now) } else { [None, None] };
        if full_at.is_none() && self.len() >= self.most {
            let form = shard.form;
            drop(shard);
            drop(let_go);
            return Ok(self.share(new, &form, now, all));
        }
        // Under the lock: who forces all keys takes it after it has forced `all`.
        shard.form.begin(&new, full_at.unwrap_or(0), now, all);
        if shard.insert_state(hash, Arc::clone(&new)) {
            self.len.fetch_add(1, Relaxed);
        }
        place.states.store(shard.states().len(), Relaxed);
        drop(shard);
        drop(let_go);
        Ok(new)
    }

    #[cold]
    fn share(&self, new: Arc<State>, form: &Form, now: u64, all: &Core) -> Arc<State> {
        let mut place = self.beyond.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(place.get_or_insert_with(|| {
            form.begin(&new, 0, now, all);
            new
        }))
    }

    /// A call has done with the state of its key.
    #[cold]
    pub(crate) fn leave(&self, hash: u64, state: Arc<State>, now: u64) {
        drop(state);
        let Some(place) = self.place(hash) else { return };
        let mut shard = place.lock();
        if shard.form.is_compact {
            let let_go = self.record(place, shard.leave(hash, now), &shard);
            drop(shard);
            drop(let_go);
        }
    }

    // ---- idle ones

    /// Lets go of more than the one that comes, so that what a flood has left gets fewer.
    fn make_room(&self, place: &Place, shard: &mut Shard, now: u64) -> [Option<Arc<State>>; 2] {
        let is_full = self.len() >= self.most;
        let looks = if is_full { LOOKED_AT_WHEN_FULL } else { LOOKED_AT };
        let mut let_go = [None, None];
        for state in &mut let_go {
            let swept = shard.sweep(looks, is_full, now);
            *state = self.record(place, swept, shard);
            // A sweep ends at the first state that it lets go of.
            if state.is_none() {
                break;
            }
        }
        let_go
    }

    /// Of a shard that calls of other keys have led to.
    #[cold]
    #[inline(never)]
    fn sweep_next(&self, now: u64) {
        let Some(store) = self.store.get() else { return };
        let place = &store.shards[store.hand.fetch_add(1, Relaxed) % SHARDS];
        let mut shard = place.lock();
        let swept = shard.sweep(LOOKS_EVERY as usize, self.len() >= self.most, now);
        let let_go = self.record(place, swept, &shard);
        drop(shard);
        drop(let_go);
    }

    /// Drops all keys that are idle and that nobody holds; returns how many.
    pub(crate) fn evict_idle(&self, now: u64) -> usize {
        let mut count = 0;
        for place in self.places() {
            let mut shard = place.lock();
            let (keys, states) = shard.sweep_all(now);
            self.len.fetch_sub(keys, Relaxed);
            place.states.store(shard.states().len(), Relaxed);
            drop(shard);
            drop(states);
            count += keys;
        }
        count
    }

    /// Keeps count of what is gone, whose state is dropped without the lock.
    fn record(&self, place: &Place, Swept { keys, state }: Swept, shard: &Shard) -> Option<Arc<State>> {
        if keys > 0 {
            self.len.fetch_sub(keys, Relaxed);
        }
        if state.is_some() {
            place.states.store(shard.states().len(), Relaxed);
        }
        state
    }

    // ---- all keys

    /// All states.
    pub(crate) fn states(&self) -> Vec<Arc<State>> {
        self.each_shard(|_| {})
    }

    /// All breakers begin anew: returns the states, whose breakers do not yet.
    pub(crate) fn restart(&self) -> Vec<Arc<State>> {
        self.each_shard(|shard| shard.form.next_generation())
    }

    fn each_shard(&self, mut change: impl FnMut(&mut Shard)) -> Vec<Arc<State>> {
        let beyond = self.beyond.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut states: Vec<_> = beyond.into_iter().collect();
        for place in self.places() {
            let mut shard = place.lock();
            change(&mut shard);
            place.states.store(shard.states().len(), Relaxed);
            states.extend(shard.states().cloned());
        }
        states
    }

    /// All keys hold other settings: returns the states, which do not yet. `make` makes one under the old settings, `all` is as
    /// for [`state_or`](Keys::state_or); `restarts` if the breakers begin anew.
    pub(crate) fn configure(
        &self,
        form: Form,
        restarts: bool,
        now: u64,
        make: &dyn Fn() -> State,
        all: &Core,
    ) -> Vec<Arc<State>> {
        self.each_shard(|shard| {
            let (before, old) = (shard.len(), shard.form);
            let begin = |full_at| {
                let state = Arc::new(make());
                old.begin(&state, full_at, now, all);
                state
            };
            shard.configure(Form { first: old.first, ..form }, now, &begin);
            if restarts {
                shard.form.next_generation();
            }
            self.len.fetch_sub(before - shard.len(), Relaxed);
        })
    }
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // A shard is consistent at every point where a panic could start.
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod edges;
#[cfg(test)]
mod tests;
