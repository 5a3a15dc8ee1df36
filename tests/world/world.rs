//! One world: built from its seed, run on a clock that nobody waits for, and looked at while it runs and when it is over.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::book::{Book, Tally};
use super::checks;
use super::clients::{self, Call};
use super::dice::Dice;
use super::plan::{Plan, Traffic};
use super::server::Server;
use super::trace::{Line, Trace, What};

pub struct World {
    pub start: Instant,
    pub plan: Plan,
    pub server: Server,
    pub books: Vec<Book>,
    /// How often a call was run.
    pub polls: Cell<u64>,
    trace: RefCell<Trace>,
    /// The first thing that was wrong.
    wrong: RefCell<Option<String>>,
    calls: Cell<u32>,
    running: RefCell<Vec<(Rc<Call>, JoinHandle<()>)>>,
}

/// What a world was like, for those who want to know whether worlds are worth their while.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub hash: u64,
    pub lines: u64,
    pub calls: u64,
    pub virtual_time: Duration,
    pub tallies: Vec<Tally>,
}

impl World {
    fn new(seed: u64, kept: usize) -> World {
        let plan = Plan::new(seed);
        World {
            start: Instant::now(),
            server: Server::new(&plan, seed),
            books: plan.policies.iter().enumerate().map(|(index, traffic)| Book::new(index, traffic)).collect(),
            plan,
            polls: Cell::new(0),
            trace: RefCell::new(Trace::new(kept)),
            wrong: RefCell::default(),
            calls: Cell::new(0),
            running: RefCell::default(),
        }
    }

    /// Nanoseconds since the beginning.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub fn book(&self, call: &Call) -> &Book {
        &self.books[call.book]
    }

    pub fn next_call(&self) -> u32 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }

    /// Whether there is no traffic any more.
    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.plan.active || self.is_wrong()
    }

    pub fn is_wrong(&self) -> bool {
        self.wrong.borrow().is_some()
    }

    pub fn trace(&self, policy: usize, call: u32, what: What) {
        // What comes after something went wrong only hides what came before it.
        if !self.is_wrong() {
            self.trace.borrow_mut().add(Line { at: self.now(), policy, call, what });
        }
    }

    pub fn fail(&self, said: &str) {
        let at = Duration::from_nanos(self.now());
        self.wrong.borrow_mut().get_or_insert_with(|| format!("after {at:?}: {said}"));
    }

    pub fn check(&self, is_right: bool, said: impl FnOnce() -> String) {
        if !is_right {
            self.fail(&said());
        }
    }

    pub fn hold(&self, said: Result<(), String>) {
        if let Err(said) = said {
            self.fail(&said);
        }
    }

    pub fn spawn(self: &Rc<World>, call: Rc<Call>) {
        let task = spawn_local(clients::run(Rc::clone(self), Rc::clone(&call)));
        self.running.borrow_mut().push((call, task));
    }

    /// Whether calls of the time of trouble are not over.
    pub fn has_calls_left(&self, book: usize) -> bool {
        self.running.borrow().iter().any(|(call, task)| call.book == book && !task.is_finished())
    }

    /// Until nobody who could run has anything to do at this instant.
    pub async fn quiet(&self) {
        let mut before = u64::MAX;
        while self.polls.get() != before {
            before = self.polls.get();
            for _ in 0..3 {
                yield_now().await;
            }
        }
    }

    async fn join(&self, task: JoinHandle<()>) {
        if let Err(error) = task.await {
            self.fail(&format!("panicked: {}", if error.is_panic() { said(error.into_panic()) } else { "no".into() }));
        }
    }
}

fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or("something", |text| text).into(),
    }
}

