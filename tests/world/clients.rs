//! Those who call: through every way into a policy, once each, at any time, and some of them leave before the end.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use apiguard::{Error, Policy, Verdict, guarded};
use tokio::time::{Instant, sleep, sleep_until};

use super::book::Book;
use super::checks;
use super::dice::Dice;
use super::server::Fault;
use super::trace::What;
use super::world::World;

pub const OWN_RETRIES: u32 = 2;
pub const OWN_BASE: Duration = Duration::from_millis(50);
pub const OWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Through what a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `Policy::call`
    Closure,
    /// `Policy::call_with`
    Judged,
    /// `Policy::call_keyed`
    KeyedClosure,
    /// `#[guarded(policy, cost)]`
    Attribute,
    /// The same with `settle`.
    Settled,
    /// With `key`.
    Keyed,
    /// With retries and timeouts of its own.
    Own,
}

impl Way {
    pub fn settles(self) -> bool {
        self == Way::Settled
    }
}

/// When a caller leaves.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    Never,
    After(Duration),
    /// When it is run for this time, after that.
    AfterPoll(u32),
    /// Or before it: what woke it is not taken.
    BeforePoll(u32),
}

/// One call.
#[derive(Debug)]
pub struct Call {
    pub id: u32,
    pub book: usize,
    pub way: Way,
    /// 0 for none.
    pub key: usize,
    pub cost: u32,
    pub leave: Leave,
    pub came: u64,
    pub epoch: u32,
    pub dice: std::cell::RefCell<Dice>,
    pub made: Cell<u32>,
    pub running: Cell<bool>,
    /// Its caller leaves at this moment; an attempt ran then.
    pub leaving: Cell<bool>,
    pub left_running: Cell<bool>,
    /// A timeout has ended the last attempt.
    pub timed_out: Cell<bool>,
    /// When the last attempt ended, and for how long the server asked to wait.
    pub ended: Cell<Option<(u64, Option<Duration>)>>,
    /// Whether what it returned last is one that is retried.
    pub retried: Cell<bool>,
    pub outcome: Cell<Option<&'static str>>,
}

impl Call {
    pub fn new(world: &World, book: &Book, dice: &mut Dice) -> Call {
        let traffic = &book.traffic;
        let key = if book.has_keys() { dice.between(1, u64::from(traffic.keys)) as usize } else { 0 };
        let ways: &[Way] = match (book.has_keys(), traffic.settles, traffic.own) {
            (true, ..) => &[Way::KeyedClosure, Way::Keyed],
            (_, true, true) => &[Way::Closure, Way::Settled, Way::Own, Way::Attribute],
            (_, true, _) => &[Way::Judged, Way::Settled, Way::Attribute],
            (_, _, true) => &[Way::Closure, Way::Own, Way::Attribute],
            _ => &[Way::Closure, Way::Judged, Way::Attribute],
        };
        let way = dice.one_of(ways);
        let costs = matches!(way, Way::Attribute | Way::Settled | Way::Keyed);
        let leave = if dice.percent(traffic.leavers) {
            match dice.below(5) {
                0 => Leave::After(dice.ms(0, 50)),
                1 => Leave::After(dice.ms(50, 8_000)),
                2 => Leave::AfterPoll(dice.count(1, 6)),
                _ => Leave::BeforePoll(dice.count(2, 4)),
            }
        } else {
            Leave::Never
        };
        let cost = if costs { dice.count(1, traffic.most_cost) } else { 1 };
        Call { way, key, cost, leave, ..Call::plain(world, book, dice) }
    }

    /// One that is there to see whether all is well.
    pub fn plain(world: &World, book: &Book, dice: &mut Dice) -> Call {
        Call {
            id: world.next_call(),
            book: book.index,
            way: Way::Closure,
            key: 0,
            cost: 1,
            leave: Leave::Never,
            came: world.now(),
            epoch: book.epoch.get(),
            dice: std::cell::RefCell::new(dice.fork()),
            made: Cell::new(0),
            running: Cell::new(false),
            leaving: Cell::new(false),
            left_running: Cell::new(false),
            timed_out: Cell::new(false),
            ended: Cell::new(None),
            retried: Cell::new(false),
            outcome: Cell::new(None),
        }
    }

    /// What an attempt has used of what it took.
    fn used(&self) -> u32 {
        let mut dice = self.dice.borrow_mut();
        match dice.below(4) {
            0 => dice.count(0, self.cost),
            1 => self.cost + dice.count(0, 2),
            _ => self.cost,
        }
    }
}

/// An attempt that failed, and what it has used.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    pub used: u32,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed ({})", self.fault.status())
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}

type Outcome = Result<u32, Failed>;

/// What the guard should make of an outcome.
pub fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Success,
        Err(failed) => {
            let retry_after = failed.fault.retry_after();
            match failed.fault.status() {
                429 => Verdict::Throttled { retry_after },
                501 => Verdict::Failure,
                0 | 500.. => Verdict::Transient { retry_after },
                _ => Verdict::Permanent,
            }
        }
    }
}

fn used(outcome: &Outcome) -> u32 {
    match outcome {
        Ok(used) => *used,
        Err(failed) => failed.used,
    }
}

