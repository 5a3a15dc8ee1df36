//! Random histories of whole calls: through the attribute and through `Policy`, with keys and costs, dropped at any point, panicking,
//! while the settings change and the breaker is forced, on a clock that jumps. Jitter and the clock's phase follow from the input, so
//! that it is the same history each time.
//!
//! `world` is the service that is called: it sees each attempt begin, and knows what may not begin. `sums` compares, when all is over,
//! what the policy has counted with what the world has seen. Here are the calls, and what happens to them.

mod sums;
mod world;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use apiguard::{Error, Policy, Settings, Verdict, guarded};
use tokio::task::{JoinHandle, LocalSet, yield_now};
use tokio::time::sleep;

use self::world::{Call, World};
use super::settings;
use crate::choices::Choices;
use crate::driver::{PLANNED, Seen, is_planned, size};

/// Longer histories show nothing that shorter ones do not.
const MOST_STEPS: usize = 200;
const LONGEST_STEP: Duration = Duration::from_secs(86_400 * 20);
/// After that the longest window, wait and refill are over.
const AFTER_ALL: Duration = Duration::from_secs(86_400 * 400);

/// What an attempt does, and how it ends.
#[derive(Clone, Copy, Debug)]
struct Step {
    delay: Duration,
    end: End,
    used: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Good,
    Permanent,
    Failed,
    Transient(Option<Duration>),
    Throttled(Option<Duration>),
    Panics,
    Hangs,
}

/// What a call does: its attempts take the steps in turn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    way: Way,
    key: Option<u8>,
    cost: u32,
    steps: Vec<Step>,
}

/// Through what it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    /// `#[guarded(policy, cost, settle, classify)]`
    Attribute,
    /// The same with `key`.
    Keyed,
    /// With retries and timeouts of its own.
    Own,
    /// `Policy::call_with`
    Closure,
    /// `Policy::call_keyed`, which knows no verdicts: all that is no success is transient.
    KeyedClosure,
}

#[derive(Clone, Copy, Debug)]
struct Failure(End, u32);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failure {}

type Outcome = Result<u32, Failure>;

fn meaning(outcome: &Outcome) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Success,
        Err(Failure(End::Permanent, _)) => Verdict::Permanent,
        Err(Failure(End::Transient(retry_after), _)) => Verdict::Transient { retry_after: *retry_after },
        Err(Failure(End::Throttled(retry_after), _)) => Verdict::Throttled { retry_after: *retry_after },
        Err(_) => Verdict::Failure,
    }
}

fn used(outcome: &Outcome) -> u32 {
    match outcome {
        Ok(used) | Err(Failure(_, used)) => *used,
    }
}

#[guarded(policy = policy, cost = call.plan.cost, settle = used, classify = meaning)]
async fn plain(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failure>> {
    attempt(world, call, apiguard::attempt()).await
}

#[guarded(policy = policy, cost = call.plan.cost, settle = used, classify = meaning, key = call.plan.key)]
async fn keyed(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failure>> {
    attempt(world, call, apiguard::attempt()).await
}

#[guarded(
    policy = policy,
    classify = meaning,
    retries(2, base = "50ms", budget = "off"),
    timeout = "5s",
    attempt_timeout = "1s"
)]
async fn own(policy: Arc<Policy>, world: &World, call: &Call) -> Result<u32, Error<Failure>> {
    attempt(world, call, apiguard::attempt()).await
}

async fn attempt(world: &World, call: &Call, number: u32) -> Outcome {
    let mut begun = world.begin(call, number);
    let step = world.step(call);
    if !step.delay.is_zero() {
        sleep(step.delay).await;
    }
    match step.end {
        End::Panics => panic!("{PLANNED}"),
        End::Hangs => loop {
            sleep(AFTER_ALL).await;
        },
        end => begun.ends(end, step.used),
    }
    if step.end == End::Good { Ok(step.used) } else { Err(Failure(step.end, step.used)) }
}

async fn run_call(policy: Arc<Policy>, world: Rc<World>, call: Rc<Call>) {
    world.comes(&call);
    let (plan, policy) = (&call.plan, &policy);
    let result = match plan.way {
        Way::Attribute => plain(Arc::clone(policy), &world, &call).await,
        Way::Keyed => keyed(Arc::clone(policy), &world, &call).await,
        Way::Own => own(Arc::clone(policy), &world, &call).await,
        Way::Closure => policy.call_with(meaning, async || attempt(&world, &call, apiguard::attempt()).await).await,
        Way::KeyedClosure => {
            policy.call_keyed(&plan.key, async || attempt(&world, &call, apiguard::attempt()).await).await
        }
    };
    world.returns(
        &call,
        result.map_err(|error| match error {
            Error::Rejected(rejected) => Error::Rejected(rejected),
            Error::Call { attempts, .. } => Error::Call { source: (), attempts },
        }),
    );
}

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime needs no more than memory");
    runtime.block_on(LocalSet::new().run_until(async {
        // The same input is the same history, wherever and whenever it is run.
        let _simulation = apiguard::__private::simulate(seed(input));
        let settings = settings::sound(&mut choices);
        let mut history = History::new(settings);
        for _ in 0..MOST_STEPS {
            if choices.is_over() {
                break;
            }
            history.step(&mut choices).await;
        }
        history.end(seen).await;
    }));
}

