//! What a guarded function looks like from outside: shapes, arguments, return types.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apiguard::{Error, Rejected, guarded, registry};
use tokio::time::Instant;

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("guard")]
    Guard(#[from] Rejected),
    #[error("io")]
    Io(#[from] std::io::Error),
}

fn broken() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

fn is_send<T: Send>(value: T) -> T {
    value
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[guarded(retries(2, base = "10ms"))]
async fn fails_with_a_question_mark(limit: u32) -> Result<u32, ShopError> {
    let count = CALLS.fetch_add(1, Ordering::Relaxed);
    if count < limit {
        Err(broken())?;
    }
    Ok(count)
}

#[tokio::test(start_paused = true)]
async fn a_question_mark_in_the_body_is_retried() {
    assert_eq!(is_send(fails_with_a_question_mark(2)).await.unwrap(), 2);
}

struct Shop {
    attempts: Vec<&'static str>,
    name: String,
}

impl Shop {
    #[guarded(rate = "1000/s", retries(3, base = "1ms"), breaker = 10)]
    async fn order(&mut self, item: &'static str, fail: usize) -> Result<usize, Error<std::io::Error>> {
        self.attempts.push(item);
        if self.attempts.len() <= fail {
            return Err(broken());
        }
        Ok(self.attempts.len())
    }

    #[guarded(retries(1, base = "1ms"))]
    async fn name(&self) -> Result<&str, ShopError> {
        Ok(self.name.as_str())
    }
}

#[tokio::test(start_paused = true)]
async fn methods_borrow_their_self_mutably_for_each_attempt() {
    let mut shop = Shop { attempts: Vec::new(), name: "corner".into() };
    assert_eq!(is_send(shop.order("tea", 2)).await.unwrap(), 3);
    assert_eq!(shop.attempts, ["tea"; 3]);
    let error = shop.order("tea", 100).await.unwrap_err();
    assert!(matches!(&error, Error::Call { attempts: 4, .. }), "{error:?}");
    assert_eq!(shop.name().await.unwrap(), "corner");
}

struct NotClone(u32);

#[guarded(retries(2, base = "1ms"))]
async fn borrows(value: NotClone, text: String) -> Result<u32, ShopError> {
    let shown = format!("{}{text}", value.0);
    let _ = &value;
    Ok(shown.len() as u32)
}

#[guarded(retries(2, base = "1ms"))]
async fn gives_away(text: String, mut list: Vec<u32>, attempts: &mut Vec<String>) -> Result<usize, ShopError> {
    list.push(1);
    attempts.push(text);
    if attempts.len() < 3 {
        return Err(broken().into());
    }
    Ok(list.len())
}

#[guarded(breaker = 3)]
async fn moves_without_retries<T>(value: T, list: Vec<T>) -> Result<(T, Vec<T>), ShopError>
where
    T: std::fmt::Debug,
{
    Ok((value, list))
}

#[guarded(retries(2, base = "1ms"))]
async fn generic<E: From<Rejected>, F>((first, mut second): (u32, String), make: F) -> Result<usize, E>
where
    F: Fn() -> Result<(), E>,
{
    second.push('!');
    make()?;
    Ok(first as usize + second.len())
}

#[tokio::test(start_paused = true)]
async fn arguments_are_borrowed_cloned_or_moved_as_the_body_needs_them() {
    assert_eq!(borrows(NotClone(12), "ab".into()).await.unwrap(), 4);
    let mut attempts = Vec::new();
    assert_eq!(
        gives_away("x".into(), vec![0], &mut attempts).await.unwrap(),
        2,
        "each attempt starts with the original"
    );
    assert_eq!(attempts, ["x", "x", "x"]);
    assert_eq!(moves_without_retries(NoCloneAtAll, vec![]).await.unwrap().1.len(), 0);
    let tries = AtomicU32::new(0);
    let result = generic::<ShopError, _>((1, "ab".into()), || {
        if tries.fetch_add(1, Ordering::Relaxed) < 2 { Err(broken().into()) } else { Ok(()) }
    });
    assert_eq!(result.await.unwrap(), 4);
    assert_eq!(tries.into_inner(), 3);
}

#[derive(Debug)]
struct NoCloneAtAll;

#[guarded(rate("10/s", max_wait = "0s"))]
async fn iterates() -> Result<impl Iterator<Item = u32>, ShopError> {
    Ok(0..3)
}

#[guarded(timeout = "1s", retries = 0)]
async fn hangs() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn return_types_of_all_kinds_hold_a_rejection() {
    assert_eq!(iterates().await.unwrap().count(), 3);
    assert!(matches!(iterates().await, Err(ShopError::Guard(Rejected::RateLimited { .. }))));
    let start = Instant::now();
    let error = is_send(hangs()).await.unwrap_err();
    assert_eq!(start.elapsed().as_millis(), 1_000);
    let rejected = error.downcast_ref::<Rejected>().unwrap();
    assert!(matches!(rejected, Rejected::TimedOut { after, .. } if *after == Duration::from_secs(1)));
}

apiguard::policy! {
    /// Shared by two functions.
    pub static SHARED = (rate("1/s", burst = 2, max_wait = "0s"), name = "shared");
}

#[guarded(policy = SHARED)]
async fn first() -> Result<(), ShopError> {
    Ok(())
}

#[guarded(policy = SHARED, retries = 3)]
async fn second() -> Result<(), Error<ShopError>> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn functions_share_the_limits_of_a_policy() {
    first().await.unwrap();
    second().await.unwrap();
    assert!(matches!(first().await, Err(ShopError::Guard(_))));
    assert!(matches!(second().await, Err(Error::Rejected(Rejected::RateLimited { .. }))));
    let snapshot = registry().get("shared").unwrap().snapshot();
    assert_eq!((snapshot.calls, snapshot.attempts(), snapshot.rejections.rate_limited), (4, 2, 2));
}

#[guarded(name = "never.called", rate = "1/d")]
async fn never_called() -> Result<(), ShopError> {
    Ok(())
}

#[test]
fn the_registry_lists_policies_before_their_first_use() {
    let _ = never_called;
    let names: Vec<_> = registry().iter().map(|policy| policy.name().to_owned()).collect();
    assert!(names.contains(&"never.called".to_owned()), "{names:?}");
    assert!(names.contains(&"attribute::iterates".to_owned()), "{names:?}");
    assert!(registry().duplicates().is_empty());
}
