//! `#[guarded]` above an `impl`: one policy for its methods.

#![allow(clippy::unused_self, clippy::unused_async, clippy::unnecessary_wraps)] // the shortest methods that show it

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use apiguard::{Error, Policy, guarded, registry};

type Failed = Error<std::io::Error>;

fn down() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

#[derive(Default)]
struct Client {
    attempts: AtomicU32,
}

#[guarded(rate("1000/s", burst = 100), retries(2, base = "1ms"), breaker = 50)]
impl Client {
    const LIMIT: u32 = 3;

    fn new() -> Client {
        Client::default()
    }

    /// Guarded by the whole block.
    async fn read(&self, name: &str) -> Result<String, Failed> {
        if self.attempts.fetch_add(1, Relaxed) < Self::LIMIT - 1 {
            return Err(down());
        }
        Ok(name.to_owned())
    }

    #[guarded(retries = 0)]
    pub(crate) async fn write(&mut self, name: String) -> Result<String, Failed> {
        self.attempts.fetch_add(1, Relaxed);
        if name.is_empty() { Err(down()) } else { Ok(name) }
    }

    #[guarded(skip)]
    async fn ping(&self) -> Result<(), std::io::Error> {
        self.attempts.fetch_add(1, Relaxed);
        Err(down())
    }

    async fn count(&self) -> u32 {
        self.attempts.load(Relaxed)
    }

    #[guarded(retries(1, base = "1ms"), fallback = Self::nothing, cost = size)]
    async fn batch<const N: usize>(&self, size: u32, _items: [u8; N]) -> Result<usize, Failed> {
        self.attempts.fetch_add(1, Relaxed);
        Err(down())
    }

    fn nothing<const N: usize>(&self, _: u32, _: [u8; N], _: Failed) -> Result<usize, Failed> {
        Ok(N)
    }

    /// Its type does not say that it is a `Result`.
    async fn alias(&self) -> Answer {
        self.attempts.fetch_add(1, Relaxed);
        Err(down())
    }
}

type Answer = Result<(), Failed>;

fn policy(name: &str) -> &'static Policy {
    registry().get(&format!("impl_block::{name}")).expect(name)
}

#[tokio::test(start_paused = true)]
async fn methods_share_the_policy_and_override_what_is_their_own() {
    let mut client = Client::new();
    assert_eq!(client.read("a").await.unwrap(), "a");
    assert_eq!(client.count().await, 3);
    client.write(String::new()).await.unwrap_err();
    assert_eq!(client.count().await, 4);
    client.ping().await.unwrap_err();
    assert_eq!(client.count().await, 5);
    let snapshot = policy("Client").snapshot();
    assert_eq!((snapshot.calls, snapshot.attempts()), (2, 4), "{snapshot}");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(client.batch(30, [0; 4]).await.unwrap(), 4);
    assert_eq!(client.count().await, 7);
    assert!(policy("Client").snapshot().tokens.unwrap() < 45, "each of the two attempts costs 30");
    client.alias().await.unwrap_err();
    assert_eq!(client.count().await, 10);
}

apiguard::policy! {
    static SHARED = (breaker = 100, retries(1, base = "1ms"), name = "impl_block::shared");
}

struct Other;

trait Api {
    const TIMES: usize;
    type Item;

    async fn get(&self, count: &AtomicU32) -> Result<Self::Item, Failed>;

    async fn put(&self, count: &AtomicU32) -> Result<(), Failed> {
        self.get(count).await.map(drop)
    }
}

#[guarded(policy = SHARED, timeout = "1s")]
impl Api for Other {
    const TIMES: usize = { 5 };
    type Item = u8;

