//! A state for each key, as long as it says anything.
//!
//! What has come back to where it began (a full bucket, a closed breaker) is the same as what was never there: such a key is
//! idle and is dropped, and nothing is lost by it. No sweep stalls anybody: whoever brings a new key looks at a few old ones,
//! by a hand that goes round as in the clock algorithm for pages (Corbató, 1968), and drops those that are idle. So there are
//! about as many keys as are active, whatever has come before.
//!
//! The keys are spread over shards by a hash that nobody outside the process can predict, each with a lock that is held for a
//! lookup.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{OnceLock, PoisonError};

use crate::limiter::{TokenBucket, Window};
use crate::sync::{Arc, AtomicUsize, Mutex, MutexGuard};

const SHARDS: usize = 64;
/// How many old keys a new one looks at.
const LOOKED_AT: usize = 4;
/// And when there are as many as there may be.
const LOOKED_AT_WHEN_FULL: usize = 64;

/// What can be dropped when it has come back to where it began.
pub trait Idle {
    /// Whether this is as if it had just been made, and will stay so until it is used.
    fn is_idle(&self) -> bool;
}

impl Idle for TokenBucket {
    fn is_idle(&self) -> bool {
        self.is_full()
    }
}

impl Idle for Window {
    fn is_idle(&self) -> bool {
        self.is_full()
    }
}

/// A value for each key, made when the key first comes and dropped when it is [`Idle`] again.
///
/// ```
/// use apiguard::{Keyed, TokenBucket};
///
/// let tenants: Keyed<String, TokenBucket> = Keyed::new();
/// let bucket = tenants.get_or_insert_with(&"a".to_owned(), || TokenBucket::new(1, 10).unwrap());
/// assert!(bucket.try_acquire(1).is_ok() && bucket.try_acquire(1).is_err());
/// let other = tenants.get_or_insert_with(&"b".to_owned(), || TokenBucket::new(1, 10).unwrap());
/// assert!(other.try_acquire(1).is_ok());
/// ```
///
/// At most [`at_most`](Keyed::at_most) keys have a value of their own, a million by default; when all of these are active, those
/// that come beyond share one more value among them. So a flood of made-up keys takes no more memory and nothing from the keys
/// that were there before.
pub struct Keyed<K, V> {
    shards: OnceLock<Shards<K, V>>,
    hasher: OnceLock<RandomState>,
    len: AtomicUsize,
    most: usize,
    /// For the keys beyond.
    beyond: OnceLock<Arc<V>>,
}

type Shards<K, V> = Box<[Mutex<Shard<K, V>>]>;

struct Shard<K, V> {
    values: HashMap<K, Arc<V>>,
    /// The keys, in the order in which the hand goes round.
    keys: Vec<K>,
    hand: usize,
}

impl<K: Hash + Eq + Clone, V: Idle> Keyed<K, V> {
    /// No keys yet; a million may become active at a time.
    pub const fn new() -> Keyed<K, V> {
        Keyed {
            shards: OnceLock::new(),
            hasher: OnceLock::new(),
            len: AtomicUsize::new(0),
            most: 1_000_000,
            beyond: OnceLock::new(),
        }
    }

    /// Lets at most so many keys, at least 1, have a value of their own at a time.
    #[must_use]
    pub const fn at_most(mut self, keys: usize) -> Keyed<K, V> {
        self.most = if keys == 0 { 1 } else { keys };
        self
    }

    /// The value of a key; made by `make` if there is none.
    pub fn get_or_insert_with(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(found) = self.shard(key).values.get(key) {
            return Arc::clone(found);
        }
        // Made before the lock is taken: it is code of the caller's.
        let new = Arc::new(make());
        let mut shard = self.shard(key);
        let is_full = self.len() >= self.most;
        let dropped = shard.drop_idle(if is_full { LOOKED_AT_WHEN_FULL } else { LOOKED_AT });
        self.len.fetch_sub(dropped.len(), Relaxed);
        let value = if self.len() >= self.most && !shard.values.contains_key(key) {
            None
        } else {
            let Shard { values, keys, .. } = &mut *shard;
            Some(match values.entry(key.clone()) {
                Entry::Occupied(found) => Arc::clone(found.get()),
                Entry::Vacant(place) => {
                    keys.push(key.clone());
                    self.len.fetch_add(1, Relaxed);
                    Arc::clone(place.insert(Arc::clone(&new)))
                }
            })
        };
        drop(shard);
        // Values are dropped without the lock.
        drop(dropped);
        value.unwrap_or_else(|| Arc::clone(self.beyond.get_or_init(|| new)))
    }

