//! A hash table of two numbers a key, 16 bytes: the hash, by which keys are told apart, and a word.
//!
//! Linear probing in the order of the hashes: the slot at which a hash would like to be (its home) grows with it, so all slots
//! together are sorted, a search ends at the first larger hash, and growing or shrinking by any factor is one pass from the first
//! to the last. What does not fit in the last homes lies in some more slots behind them, so nothing wraps around. What is
//! removed leaves no mark: those behind it move up.
//!
//! Between 4 and 16 of 20 homes are taken: at the upper bound a key lies 2 slots from its home on average, and every 3 slots are half
//! a table larger then. Source: Amble and Knuth, "Ordered hash tables", 1974; they are found as those of Robin Hood hashing.

/// A free slot. It is larger than every hash, so that a search ends at it.
const FREE: Slot = Slot { hash: u64::MAX, word: 0 };
/// The fewest homes of a table that is not empty.
const FEWEST: usize = 4;
/// Slots that are added behind the homes at a time.
const BEHIND: usize = 8;

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    word: u64,
}

pub(super) struct Table {
    slots: Vec<Slot>,
    homes: usize,
    len: usize,
}

/// The hash of a key, as a table can hold it.
pub(super) fn usable(hash: u64) -> u64 {
    hash.min(FREE.hash - 1)
}

impl Table {
    pub(super) const fn new() -> Table {
        Table { slots: Vec::new(), homes: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of slots, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The word in a slot, if it is taken.
    #[inline]
    pub(super) fn word(&self, slot: usize) -> Option<u64> {
        self.slots.get(slot).filter(|slot| slot.hash != FREE.hash).map(|slot| slot.word)
    }

    /// The word in a slot that is taken.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, word: u64) {
        self.slots[slot].word = word;
    }

    /// The slot of a hash.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<usize> {
        let slot = self.search(hash);
        self.slots.get(slot).is_some_and(|slot| slot.hash == hash).then_some(slot)
    }

    /// Where a hash is, or would have to be.
    #[inline]
    fn search(&self, hash: u64) -> usize {
        let mut slot = home(hash, self.homes);
        while self.slots.get(slot).is_some_and(|slot| slot.hash < hash) {
            slot += 1;
        }
        slot
    }

    /// Adds a hash that is not in it.
    pub(super) fn insert(&mut self, hash: u64, word: u64) {
        if self.len * 5 >= self.homes * 4 {
            self.resize((self.homes + self.homes / 2).max(FEWEST));
        }
        let slot = self.search(hash);
        let mut end = slot;
        while self.slots.get(end).is_some_and(|slot| slot.hash != FREE.hash) {
            end += 1;
        }
        if end == self.slots.len() {
            self.slots.reserve_exact(BEHIND);
            self.slots.resize(end + BEHIND, FREE);
        }
        self.slots.copy_within(slot..end, slot + 1);
        self.slots[slot] = Slot { hash, word };
        self.len += 1;
    }

    /// Frees a slot that is taken; what lies behind may move up into it.
    pub(super) fn remove(&mut self, slot: usize) {
        let is_displaced = |(at, slot): (usize, &Slot)| slot.hash != FREE.hash && home(slot.hash, self.homes) < at;
        let mut end = slot + 1;
        while self.slots.get(end).is_some_and(|slot| is_displaced((end, slot))) {
            end += 1;
        }
        self.slots.copy_within(slot + 1..end, slot);
        self.slots[end - 1] = FREE;
        self.len -= 1;
    }

    /// Gives back what is not needed, if it is much.
    pub(super) fn shrink(&mut self) {
        if self.len == 0 {
            *self = Table::new();
        } else if self.len * 5 < self.homes && self.homes > FEWEST {
            self.resize((self.len * 2).max(FEWEST));
        }
    }

    /// Changes every word, or removes it.
    pub(super) fn update(&mut self, mut change: impl FnMut(u64, u64) -> Option<u64>) {
        let old = std::mem::replace(self, Table::new());
        // As many as are kept is not known before.
        self.fill(
            old.homes,
            old.slots.iter().filter_map(|slot| {
                let is_taken = slot.hash != FREE.hash;
                let word = if is_taken { change(slot.hash, slot.word) } else { None };
                Some(Slot { hash: slot.hash, word: word? })
            }),
        );
        self.shrink();
    }

    fn resize(&mut self, homes: usize) {
        let old = std::mem::replace(self, Table::new());
        self.fill(homes, old.slots.iter().copied().filter(|slot| slot.hash != FREE.hash));
    }

    /// Fills an empty table with what is sorted.
    fn fill(&mut self, homes: usize, sorted: impl Iterator<Item = Slot>) {
        self.homes = homes;
        self.slots.reserve_exact(homes + BEHIND.min(homes));
        for slot in sorted {
            let home = home(slot.hash, homes);
            if home > self.slots.len() {
                self.slots.resize(home, FREE);
            }
            if self.slots.len() == self.slots.capacity() {
                self.slots.reserve_exact(BEHIND);
            }
            self.slots.push(slot);
            self.len += 1;
        }
        self.slots.resize(self.slots.capacity(), FREE);
    }
}

