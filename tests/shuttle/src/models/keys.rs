//! Keys that come, are used by several tasks at a time, and go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_spec::{Breaker, Concurrency, Rate, Settings};
use shuttle::future::{block_on, spawn, yield_now};

use super::reached;
use crate::breaker::{Core, Ended, Sign};
use crate::clock;
use crate::keyed::Keyed;
use crate::keys::{Asked, Form, Keys};
use crate::limiter::{Entry, Taken, TokenBucket, Turn};
use crate::policy::{self, State};
use crate::random::below;

const TASKS: u64 = 4;
const BURST: u32 = 3;
/// An hour for a token: nothing is regained in a model.
const SETTINGS: Settings = Settings::new().rate(Rate::per_hour(1).burst(BURST)).breaker(BREAKER);
/// It counts, and never opens.
const BREAKER: Breaker = Breaker::consecutive(1_000);
const LIMITED: Settings = SETTINGS.concurrency(Concurrency::new(2));
/// All of one shard.
const KEYS: [u64; 3] = [7, 7 + (1 << 20), 7 + (1 << 40)];

/// The keys of a policy, as it keeps them.
struct Table {
    keys: Keys,
    /// With the number of their version.
    settings: shuttle::sync::Mutex<(Settings, u32)>,
    one_at_a_time: shuttle::sync::Mutex<()>,
    all: Core,
    seen: Mutex<Seen>,
}

/// What has happened, of each key.
#[derive(Default)]
struct Seen {
    taken: HashMap<u64, u32>,
    failed: HashMap<u64, u32>,
    /// The states that are held, by their addresses, and by how many.
    held: HashMap<u64, (usize, u32)>,
}

/// The state of a key that a call holds, and what it took of it: given back unless it runs. As a call's `Key` and `Drop`.
struct Held<'t> {
    table: &'t Table,
    key: u64,
    state: Option<Arc<State>>,
    taken: Option<Taken>,
}

impl Table {
    fn new() -> Arc<Table> {
        let keys = Keys::new();
        keys.prepare(Form::of(&policy::state(&SETTINGS, 0), 0, 0));
        Arc::new(Table {
            keys,
            settings: shuttle::sync::Mutex::new((SETTINGS, 0)),
            one_at_a_time: shuttle::sync::Mutex::new(()),
            all: Core::new(Some(&BREAKER)),
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("no assertion is made under it")
    }

    fn settings(&self) -> (Settings, u32) {
        *self.settings.lock().expect("no panic under it")
    }

    fn new_state(&self) -> Arc<State> {
        let (settings, version) = self.settings();
        Arc::new(policy::state(&settings, version))
    }

    fn hold(&self, key: u64, state: Arc<State>) -> Held<'_> {
        let address = Arc::as_ptr(&state) as usize;
        let other = {
            let mut seen = self.seen();
            let (held, holders) = seen.held.entry(key).or_insert((address, 0));
            *holders += 1;
            if *holders > 1 {
                reached();
            }
            *held
        };
        assert_eq!(address, other, "two states of one key");
        // One that the settings were changed around.
        if state.version() != self.settings().1 {
            let _one_at_a_time = self.one_at_a_time.lock().expect("no panic under it");
            let (settings, version) = self.settings();
            policy::configure(&[Arc::clone(&state)], &settings, &settings, version);
        }
        Held { table: self, key, state: Some(state), taken: None }
    }

    /// As a policy does.
    fn state(&self, key: u64) -> Held<'_> {
        let state = self.keys.state(key).unwrap_or_else(|| {
            self.keys
                .state_or(key, self.new_state(), clock::now(), &self.all)
                .or_else(|_| {
                    let _one_at_a_time = self.one_at_a_time.lock().expect("no panic under it");
                    self.keys.state_or(key, self.new_state(), clock::now(), &self.all)
                })
                .unwrap_or_else(|_| panic!("the settings do not change"))
        });
        self.hold(key, state)
    }

