//! Calls whose bodies are in this process: lines of waiters, keys and policies that come and go, settings that change.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::tower::GuardLayer;
use apiguard::{Breaker, CircuitBreaker, Concurrency, Error, Keyed, Policy, Rate, Retry, TokenBucket, Window, guarded};
use http::{Request, Response};
use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::World;
use super::policies::{DOOR, FLEETING, FLEETING_STATES, LINE, TUNED};
use crate::random::Random;

/// A key that has not been before, or one of the last few.
fn fleeting_key(random: &mut Random) -> u64 {
    if random.chance(70) { random.next() } else { random.below(32) }
}

async fn never_fails(random: &mut Random) -> Result<(), io::Error> {
    if random.chance(30) {
        sleep(random.millis(1, 20)).await;
    }
    Ok(())
}

pub async fn fleeting(_: Arc<World>, mut random: Random) -> bool {
    let key = fleeting_key(&mut random);
    FLEETING.call_keyed(&key, async move || never_fails(&mut random).await).await.is_ok()
}

pub async fn fleeting_states(_: Arc<World>, mut random: Random) -> bool {
    let key = fleeting_key(&mut random);
    FLEETING_STATES.call_keyed(&key, async move || never_fails(&mut random).await).await.is_ok()
}

/// Not an async function: whether its future is `Send` is only seen where the policy's `'static` is.
fn through_the_door(key: u64, pause: Duration) -> impl Future<Output = Result<Response<()>, Infallible>> + Send {
    let service = ServiceBuilder::new()
        .layer(GuardLayer::server(&DOOR).keyed_by(|request: &Request<u64>| *request.body()))
        .service(service_fn(move |_: Request<u64>| async move {
            sleep(pause).await;
            Ok::<_, Infallible>(Response::new(()))
        }));
    service.oneshot(Request::new(key))
}

pub async fn tower_server(_: Arc<World>, mut random: Random) -> bool {
    let response = through_the_door(fleeting_key(&mut random), random.millis(0, 4)).await;
    response.is_ok_and(|response| response.status() == 200)
}

#[guarded(policy = LINE, cost = cost)]
async fn in_line(cost: u32) -> Result<u32, Error<io::Error>> {
    tokio::task::yield_now().await;
    Ok(cost)
}

pub async fn queue(_: Arc<World>, mut random: Random) -> bool {
    in_line(1 + random.below(4) as u32).await.is_ok()
}

pub async fn tuned(_: Arc<World>, mut random: Random) -> bool {
    let call = TUNED.call(async move || {
        sleep(random.millis(0, 15)).await;
        if random.chance(15) { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(()) }
    });
    call.await.is_ok()
}

struct Brief {
    policy: Arc<Policy>,
}

impl Brief {
    #[guarded(policy = self.policy, key = key, timeout = "500ms")]
    async fn call(&self, key: u64) -> Result<u64, Error<io::Error>> {
        sleep(Duration::from_millis(3)).await;
        Ok(key)
    }
}

/// A policy that is made, heard, used by some calls at a time, and dropped while half of these still wait.
pub async fn brief(_: Arc<World>, mut random: Random) -> bool {
    let policy = Policy::builder(format!("brief {}", random.below(1_000)))
        .rate(Rate::per_second(300).burst(2))
        .concurrency(Concurrency::new(2))
        .breaker(Breaker::consecutive(3))
        .retries(Retry::new(1))
        .build();
    let Ok(policy) = policy.map(Arc::new) else { return false };
    let mut events = policy.subscribe();
    let calls: Vec<_> = (0..8)
        .map(|key| {
            let brief = Brief { policy: Arc::clone(&policy) };
            tokio::spawn(async move { brief.call(key % 3).await })
        })
        .collect();
    drop(policy);
    let mut all_good = true;
    for (number, call) in calls.into_iter().enumerate() {
        if number % 2 == 0 {
            all_good &= call.await.is_ok_and(|outcome| outcome.is_ok());
        } else {
            call.abort();
            drop(call.await);
        }
    }
    // `None` says that the policy is gone, though somebody listens.
    while events.recv().await.is_some() {}
    all_good
}

/// The mechanisms without a policy.
pub struct Parts {
    buckets: Keyed<u64, TokenBucket>,
    bucket: TokenBucket,
    window: Window,
    breaker: CircuitBreaker,
}

impl Parts {
    pub fn new() -> Parts {
        let breaker = Breaker::consecutive(5).recovery(Duration::from_millis(100));
        Parts {
            buckets: Keyed::new(),
            bucket: TokenBucket::new(5, 300).expect("a rate"),
            window: Window::new(300, Duration::from_secs(1)).expect("a quota"),
            breaker: CircuitBreaker::new(breaker).expect("sound settings"),
        }
    }

    pub fn waiting(&self) -> usize {
        self.bucket.waiting() + self.window.waiting()
    }

    pub fn keys(&self) -> usize {
        self.buckets.len()
    }

    pub fn evict_idle(&self) -> usize {
        self.buckets.evict_idle()
    }
}

pub async fn parts(world: Arc<World>, mut random: Random) -> bool {
    let Parts { buckets, bucket, window, breaker } = &world.parts;
    let Ok(permit) = breaker.try_acquire() else { return false };
    let own = buckets.get_or_insert_with(&fleeting_key(&mut random), || TokenBucket::new(2, 50).expect("a rate"));
    let is_taken = own.acquire(1).await.is_ok()
        && if random.chance(50) { bucket.acquire(1).await.is_ok() } else { window.acquire(1).await.is_ok() };
    match random.below(10) {
        0 => permit.failure(),
        1 => drop(permit),
        _ => permit.success(),
    }
    is_taken
}