/// Where a hash would like to be. The upper bits decide: the lower ones are the same for a whole shard.
#[inline]
fn home(hash: u64, homes: usize) -> usize {
    ((u128::from(hash) * homes as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// splitmix64: Steele, Lea and Flood, 2014.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    impl Table {
        /// The longest way from a home.
        fn farthest(&self) -> usize {
            let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.hash != FREE.hash);
            taken.map(|(at, slot)| at - home(slot.hash, self.homes)).max().unwrap_or(0)
        }

        fn check(&self, model: &BTreeMap<u64, u64>) {
            let held: Vec<_> =
                self.slots.iter().filter(|slot| slot.hash != FREE.hash).map(|s| (s.hash, s.word)).collect();
            assert_eq!(held, model.iter().map(|(hash, word)| (*hash, *word)).collect::<Vec<_>>());
            assert_eq!((self.len, self.slots.capacity()), (model.len(), self.slots.len()));
            for hash in model.keys() {
                assert!(self.find(*hash).is_some(), "{hash} is behind a free slot");
            }
            assert!(self.len * 5 <= self.homes * 4 + 5, "{} of {}", self.len, self.homes);
        }
    }

    #[test]
    fn random_histories_hold_what_a_map_holds() {
        for seed in 0..300 {
            let mut dice = seed;
            // Few hashes, so that they meet; in some histories all of them close together, at the end or anywhere.
            let range = 1 + random(&mut dice) % 300;
            let spread = [u64::MAX / range, 1, u64::MAX / range / 50 + 1][seed as usize % 3];
            let base = if seed % 2 == 0 { 0 } else { u64::MAX - spread.saturating_mul(range) };
            let (mut table, mut model) = (Table::new(), BTreeMap::new());
            let mut growing = true;
            for step in 0..2_000 {
                let hash = usable(base + random(&mut dice) % range * spread);
                growing ^= random(&mut dice) % 200 == 0;
                match (table.find(hash), random(&mut dice) % 4 < if growing { 3 } else { 1 }) {
                    (Some(slot), true) => {
                        table.set(slot, step);
                        model.insert(hash, step);
                    }
                    (Some(slot), false) => {
                        assert_eq!(table.word(slot), model.remove(&hash));
                        table.remove(slot);
                        if step % 3 == 0 {
                            table.shrink();
                        }
                    }
                    (None, true) => {
                        table.insert(hash, step);
                        assert_eq!(model.insert(hash, step), None);
                    }
                    (None, false) => assert!(!model.contains_key(&hash)),
                }
                if step % 500 == 0 {
                    table.update(|hash, word| (hash % 3 > 0).then_some(word + 1));
                    model.retain(|hash, _| hash % 3 > 0);
                    for word in model.values_mut() {
                        *word += 1;
                    }
                }
                table.check(&model);
            }
            model.clear();
            table.update(|_, _| None);
            table.check(&model);
            assert_eq!(table.slots.capacity(), 0);
        }
    }

    #[test]
    fn no_key_has_the_hash_that_stands_for_a_free_slot() {
        let mut table = Table::new();
        table.insert(usable(u64::MAX), 7);
        assert_eq!(table.find(usable(u64::MAX)).and_then(|slot| table.word(slot)), Some(7));
    }

    #[test]
    fn keys_that_all_want_the_last_home_take_no_more_than_a_slot_each_behind_it() {
        let mut table = Table::new();
        for count in 1..=1_000 {
            table.insert(FREE.hash - count, count);
            let most = table.homes + count as usize + BEHIND;
            assert!(table.slots.len() <= most, "{} for {count}, {} homes", table.slots.len(), table.homes);
        }
        for count in 1..=1_000 {
            let slot = table.find(FREE.hash - count).unwrap();
            assert_eq!(table.word(slot), Some(count));
        }
    }

    #[test]
    fn no_key_is_far_from_its_home_and_none_takes_much() {
        let mut dice = 7;
        let (mut table, mut hashes) = (Table::new(), Vec::new());
        for count in 1..=100_000 {
            hashes.push(usable(random(&mut dice)));
            table.insert(hashes[count - 1], 0);
            if count > 1_000 && count % 997 == 0 {
                assert!(table.farthest() < 64, "{} of {count}", table.farthest());
                assert!(table.slots.capacity() * 16 <= count * 31, "{} for {count}", table.slots.capacity());
            }
        }
        for (removed, hash) in hashes.iter().enumerate() {
            let slot = table.find(*hash).unwrap();
            table.remove(slot);
            table.shrink();
            let left = hashes.len() - removed - 1;
            assert!(table.slots.capacity() <= left * 6 + 16, "{} for {left}", table.slots.capacity());
        }
        assert_eq!(table.slots.capacity(), 0);
    }
}
