//! Some of the keys: a table, whose words are read here, and the states of those keys that have one.

use super::Form;
use super::table::Table;
use crate::keyed::Idle;
use crate::policy::State;
use crate::sync::Arc;

/// Set in the word of a key that has a state; the rest is where it is. Unset, the rest is `full_at`, which is below 2^61.
const STATE: u64 = 1 << 63;

pub(super) struct Shard {
    table: Table,
    /// Each with the hash of its key.
    states: Vec<(u64, Arc<State>)>,
    /// The slot that is looked at next.
    hand: usize,
    /// The calls that have come, wrapping.
    calls: u32,
    pub(super) form: Form,
}

/// What a look has let go of.
#[derive(Default)]
pub(super) struct Swept {
    pub(super) keys: usize,
    pub(super) state: Option<Arc<State>>,
}

/// What a key has.
pub(super) enum Found {
    /// Nothing, which is the same as a full bucket and a closed breaker.
    Nothing,
    /// `full_at`, in a slot.
    FullAt(usize, u64),
    State(usize),
}

impl Shard {
    pub(super) fn new(form: Form) -> Shard {
        Shard { table: Table::new(), states: Vec::new(), hand: 0, calls: 0, form }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64) -> Found {
        let Some(slot) = self.table.find(hash) else { return Found::Nothing };
        match self.table.word(slot) {
            Some(word) if word & STATE != 0 => Found::State((word & !STATE) as usize),
            Some(full_at) => Found::FullAt(slot, full_at),
            None => Found::Nothing,
        }
    }

    pub(super) fn state(&self, index: usize) -> &Arc<State> {
        &self.states[index].1
    }

    pub(super) fn states(&self) -> impl ExactSizeIterator<Item = &Arc<State>> {
        self.states.iter().map(|(_, state)| state)
    }

    /// Counts a call; whether it is one of `every`.
    #[inline]
    pub(super) fn counts(&mut self, every: u32) -> bool {
        self.calls = self.calls.wrapping_add(1);
        self.calls % every == 0
    }

    // ---- changes

    /// What has been taken of a key's bucket.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, full_at: u64) {
        self.table.set(slot, full_at);
    }

    /// A key that has nothing yet gets a word.
    pub(super) fn insert(&mut self, hash: u64, full_at: u64) {
        self.table.insert(hash, full_at);
    }

    /// A key that has no state yet gets one; whether it had nothing before.
    pub(super) fn insert_state(&mut self, hash: u64, state: Arc<State>) -> bool {
        let word = STATE | self.states.len() as u64;
        self.states.push((hash, state));
        let found = self.table.find(hash);
        if let Some(slot) = found {
            self.table.set(slot, word);
        } else {
            self.table.insert(hash, word);
        }
        found.is_none()
    }

    /// Looks at some slots from the hand on, and lets go of what says nothing; no further than the first state that it lets go of.
    pub(super) fn sweep(&mut self, looks: usize, is_pressed: bool, now: u64) -> Swept {
        let full = self.full(now);
        let mut swept = Swept::default();
        for _ in 0..looks.min(self.table.slots()) {
            if self.hand >= self.table.slots() {
                self.hand = 0;
            }
            let before = swept.keys;
            self.look(self.hand, full, is_pressed, now, &mut swept);
            // What was behind it may have moved up.
            self.hand += usize::from(swept.keys == before);
            if swept.state.is_some() {
                break;
            }
        }
        if swept.keys > 0 {
            self.table.shrink();
        }
        swept
    }

    /// Looks at all slots.
    pub(super) fn sweep_all(&mut self, now: u64) -> (usize, Vec<Arc<State>>) {
        let full = self.full(now);
        let (mut slot, mut keys, mut states) = (0, 0, Vec::new());
        while slot < self.table.slots() {
            let mut swept = Swept::default();
            self.look(slot, full, false, now, &mut swept);
            slot += 1 - swept.keys;
            keys += swept.keys;
            states.extend(swept.state);
        }
        self.table.shrink();
        (keys, states)
    }

    /// The last `full_at` of a bucket that is full.
    fn full(&self, now: u64) -> u64 {
        self.form.rate.map_or(0, |rate| rate.units(now))
    }

    fn look(&mut self, slot: usize, full: u64, is_pressed: bool, now: u64, swept: &mut Swept) {
        match self.table.word(slot) {
            Some(word) if word & STATE != 0 => {
                let before = self.table.len();
                swept.state = self.simplify(slot, is_pressed, now);
                swept.keys += before - self.table.len();
            }
            Some(full_at) if full_at <= full => {
                self.table.remove(slot);
                swept.keys += 1;
            }
            _ => {}
        }
    }

    /// Looks at the state of a key that somebody has done with.
    pub(super) fn leave(&mut self, hash: u64, now: u64) -> Swept {
        let mut swept = Swept::default();
        if let Some(slot) = self.table.find(hash) {
            // Nothing but a state is looked at: what is full by its number is seen by the hand.
            self.look(slot, 0, false, now, &mut swept);
        }
        if swept.keys > 0 {
            self.table.shrink();
        }
        swept
    }

    /// Lets go of a state that nobody holds, if it is idle or no more than its `full_at` says; when there is no room for other keys,
    /// also if all that it says is that some calls have failed.
    fn simplify(&mut self, slot: usize, is_pressed: bool, now: u64) -> Option<Arc<State>> {
        let index = (self.table.word(slot)? & !STATE) as usize;
        // Clones are made under the lock, so one that nobody holds stays so; and whoever held it last has left it as it is seen here
        // (`get_mut` acquires what a drop releases).
        let state = Arc::get_mut(&mut self.states[index].1)?;
        if state.is_idle() || is_pressed && state.is_dispensable(now) {
            self.table.remove(slot);
        } else {
            let full_at = self.form.is_compact.then(|| state.compact(self.form.first, now)).flatten()?;
            self.table.set(slot, full_at);
        }
        let (_, let_go) = self.states.swap_remove(index);
        // The last one has moved into its place.
        if let Some(slot) = self.states.get(index).and_then(|(moved, _)| self.table.find(*moved)) {
            self.table.set(slot, STATE | index as u64);
        }
        if self.states.len() * 4 < self.states.capacity() {
            self.states.shrink_to(self.states.len() * 2);
        }
        Some(let_go)
    }

    /// Every key holds other settings from now on. What a word cannot say any more is said by a state that `make` begins under the
    /// old ones; where there is no rate any more it says nothing.
    pub(super) fn configure(&mut self, form: Form, now: u64, make: &dyn Fn(u64) -> Arc<State>) {
        let old = std::mem::replace(&mut self.form, form);
        let Shard { table, states, .. } = self;
        table.update(|hash, word| match (old.rate, form.rate) {
            _ if word & STATE != 0 => Some(word),
            (Some(_), _) if !form.is_compact => {
                states.push((hash, make(word)));
                Some(STATE | (states.len() - 1) as u64)
            }
            (Some(old), Some(new)) => Some(old.renewed(word, new, now)),
            _ => None,
        });
    }

    /// For how many states there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.states.capacity()
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.table.slots()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