    /// The value of a key that has one.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.shard(key).values.get(key).cloned()
    }

    /// Whether a key has a value of its own.
    pub fn contains(&self, key: &K) -> bool {
        self.shard(key).values.contains_key(key)
    }

    /// Forgets a key, idle or not; those who hold its value keep it.
    pub fn remove(&self, key: &K) -> Option<Arc<V>> {
        let mut shard = self.shard(key);
        let removed = shard.values.remove(key)?;
        shard.keys.retain(|other| other != key);
        self.len.fetch_sub(1, Relaxed);
        Some(removed)
    }

    /// Forgets all keys.
    pub fn clear(&self) {
        for shard in self.shards() {
            let mut shard = lock(shard);
            self.len.fetch_sub(shard.values.len(), Relaxed);
            let values = std::mem::take(&mut shard.values);
            shard.keys = Vec::new();
            drop(shard);
            drop(values);
        }
    }

    /// How many keys have a value of their own, idle ones that have not been dropped yet included.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of recent interest: those that are not idle.
    pub fn keys(&self) -> Vec<K> {
        let mut found = Vec::new();
        for shard in self.shards() {
            let shard = lock(shard);
            found.extend(shard.values.iter().filter(|(_, value)| !value.is_idle()).map(|(key, _)| key.clone()));
        }
        found
    }

    /// Drops all keys that are idle and that nobody holds; returns how many. New keys do the same, a few at a time.
    pub fn evict_idle(&self) -> usize {
        let mut count = 0;
        for shard in self.shards() {
            let mut shard = lock(shard);
            let all = shard.keys.len();
            let dropped = shard.drop_idle(all);
            shard.values.shrink_to_fit();
            shard.keys.shrink_to_fit();
            self.len.fetch_sub(dropped.len(), Relaxed);
            count += dropped.len();
        }
        count
    }

    /// The hash of something by which nobody outside the process can choose it.
    pub(crate) fn hash_of<T: Hash + ?Sized>(&self, key: &T) -> u64 {
        self.hasher.get_or_init(RandomState::new).hash_one(key)
    }

    fn shards(&self) -> &[Mutex<Shard<K, V>>] {
        self.shards.get_or_init(|| {
            let new = || Mutex::new(Shard { values: HashMap::new(), keys: Vec::new(), hand: 0 });
            (0..SHARDS).map(|_| new()).collect()
        })
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        // The low bits; a shard's own map takes another hash.
        lock(&self.shards()[self.hash_of(key) as usize % SHARDS])
    }
}

/// A shard is consistent at every point where a panic could start.
fn lock<K, V>(shard: &Mutex<Shard<K, V>>) -> MutexGuard<'_, Shard<K, V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone, V: Idle> Shard<K, V> {
    /// Looks at some keys from the hand on, and drops those that are idle and that nobody holds.
    fn drop_idle(&mut self, looks: usize) -> Vec<Arc<V>> {
        let mut dropped = Vec::new();
        for _ in 0..looks.min(self.keys.len()) {
            if self.hand >= self.keys.len() {
                self.hand = 0;
            }
            let Some(key) = self.keys.get(self.hand) else { break };
            // Clones are made under the lock, so one that nobody holds stays so; and whoever held it last has left it as it is seen
            // here (`get_mut` acquires what a drop releases).
            let value = self.values.get_mut(key);
            let is_free = value.is_none_or(|value| Arc::get_mut(value).is_some_and(|value| value.is_idle()));
            if is_free {
                dropped.extend(self.values.remove(key));
                self.keys.swap_remove(self.hand);
            } else {
                self.hand += 1;
            }
        }
        if self.keys.capacity() > 64 && self.keys.len() < self.keys.capacity() / 4 {
            self.keys.shrink_to(self.keys.len() * 2);
            self.values.shrink_to(self.keys.len() * 2);
        }
        dropped
    }
}

impl<K: Hash + Eq + Clone, V: Idle> Default for Keyed<K, V> {
    fn default() -> Keyed<K, V> {
        Keyed::new()
    }
}

