//! The calls: a kind for each way into the library, each made by some workers over and over, until they are told to stop. One call
//! in four is given up on at some instant by its caller, one in sixteen runs in a task that is aborted.

mod http;
mod local;
mod policies;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;

pub use self::http::Clients;
pub use self::local::Parts;
pub use self::policies::{NEVER_FAILING, SOMETIMES_FAILING};
use crate::random::Random;
use crate::server::Server;

/// What all calls share.
pub struct World {
    pub server: Server,
    pub clients: Clients,
    pub parts: Parts,
    pub stops: AtomicBool,
}

/// A call; whether it was a success.
type Call = Pin<Box<dyn Future<Output = bool> + Send>>;

pub struct Kind {
    pub name: &'static str,
    workers: u64,
    /// How long a worker pauses between two calls, at most, in ms.
    pause: u64,
    call: fn(Arc<World>, Random) -> Call,
    pub tally: Tally,
}

/// The calls of a kind.
#[derive(Default)]
pub struct Tally {
    pub running: AtomicI64,
    pub good: AtomicU64,
    pub bad: AtomicU64,
    /// Given up on by their callers.
    pub left: AtomicU64,
}

macro_rules! kinds {
    ($($name:literal, $workers:literal, $pause:literal, $call:path;)*) => {
        pub static KINDS: [Kind; 12] = [$(Kind {
            name: $name,
            workers: $workers,
            pause: $pause,
            call: |world, random| Box::pin($call(world, random)),
            tally: Tally {
                running: AtomicI64::new(0),
                good: AtomicU64::new(0),
                bad: AtomicU64::new(0),
                left: AtomicU64::new(0),
            },
        }),*];
    };
}

kinds! {
    "attribute, shared policy", 12, 30, http::shared;
    "attribute, method with a policy of its own", 8, 30, http::own;
    "attribute, a key of 48 that fail", 12, 30, http::tenant;
    "client of reqwest, by host", 12, 30, http::client;
    "tower layer around a client", 8, 30, http::tower_client;
    "tower layer of a server, by key", 8, 10, local::tower_server;
    "keys that come and go, as numbers", 16, 4, local::fleeting;
    "keys that come and go, with states", 12, 5, local::fleeting_states;
    "a line of waiters, with cost", 40, 10, local::queue;
    "closure, settings that change", 24, 10, local::tuned;
    "policies that come and go", 8, 10, local::brief;
    "parts alone", 12, 10, local::parts;
}

/// What a call has come to, counted when it ends or is dropped.
struct Running<'t>(&'t Tally, Option<bool>);

impl<'t> Running<'t> {
    fn begin(tally: &'t Tally) -> Running<'t> {
        tally.running.fetch_add(1, Relaxed);
        Running(tally, None)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Running(tally, ended) = self;
        match ended {
            Some(true) => tally.good.fetch_add(1, Relaxed),
            Some(false) => tally.bad.fetch_add(1, Relaxed),
            None => tally.left.fetch_add(1, Relaxed),
        };
        tally.running.fetch_sub(1, Relaxed);
    }
}

impl Kind {
    /// One call.
    pub async fn call(&'static self, world: Arc<World>, random: Random) -> bool {
        let mut running = Running::begin(&self.tally);
        let is_good = (self.call)(world, random).await;
        running.1 = Some(is_good);
        is_good
    }

    async fn work(&'static self, world: Arc<World>, mut random: Random) {
        while !world.stops.load(Relaxed) {
            let call = self.call(Arc::clone(&world), Random::new(random.next()));
            match random.below(16) {
                0..4 => drop(tokio::time::timeout(random.millis(0, 60), call).await),
                4 => {
                    let task = tokio::spawn(call);
                    tokio::time::sleep(random.millis(0, 30)).await;
                    task.abort();
                    drop(task.await);
                }
                _ => drop(call.await),
            }
            tokio::time::sleep(random.millis(0, self.pause)).await;
        }
    }
}

/// Everything that runs until the world stops.
pub fn start(world: &Arc<World>, random: &mut Random) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for kind in &KINDS {
        for _ in 0..kind.workers {
            tasks.spawn(kind.work(Arc::clone(world), Random::new(random.next())));
        }
    }
    for _ in 0..4 {
        tasks.spawn(listen(Arc::clone(world), Random::new(random.next())));
    }
    tasks.spawn(policies::change(Arc::clone(world), Random::new(random.next())));
    tasks.spawn(look(Arc::clone(world)));
    tasks
}

/// A subscriber that comes, is slower than the events, and goes.
async fn listen(world: Arc<World>, mut random: Random) {
    while !world.stops.load(Relaxed) {
        let policies: Vec<_> = apiguard::registry().iter().collect();
        let mut events = match random.below(policies.len() as u64 + 1) as usize {
            0 => apiguard::registry().subscribe(),
            one => policies[one - 1].subscribe(),
        };
        for _ in 0..random.below(40) {
            if world.stops.load(Relaxed) {
                return;
            }
            let event = tokio::time::timeout(Duration::from_millis(100), events.recv()).await;
            if let Ok(Some(event)) = event {
                assert!(!event.to_string().is_empty());
            }
            tokio::time::sleep(random.millis(1, 20)).await;
        }
    }
}

/// Snapshots of everything, as a dashboard takes them.
async fn look(world: Arc<World>) {
    while !world.stops.load(Relaxed) {
        let lines: usize = apiguard::registry().snapshots().iter().map(|snapshot| format!("{snapshot:#}").len()).sum();
        assert!(lines > 0 && !apiguard::registry().to_string().is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