#[guarded(policy = policy, cost = call.cost)]
async fn plain(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failed>> {
    attempt(world, call, apiguard::attempt()).await
}

#[guarded(policy = policy, cost = call.cost, settle = used)]
async fn settled(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failed>> {
    attempt(world, call, apiguard::attempt()).await
}

#[guarded(policy = policy, cost = call.cost, key = call.key)]
async fn keyed(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failed>> {
    attempt(world, call, apiguard::attempt()).await
}

#[guarded(policy = policy, retries(2, base = "50ms", budget = "off"), timeout = "5s", attempt_timeout = "1s")]
async fn own(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failed>> {
    attempt(world, call, apiguard::attempt()).await
}

async fn attempt(world: &World, call: &Call, number: u32) -> Outcome {
    let mut begun = world.book(call).begin(world, call, number);
    let answer = world.server.request().await;
    let used = call.used();
    let outcome = answer.map(|_| used).map_err(|fault| Failed { fault, used });
    begun.ends(&outcome, used);
    outcome
}

async fn result(world: &World, call: &Call) -> Result<u32, Error<Failed>> {
    let policy = &world.book(call).policy;
    let run = async || attempt(world, call, apiguard::attempt()).await;
    match call.way {
        Way::Closure => policy.call(run).await,
        Way::Judged => policy.call_with(verdict, run).await,
        Way::KeyedClosure => policy.call_keyed(&call.key, run).await,
        Way::Attribute => plain(Arc::clone(policy), world, call).await,
        Way::Settled => settled(Arc::clone(policy), world, call).await,
        Way::Keyed => keyed(Arc::clone(policy), world, call).await,
        Way::Own => own(Arc::clone(policy), world, call).await,
    }
}

/// A call from its beginning to its end, or until its caller leaves.
pub async fn run(world: Rc<World>, call: Rc<Call>) {
    let world = &*world;
    let book = world.book(&call);
    book.comes(world, &call);
    let result = {
        let mut future = Box::pin(Some(result(world, &call)));
        let patience = if let Leave::After(patience) = call.leave { patience } else { Duration::from_secs(1 << 30) };
        let mut timer = pin!(sleep(patience));
        let mut polls = 0;
        poll_fn(|cx| {
            world.polls.set(world.polls.get() + 1);
            polls += 1;
            let mut leaves = match call.leave {
                Leave::After(_) => timer.as_mut().poll(cx).is_ready(),
                Leave::BeforePoll(number) => polls >= number,
                _ => false,
            };
            if let Some(running) = future.as_mut().as_pin_mut().filter(|_| !leaves) {
                if let Poll::Ready(result) = running.poll(cx) {
                    return Poll::Ready(Some(result));
                }
            }
            leaves |= matches!(call.leave, Leave::AfterPoll(number) if polls >= number);
            if !leaves {
                return Poll::Pending;
            }
            call.leaving.set(true);
            world.trace(book.index, call.id, What::Leaves);
            future.set(None);
            Poll::Ready(None)
        })
        .await
    };
    book.returns(world, &call, result.as_ref());
}

/// The traffic under a policy: callers come one by one or many at once.
pub async fn come(world: Rc<World>, book: usize, mut dice: Dice) {
    let traffic = world.books[book].traffic.clone();
    let mut left = u64::from(traffic.calls);
    while left > 0 {
        // Twice the mean at most, so that it is the mean.
        let gap = traffic.mean_gap.mul_f64(dice.below(2_001) as f64 / 1_000.0);
        sleep(gap).await;
        if world.is_over() {
            return;
        }
        for _ in 0..dice.between(1, traffic.most_at_once).min(left) {
            let call = Rc::new(Call::new(&world, &world.books[book], &mut dice));
            world.spawn(call);
            left -= 1;
        }
    }
}

/// The changes of its settings.
pub async fn configure(world: Rc<World>, book: usize) {
    for (at, settings) in world.books[book].traffic.changes.clone() {
        sleep_until(world.start + at).await;
        world.books[book].configure(&world, &settings);
        world.quiet().await;
        checks::look(&world, &world.books[book]);
    }
}

/// Calls in a steady beat, from now on, until an instant; from another one on all of them have to work.
pub async fn beat(world: Rc<World>, book: usize, key: usize, gap: Duration, well_from: Instant, until: Instant) {
    let mut dice = Dice::new(key as u64);
    while Instant::now() < until {
        let way = if key > 0 { Way::KeyedClosure } else { Way::Closure };
        let call = Rc::new(Call { way, key, ..Call::plain(&world, &world.books[book], &mut dice) });
        run(Rc::clone(&world), Rc::clone(&call)).await;
        let began = world.start + Duration::from_nanos(call.came);
        let outcome = call.outcome.get();
        // Those who have been here for longer go on with their retries, and take their part of the limits.
        let is_crowded = matches!(outcome, Some("rate_limited" | "saturated")) && world.has_calls_left(book);
        world.check(began < well_from || is_crowded || outcome == Some("ok"), || {
            format!("policy {book}, key {key}: call {} is {outcome:?}, long after all is well", call.id)
        });
        sleep_until(began + gap).await;
    }
}