/// Runs a world; what was wrong with it, with so many lines of what happened last.
pub fn run(seed: u64, kept: usize) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = LocalSet::new();
    let (nanos, world) = local.block_on(&runtime, async {
        let _simulation = apiguard::__private::simulate(seed);
        let world = Rc::new(World::new(seed, kept));
        live(&world, &mut Dice::new(!seed)).await;
        world.running.borrow_mut().drain(..).for_each(|(_, task)| task.abort());
        (world.now(), world)
    });
    if let Some(wrong) = world.wrong.take() {
        return Err(format!("{wrong}\n{}\n{}", *world.trace.borrow(), Summary(&world.plan)));
    }
    let trace = world.trace.borrow();
    Ok(Report {
        hash: trace.hash(),
        lines: trace.lines(),
        calls: u64::from(world.calls.get()),
        virtual_time: Duration::from_nanos(nanos),
        tallies: world.books.iter().map(|book| *book.tally.borrow()).collect(),
    })
}

async fn live(world: &Rc<World>, dice: &mut Dice) {
    let mut others = Vec::new();
    for book in 0..world.books.len() {
        others.push(spawn_local(clients::come(Rc::clone(world), book, dice.fork())));
        others.push(spawn_local(clients::configure(Rc::clone(world), book)));
    }
    let looks = world.plan.active.as_millis() as u64 / 200;
    while !world.is_over() {
        sleep(dice.ms(0, 2 * looks)).await;
        world.quiet().await;
        world.books.iter().for_each(|book| checks::look(world, book));
    }
    for task in others.drain(..) {
        world.join(task).await;
    }
    world.trace(0, 0, What::Restart);
    world.server.restart();
    let bounds = world.books.iter().map(|book| checks::bounds(world, book)).collect::<Vec<_>>();
    for (book, bounds) in world.books.iter().zip(&bounds) {
        let well_from = Instant::now() + bounds.recovery;
        let until = well_from + bounds.beat * 5;
        for key in usize::from(book.has_keys())..=usize::from(book.traffic.keys) {
            let beat = clients::beat(Rc::clone(world), book.index, key, bounds.beat, well_from, until);
            others.push(spawn_local(beat));
        }
    }
    for task in others {
        // It is a call in a row: its end is bounded as that of calls is.
        world.join(task).await;
        if world.is_wrong() {
            return;
        }
    }
    let last = bounds.iter().map(|bounds| bounds.call).max().unwrap_or_default();
    sleep_until(world.start + world.plan.active + last).await;
    let running = std::mem::take(&mut *world.running.borrow_mut());
    for (call, task) in running {
        let ended = timeout(Duration::ZERO, async {
            if !task.is_finished() {
                std::future::pending::<()>().await;
            }
        });
        if ended.await.is_err() {
            return world.fail(&format!("no end of {call:?}, {last:?} after all is well"));
        }
        world.join(task).await;
    }
    for book in &world.books {
        checks::books(world, book);
    }
    let attempts = world.books.iter().map(|book| book.tally.borrow().attempts).sum::<u64>();
    let arrived = world.server.arrived.get();
    world.check(attempts == arrived, || format!("{attempts} attempts, and {arrived} requests have arrived"));
    // Any bucket is full by then; a breaker's window of calls is forgotten after a day.
    sleep(Duration::from_secs(90_000)).await;
    for book in &world.books {
        checks::idle(world, book);
    }
}

/// The policies of a world, one a line.
struct Summary<'p>(&'p Plan);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { policies, server, troubles, active } = self.0;
        writeln!(f, "{active:?}, {server:?}")?;
        for trouble in troubles {
            writeln!(f, "{trouble:?}")?;
        }
        for (index, Traffic { settings, changes, calls, keys, most_at_once, leavers, .. }) in
            policies.iter().enumerate()
        {
            writeln!(
                f,
                "policy {index}: {calls} calls, {most_at_once} at once, {keys} keys, {leavers} % leave: {settings}"
            )?;
            for (at, settings) in changes {
                writeln!(f, "    after {at:?}: {settings}")?;
            }
        }
        Ok(())
    }
}
