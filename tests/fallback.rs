//! `fallback = path`: what a call returns when it would return an error.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use apiguard::{Error, Rejected, guarded};

#[derive(Debug)]
struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

type Failed = Error<Down>;

async fn cached(name: &str, size: usize, error: Failed) -> Result<String, Failed> {
    tokio::task::yield_now().await;
    match error {
        Error::Call { attempts, .. } => Ok(format!("{name} {size} after {attempts}")),
        rejected @ Error::Rejected(_) => Err(rejected),
    }
}

#[guarded(retries(2, base = "1ms"), fallback = cached)]
async fn asked(name: &str, size: usize) -> Result<String, Failed> {
    if size == 1 {
        return Ok(name.into());
    }
    Err(Down)
}

#[tokio::test(start_paused = true)]
async fn an_async_fallback_is_given_the_arguments_and_the_error_of_the_last_attempt() {
    assert_eq!(asked("a", 1).await.unwrap(), "a");
    assert_eq!(asked("a", 2).await.unwrap(), "a 2 after 3");
}

fn plain<E: Debug>((a, b): (u32, u32), _: [u8; 2], error: E) -> Result<u32, E> {
    if a == 0 { Err(error) } else { Ok(a + b) }
}

#[guarded(breaker = 5, fallback = plain)]
async fn patterns((a, mut b): (u32, u32), [first, second]: [u8; 2]) -> Result<u32, Failed> {
    b += a + u32::from(first + second);
    if b > 100 { Ok(b) } else { Err(Down) }
}

#[tokio::test]
async fn a_plain_fallback_is_given_what_patterns_took_apart_as_it_was() {
    assert_eq!(patterns((1, 100), [1, 1]).await.unwrap(), 103);
    assert_eq!(patterns((1, 2), [1, 1]).await.unwrap(), 3);
    assert!(matches!(patterns((0, 2), [1, 1]).await, Err(Error::Call { attempts: 1, .. })));
}

#[derive(Clone, Debug, PartialEq)]
struct Order(u32);

struct Shop {
    answers: AtomicU32,
    log: Vec<String>,
}

impl Shop {
    #[guarded(breaker(1, recovery = "1h"), fallback = Self::later)]
    async fn buy(&self, order: Order) -> Result<u32, Failed> {
        self.answers.fetch_add(1, Relaxed);
        let [order] = [order];
        if order.0 == 0 { Ok(0) } else { Err(Down) }
    }

    async fn later(&self, order: Order, error: Failed) -> Result<u32, Failed> {
        tokio::task::yield_now().await;
        assert_eq!(order, Order(7));
        match error {
            Error::Rejected(Rejected::CircuitOpen { .. }) => Ok(self.answers.load(Relaxed)),
            _ => Ok(100),
        }
    }

    #[guarded(retries(1, base = "1ms"), fallback = Shop::note)]
    async fn change(&mut self, what: &mut String) -> Result<usize, Failed> {
        what.push('x');
        self.log.push(what.clone());
        Err(Down)
    }

    fn note(&mut self, what: &mut String, _: Failed) -> Result<usize, Failed> {
        what.push('!');
        if self.log.is_empty() { Err(Error::Call { source: Down, attempts: 0 }) } else { Ok(self.log.len()) }
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_come_to_the_fallback_too_and_arguments_given_away_are_kept_for_it() {
    let mut shop = Shop { answers: AtomicU32::new(0), log: Vec::new() };
    assert_eq!(shop.buy(Order(7)).await.unwrap(), 100);
    assert_eq!(shop.buy(Order(7)).await.unwrap(), 1, "the open breaker ran nothing");
    let mut what = String::new();
    assert_eq!(shop.change(&mut what).await.unwrap(), 2);
    assert_eq!(what, "xx!");
}

async fn default_of<T: Default, E>(_: Arc<T>, _: E) -> Result<T, E> {
    Ok(T::default())
}

#[guarded(timeout = "5ms", fallback = default_of::<T, Failed>)]
async fn generic<T: Default + Send + Sync>(value: Arc<T>) -> Result<T, Failed> {
    let _held = value;
    std::future::pending::<()>().await;
    Err(Down)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_timed_out_falls_back_and_stays_send() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    assert_eq!(send(generic(Arc::new(5))).await.unwrap(), 0);
}

fn none(_: u32, error: Failed) -> Result<std::rc::Rc<u32>, Failed> {
    Err(error)
}

async fn none_later(_: u32, error: Failed) -> Result<std::rc::Rc<u32>, Failed> {
    tokio::task::yield_now().await;
    Err(error)
}

#[guarded(retries(1, base = "1ms"), fallback = none)]
async fn local(count: u32) -> Result<std::rc::Rc<u32>, Failed> {
    if count == 0 { Err(Down) } else { Ok(count.into()) }
}

#[guarded(retries(1, base = "1ms"), fallback = none_later)]
async fn local_later(count: u32) -> Result<std::rc::Rc<u32>, Failed> {
    if count == 0 { Err(Down) } else { Ok(count.into()) }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_holds_nothing_of_the_answer_so_the_future_stays_send() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    assert_eq!(*send(local(1)).await.unwrap(), 1);
    assert!(send(local(0)).await.is_err() && send(local_later(0)).await.is_err());
}