impl<K, V> fmt::Debug for Keyed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("len", &self.len.load(Relaxed))
            .field("at_most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Idle for Flag {
        fn is_idle(&self) -> bool {
            !self.0.load(Relaxed)
        }
    }

    fn busy() -> Flag {
        Flag(AtomicBool::new(true))
    }

    #[test]
    fn a_key_has_one_value_as_long_as_it_is_active_or_held() {
        let keyed: Keyed<u64, Flag> = Keyed::new();
        let first = keyed.get_or_insert_with(&1, busy);
        assert!(Arc::ptr_eq(&first, &keyed.get_or_insert_with(&1, busy)));
        assert!(!Arc::ptr_eq(&first, &keyed.get_or_insert_with(&2, Flag::default)));
        assert_eq!((keyed.len(), keyed.keys()), (2, vec![1]));
        assert_eq!(keyed.evict_idle(), 1, "the second is idle");
        first.0.store(false, Relaxed);
        assert_eq!(keyed.evict_idle(), 0, "the first is held");
        drop(first);
        assert_eq!((keyed.evict_idle(), keyed.len(), keyed.is_empty()), (1, 0, true));
    }

    #[test]
    fn new_keys_drop_idle_ones_so_that_memory_follows_the_active() {
        let keyed: Keyed<u64, Flag> = Keyed::new();
        let kept: Vec<_> = (0..100).map(|key| keyed.get_or_insert_with(&key, busy)).collect();
        let mut most = 0;
        for key in 1_000..200_000 {
            keyed.get_or_insert_with(&key, Flag::default);
            most = most.max(keyed.len());
        }
        assert!(most < 100 + 64 * 16, "{most} keys at most");
        for (key, value) in (0..100).zip(&kept) {
            assert!(Arc::ptr_eq(value, &keyed.get(&key).unwrap()));
        }
        keyed.evict_idle();
        assert_eq!(keyed.len(), 100);
        assert!(keyed.remove(&5).is_some() && !keyed.contains(&5) && keyed.remove(&5).is_none());
        keyed.clear();
        assert_eq!((keyed.len(), keyed.keys().len()), (0, 0));
    }

    #[test]
    fn a_key_that_is_removed_leaves_the_others_to_be_dropped() {
        let keyed: Keyed<u64, Flag> = Keyed::new();
        for key in 0..1_000 {
            keyed.get_or_insert_with(&key, busy);
        }
        (0..500).for_each(|key| assert!(keyed.contains(&key) && keyed.remove(&key).is_some()));
        assert!(!keyed.is_empty() && keyed.contains(&500) && !keyed.contains(&499));
        (500..1_000).for_each(|key| keyed.get(&key).unwrap().0.store(false, Relaxed));
        assert_eq!((keyed.evict_idle(), keyed.len()), (500, 0));
    }

    #[test]
    fn keys_are_spread_over_the_shards_and_a_shard_gives_back_what_a_crowd_took() {
        let keyed: Keyed<u64, Flag> = Keyed::new();
        for key in 0..100_000 {
            keyed.get_or_insert_with(&key, busy);
        }
        let each: Vec<usize> = keyed.shards().iter().map(|shard| lock(shard).keys.len()).collect();
        // 1 562 each, and 40 more or less.
        assert!(each.iter().all(|keys| (1_100..2_100).contains(keys)), "{each:?}");
        (1_000..100_000).for_each(|key| keyed.get(&key).unwrap().0.store(false, Relaxed));
        // New keys find the old ones, a few at a time.
        for key in 100_000..200_000 {
            keyed.get_or_insert_with(&key, Flag::default);
        }
        for shard in keyed.shards() {
            let shard = lock(shard);
            let (keys, room) = (shard.keys.len(), [shard.keys.capacity(), shard.values.capacity()]);
            assert!(room.iter().all(|room| *room <= 8 * keys + 64), "room for {room:?}, {keys} keys");
        }
    }

    #[test]
    fn where_there_is_no_room_a_new_key_looks_at_many_old_ones() {
        let keyed: Keyed<u64, Flag> = Keyed::new().at_most(60);
        let of_one_shard: Vec<u64> = (0..).filter(|key| keyed.hash_of(key) % SHARDS as u64 == 0).take(61).collect();
        let (new, old) = of_one_shard.split_last().unwrap();
        for key in old {
            keyed.get_or_insert_with(key, busy);
        }
        {
            let mut shard = lock(&keyed.shards()[0]);
            shard.hand = 0;
            let last = shard.keys[59];
            shard.values[&last].0.store(false, Relaxed);
        }
        keyed.get_or_insert_with(new, busy);
        assert!(keyed.contains(new), "the last of 60 made room");
        assert_eq!(format!("{keyed:?}"), "Keyed { len: 60, at_most: 60, .. }");
    }

    #[test]
    fn above_the_bound_keys_share_a_value_and_those_before_keep_theirs() {
        let keyed: Keyed<u64, Flag> = Keyed::new().at_most(10);
        let first: Vec<_> = (0..10).map(|key| keyed.get_or_insert_with(&key, busy)).collect();
        let beyond = keyed.get_or_insert_with(&10, busy);
        for key in 11..1_000 {
            assert!(Arc::ptr_eq(&beyond, &keyed.get_or_insert_with(&key, busy)));
        }
        assert_eq!(keyed.len(), 10);
        for (key, value) in first.iter().enumerate() {
            assert!(Arc::ptr_eq(value, &keyed.get_or_insert_with(&(key as u64), busy)));
        }
        for value in first {
            value.0.store(false, Relaxed);
        }
        assert_eq!(keyed.evict_idle(), 10);
        assert!(!Arc::ptr_eq(&beyond, &keyed.get_or_insert_with(&10, busy)), "there is room again");
    }

    #[test]
    fn many_threads_agree_on_one_value() {
        let keyed: Keyed<u64, Flag> = Keyed::new();
        for key in 0..200 {
            let values: Vec<Arc<Flag>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| keyed.get_or_insert_with(&key, busy))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(values.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])), "key {key}");
        }
        assert_eq!(keyed.len(), 200);
    }
}