/// A number that follows from the input.
fn seed(input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish()
}

struct History {
    policy: Arc<Policy>,
    world: Rc<World>,
    running: Vec<JoinHandle<()>>,
    calls: Vec<Rc<Call>>,
}

impl History {
    fn new(settings: Settings) -> History {
        let policy = Policy::builder("p").settings(settings).build().expect("they are sound");
        let policy = Arc::new(policy);
        let world = Rc::new(World::new(Arc::clone(&policy)));
        History { policy, world, running: Vec::new(), calls: Vec::new() }
    }

    async fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(32) {
            0..=10 => self.call(plan(choices)),
            11 | 12 => {
                let plan = plan(choices);
                (0..choices.below(30)).for_each(|_| self.call(plan.clone()));
            }
            13..=16 if !self.running.is_empty() => {
                let index = usize::from(choices.byte()) % self.running.len();
                self.running.swap_remove(index).abort();
            }
            17..=24 => sleep(choices.duration().min(LONGEST_STEP)).await,
            25 => self.world.stand_still(choices.duration().min(LONGEST_STEP)).await,
            26 if choices.one_in(2) => {
                let settings = settings::sound(choices);
                self.policy.configure(settings).expect("they are sound");
                self.world.configured(settings);
            }
            27 => match choices.below(6) {
                0 => self.policy.force_open(),
                1 => self.policy.force_closed(),
                2 => {
                    self.policy.reset();
                    self.world.resumed();
                }
                3 => drop(self.policy.evict_idle()),
                _ => self.look(),
            },
            _ => yield_now().await,
        }
        self.join().await;
    }

    fn call(&mut self, plan: Plan) {
        let call = Rc::new(Call::new(plan));
        self.calls.push(Rc::clone(&call));
        self.running.push(tokio::task::spawn_local(run_call(Arc::clone(&self.policy), Rc::clone(&self.world), call)));
    }

    /// What tells of the policy does so in any state.
    fn look(&self) {
        let snapshot = self.policy.snapshot();
        assert!(serde_json::to_string(&snapshot).is_ok());
        assert!(!format!("{snapshot:#}").is_empty() && !format!("{:?}", self.policy).is_empty());
        let attempts = self.world.ended();
        assert_eq!(snapshot.attempts(), attempts, "of {} that have ended", attempts);
    }

    /// Looks after the tasks that have ended: one whose assertion failed fails the history.
    async fn join(&mut self) {
        let (ended, running) = std::mem::take(&mut self.running).into_iter().partition(JoinHandle::is_finished);
        self.running = running;
        for task in ended {
            joined(task).await;
        }
    }

    async fn end(mut self, seen: &mut Seen) {
        sleep(Duration::from_secs(600)).await;
        self.join().await;
        for task in self.running.drain(..) {
            task.abort();
            joined(task).await;
        }
        self.look();
        sums::check(&self.policy.snapshot(), &self.world, &self.calls);
        sums::mark(&self.policy.snapshot(), &self.world, seen);
        // A policy that is left alone is as new.
        sleep(AFTER_ALL).await;
        sums::check_idle(&self.policy);
        seen.mark(("keys", size(self.policy.snapshot().keys as u64)));
    }
}

/// A panic that was no step of a plan goes on.
async fn joined(task: JoinHandle<()>) {
    let Err(error) = task.await else { return };
    if !error.is_panic() {
        return;
    }
    let panic = error.into_panic();
    if !is_planned(&*panic) {
        std::panic::resume_unwind(panic);
    }
}

fn plan(choices: &mut Choices<'_>) -> Plan {
    let way = choices.one_of(&[Way::Attribute, Way::Closure, Way::Keyed, Way::KeyedClosure, Way::Own]);
    let has_key = matches!(way, Way::Keyed | Way::KeyedClosure);
    let has_cost = matches!(way, Way::Attribute | Way::Keyed);
    let key = has_key.then(|| choices.below(3));
    let cost = if has_cost && choices.one_in(3) { choices.count() } else { 1 };
    let steps = (0..=choices.below(3)).map(|_| step(choices, cost)).collect();
    Plan { way, key, cost, steps }
}

fn step(choices: &mut Choices<'_>, cost: u32) -> Step {
    let delay = if choices.one_in(2) { choices.duration().min(LONGEST_STEP) } else { Duration::ZERO };
    let used = if choices.one_in(4) { choices.count() } else { cost };
    let end = match choices.below(16) {
        0..=4 => End::Good,
        5 => End::Permanent,
        6 | 7 => End::Failed,
        8..=10 => End::Transient(choices.one_in(3).then(|| choices.duration())),
        11..=13 => End::Throttled(choices.one_in(2).then(|| choices.duration())),
        14 => End::Panics,
        _ => End::Hangs,
    };
    Step { delay, end, used }
}