    async fn get(&self, count: &AtomicU32) -> Result<u8, Failed> {
        if count.fetch_add(1, Relaxed) < 2 { Err(down()) } else { Ok(1) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trait_s_methods_use_a_shared_policy() {
    let count = AtomicU32::new(0);
    Other.put(&count).await.unwrap_err();
    assert_eq!(count.load(Relaxed), 2);
    Other.put(&count).await.unwrap();
    assert_eq!((SHARED.snapshot().calls, <Other as Api>::TIMES), (2, 5));
}

#[async_trait::async_trait]
trait Boxed: Send + Sync {
    async fn get(&self, name: String) -> Result<String, Failed>;
    async fn skipped(&self) -> Result<(), std::io::Error>;
}

struct Inner(AtomicU32);
struct Outer(AtomicU32);

#[guarded(retries(2, base = "1ms"))]
#[async_trait::async_trait]
impl Boxed for Inner {
    async fn get(&self, name: String) -> Result<String, Failed> {
        if self.0.fetch_add(1, Relaxed) == 0 { Err(down()) } else { Ok(name) }
    }

    #[guarded(skip)]
    async fn skipped(&self) -> Result<(), std::io::Error> {
        self.0.fetch_add(1, Relaxed);
        Err(down())
    }
}

#[async_trait::async_trait]
#[guarded(retries(2, base = "1ms"))]
impl Boxed for Outer {
    async fn get(&self, name: String) -> Result<String, Failed> {
        if self.0.fetch_add(1, Relaxed) == 0 { Err(down()) } else { Ok(name) }
    }

    #[guarded(skip)]
    async fn skipped(&self) -> Result<(), std::io::Error> {
        self.0.fetch_add(1, Relaxed);
        Err(down())
    }
}

#[tokio::test(start_paused = true)]
async fn async_trait_stands_on_either_side() {
    let both: [Box<dyn Boxed>; 2] = [Box::new(Inner(AtomicU32::new(0))), Box::new(Outer(AtomicU32::new(0)))];
    for boxed in &both {
        assert_eq!(boxed.get("x".into()).await.unwrap(), "x");
        boxed.skipped().await.unwrap_err();
    }
    for name in ["Inner::Boxed", "Outer::Boxed"] {
        assert_eq!(policy(name).snapshot().attempts(), 2, "{name}");
    }
}

struct Generic<T>(T);

#[guarded(breaker = 3)]
impl<T> Generic<T>
where
    T: Clone + Send + Sync,
{
    async fn value(&self) -> Result<T, Failed> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_generic_impl_has_one_policy_for_all_its_types() {
    assert_eq!(Generic(1).value().await.unwrap(), 1);
    assert_eq!(Generic("a").value().await.unwrap(), "a");
    assert_eq!(policy("Generic").snapshot().calls, 2);
}

struct Documented;

#[guarded(retries(2, base = "1ms"))]
impl Documented {
    #![allow(clippy::unused_self)]
    //! Inner attributes are no methods.

    async fn first(&self, count: &AtomicU32) -> Result<(), Failed> {
        count.fetch_add(1, Relaxed);
        Err(down())
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_method_after_inner_attributes_is_guarded() {
    let count = AtomicU32::new(0);
    Documented.first(&count).await.unwrap_err();
    assert_eq!(count.load(Relaxed), 3);
}

struct Counted {
    policy: std::sync::Arc<Policy>,
    cost: u32,
    key: String,
}

#[async_trait::async_trait]
trait Reads {
    async fn by_mut(&mut self, name: String) -> Result<String, Failed>;
    async fn by_box(self: Box<Self>, name: Option<String>) -> Result<usize, Failed>;
    async fn with_a_pattern(&mut self, pair: (String, u32)) -> Result<String, Failed>;
    async fn with_a_cell(&mut self, cell: &mut std::cell::Cell<u32>) -> Result<u32, Failed>;
}

#[async_trait::async_trait]
#[guarded(policy = self.policy, retries(2, base = "1ms"), cost = self.cost, key = self.key)]
impl Reads for Counted {
    async fn by_mut(&mut self, name: String) -> Result<String, Failed> {
        self.cost += 1;
        if self.cost < 4 { Err(down()) } else { Ok(name) }
    }

    async fn by_box(self: Box<Self>, name: Option<String>) -> Result<usize, Failed> {
        Ok(name.unwrap_or_default().len())
    }

    #[guarded(fallback = Self::later)]
    async fn with_a_pattern(&mut self, (name, count): (String, u32)) -> Result<String, Failed> {
        if count == 0 { Err(down()) } else { Ok(name) }
    }

    async fn with_a_cell(&mut self, cell: &mut std::cell::Cell<u32>) -> Result<u32, Failed> {
        tokio::task::yield_now().await;
        cell.set(cell.get() + 1);
        if cell.get() < 3 { Err(down()) } else { Ok(cell.get()) }
    }
}

impl Counted {
    async fn later(&mut self, (name, _): (String, u32), _: Failed) -> Result<String, Failed> {
        Ok(format!("no {name}"))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_block_says_of_self_works_in_boxed_methods() {
    let policy = Policy::builder("boxed").rate(apiguard::Rate::per_second(1_000).burst(100)).build().unwrap();
    let mut counted = Counted { policy: policy.into(), cost: 1, key: String::new() };
    assert_eq!(counted.by_mut("a".into()).await.unwrap(), "a");
    assert_eq!(counted.with_a_pattern(("b".into(), 1)).await.unwrap(), "b");
    assert_eq!(counted.with_a_pattern(("b".into(), 0)).await.unwrap(), "no b");
    assert_eq!(counted.with_a_cell(&mut std::cell::Cell::new(0)).await.unwrap(), 3);
    assert_eq!(Box::new(counted).by_box(Some("name".into())).await.unwrap(), 4);
}

#[derive(Default)]
struct Falls(AtomicU32);

#[guarded(retries(1, base = "1ms"), breaker(2, recovery = "1h"))]
impl Falls {
    #[guarded(fallback = Self::later)]
    async fn get(&self) -> Result<u32, Failed> {
        self.0.fetch_add(1, Relaxed);
        Err(down())
    }

    async fn later(&self, error: Failed) -> Result<u32, Failed> {
        tokio::task::yield_now().await;
        if self.0.load(Relaxed) == 0 { Err(error) } else { Ok(7) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_a_fallback_runs_when_the_breaker_is_open() {
    let falls = Falls::default();
    for _ in 0..3 {
        assert_eq!(falls.get().await.unwrap(), 7);
    }
    assert_eq!(falls.0.load(Relaxed), 2, "then the breaker was open");
    assert_eq!(policy("Falls").snapshot().attempts(), 2);
}