    /// A token, if there is one: at once.
    fn take(&self, key: u64) -> bool {
        let is_taken = match self.keys.ask(key, 1, clock::now()) {
            Asked::Taken(..) => true,
            Asked::Short(..) => false,
            Asked::State(state) => self.hold(key, state).take(),
            Asked::Stateless => self.state(key).take(),
        };
        if is_taken {
            *self.seen().taken.entry(key).or_default() += 1;
        }
        is_taken
    }

    async fn wait(&self, key: u64) {
        let mut held = self.state(key);
        let state = Arc::clone(held.state.as_ref().expect("held"));
        let entry = state.limiter.enter(|| self.settings().0, 1, clock::now(), clock::NEVER);
        match entry.expect("a turn comes some time") {
            Entry::Taken(taken) => held.taken = Some(taken),
            // Aborted where nothing is there.
            Entry::Turn(ticket) => held.taken = Turn::new(Limiter(state), ticket).await.ok(),
        }
        yield_now().await;
        // It does not run: what it took is given back.
    }

    fn fail(&self, key: u64) {
        let held = self.state(key);
        *self.seen().failed.entry(key).or_default() += 1;
        held.settle(Sign::Bad);
    }

    fn change(&self, new: Settings) {
        let one_at_a_time = self.one_at_a_time.lock().expect("no panic under it");
        let (old, version) = {
            let mut settings = self.settings.lock().expect("no panic under it");
            let (old, version) = *settings;
            *settings = (new, version + 1);
            (old, version + 1)
        };
        let now = clock::now();
        let form = Form::of(&policy::state(&new, version), now + 1, version);
        let before = || policy::state(&old, version - 1);
        let states = self.keys.configure(form, false, now, &before, &self.all);
        policy::configure(&states, &old, &new, version);
        drop(one_at_a_time);
    }

    async fn use_some(self: Arc<Table>) {
        for _ in 0..3 {
            let key = KEYS[below(3) as usize];
            match below(8) {
                0..3 => drop(self.take(key)),
                3 | 4 => self.wait(key).await,
                5 => self.fail(key),
                6 => drop(self.keys.evict_idle(clock::now())),
                // A key that is not one of those: it looks at some of them.
                _ => drop(self.keys.ask(7 + (below(1_000) << 7 | 1 << 50), 1, clock::now())),
            }
            yield_now().await;
        }
    }

    /// Nothing was lost while it was used, and nothing is left when it is not.
    fn check(&self) {
        // What could have been regained while it was held is not given back: some nanoseconds of an hour.
        clock::advance(Duration::from_millis(1));
        for key in KEYS {
            let (taken, failed) = {
                let seen = self.seen();
                let of = |counts: &HashMap<u64, u32>| counts.get(&key).copied().unwrap_or(0);
                (of(&seen.taken), of(&seen.failed))
            };
            let counted = self.keys.state(key).map_or(0, |state| state.breaker.failures_in_a_row());
            assert_eq!(counted, failed, "failures of a key");
            let left = (0..=BURST).take_while(|_| self.take(key)).count() as u32;
            assert_eq!(taken + left, BURST, "tokens of a key: {taken} taken, {left} left");
            if failed > 0 {
                self.state(key).settle(Sign::Good);
            }
        }
        assert!(self.keys.len() >= KEYS.len(), "a key was forgotten with its debt");
        clock::advance(Duration::from_secs(3_600 * 100));
        self.keys.evict_idle(clock::now());
        assert_eq!((self.keys.len(), self.keys.states().len()), (0, 0), "an idle key is left");
    }
}

impl Held<'_> {
    fn take(&self) -> bool {
        let state = self.state.as_ref().expect("held");
        let (settings, _) = self.table.settings();
        // Without a wait; with a limit in flight the attempt ends at once.
        match state.limiter.enter(|| settings, 1, clock::now(), 0) {
            Ok(Entry::Taken(taken)) => {
                state.limiter.release(taken.flight());
                true
            }
            Ok(Entry::Turn(ticket)) => {
                drop(Turn::new(Limiter(Arc::clone(state)), ticket));
                false
            }
            Err(_) => false,
        }
    }

    fn settle(&self, sign: Sign) {
        let state = self.state.as_ref().expect("held");
        state.breaker.settle(self.table.keys.first(self.key), Ended { sign, ran: 0, hold: 0 }, clock::now(), &BREAKER);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        if let Some(taken) = self.taken.take() {
            state.limiter.give_back(taken);
        }
        if let Some((_, holders)) = self.table.seen().held.get_mut(&self.key) {
            *holders -= 1;
        }
        self.table.seen().held.retain(|_, (_, holders)| *holders > 0);
        self.table.keys.leave(self.key, state, clock::now());
    }
}

/// The limiter of a key, as a wait holds it.
struct Limiter(Arc<State>);

impl std::ops::Deref for Limiter {
    type Target = crate::limiter::Limiter;

    fn deref(&self) -> &Self::Target {
        &self.0.limiter
    }
}

fn run(table: &Arc<Table>, meanwhile: impl Future<Output = ()> + Send + 'static) {
    block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| spawn(Arc::clone(table).use_some())).collect();
        let meanwhile = spawn(meanwhile);
        // One is aborted at some point, and all the others when they wait for what nobody gives back.
        for _ in 0..below(20) {
            yield_now().await;
        }
        tasks[below(TASKS) as usize].abort();
        meanwhile.await.expect("nobody aborts it");
        for task in tasks {
            for _ in 0..20 {
                if task.is_finished() {
                    break;
                }
                yield_now().await;
            }
            task.abort();
            drop(task.await);
        }
    });
}

pub(super) fn come_and_go() {
    let table = Table::new();
    run(&table, async {});
    table.check();
}

/// A limit beside the rate comes and goes: numbers become states, and states numbers.
pub(super) fn other_settings() {
    let table = Table::new();
    let changed = Arc::clone(&table);
    run(&table, async move {
        for _ in 0..2 {
            yield_now().await;
            changed.change(LIMITED);
            yield_now().await;
            changed.change(SETTINGS);
        }
    });
    table.check();
}

/// `Keyed`: a bucket for each key.
pub(super) fn values() {
    let keyed: Arc<Keyed<u64, TokenBucket>> = Arc::new(Keyed::new());
    // Of one shard of 64, whatever the hash is.
    let shard = |key: &u64| keyed.hash_of(key) % 64;
    let keys: Vec<u64> = (0..).filter(|key| shard(key) == shard(&0)).take(5).collect();
    let bucket = || TokenBucket::with_rate(Rate::per_hour(1).burst(BURST)).expect("a rate");
    let taken: Arc<Mutex<HashMap<u64, u32>>> = Arc::default();
    block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (keyed, taken, keys) = (Arc::clone(&keyed), Arc::clone(&taken), keys.clone());
                spawn(async move {
                    for _ in 0..3 {
                        // Tokens are taken of three of them; the others only come.
                        let key = keys[below(5) as usize];
                        let value = keyed.get_or_insert_with(&key, bucket);
                        yield_now().await;
                        let again = keyed.get_or_insert_with(&key, bucket);
                        assert!(Arc::ptr_eq(&value, &again), "two values of a key whose value is held");
                        drop(again);
                        if keys[..3].contains(&key) && value.try_acquire(1).is_ok() {
                            *taken.lock().expect("no panic under it").entry(key).or_default() += 1;
                        }
                        drop(value);
                        if below(3) == 0 {
                            keyed.evict_idle();
                        }
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
    });
    reached();
    let taken = taken.lock().expect("no panic under it").clone();
    for (key, taken) in &taken {
        let value = keyed.get(key).expect("it has a debt");
        assert_eq!(value.available() + taken, BURST, "a key was forgotten with its debt");
    }
    keyed.evict_idle();
    assert_eq!(keyed.len(), taken.len(), "a key without a debt is left");
    clock::advance(Duration::from_secs(3_600 * 100));
    assert_eq!((keyed.evict_idle(), keyed.len()), (taken.len(), 0));
}
