//! An admitted, succeeding call allocates nothing.

#[path = "support/allocator.rs"]
mod allocator;

use std::hint::black_box;

use apiguard::{Error, guarded};

type Outcome = Result<usize, Error<std::io::Error>>;

#[guarded(rate("1000000/s", burst = 1000), breaker = 5, retries = 3)]
async fn ready(order: &str) -> Outcome {
    Ok(black_box(order.len()))
}

#[guarded(rate("1000000/s", burst = 1000), breaker = 5, retries = 3, timeout = "10s", attempt_timeout = "5s")]
async fn waits_for_its_answer(order: &str) -> Outcome {
    tokio::task::yield_now().await;
    Ok(black_box(order.len()))
}

apiguard::policy! {
    static SHARED = (rate("1000000/s", burst = 1000), breaker = 5, retries = 3);
}

#[guarded(policy = SHARED)]
async fn shared(order: &str) -> Outcome {
    tokio::task::yield_now().await;
    Ok(black_box(order.len()))
}

#[guarded(rate("1/h", burst = 1000), breaker = 5, retries = 3, key = order)]
async fn keyed(order: &str) -> Outcome {
    Ok(black_box(order.len()))
}

apiguard::policy! {
    static FORCED_OPEN = (breaker = 5);
}

#[guarded(policy = FORCED_OPEN)]
async fn rejected(order: &str) -> Outcome {
    Ok(black_box(order.len()))
}

/// Allocations of the second hundred calls: the first ones may set up what lives as long as the thread.
async fn allocations(mut call: impl AsyncFnMut()) -> usize {
    for _ in 0..100 {
        call().await;
    }
    let before = allocator::allocations();
    for _ in 0..100 {
        call().await;
    }
    allocator::allocations() - before
}

#[tokio::test]
async fn an_admitted_succeeding_call_allocates_nothing() {
    assert_eq!(allocations(async || drop(black_box(ready("tea").await))).await, 0);
    assert_eq!(allocations(async || drop(black_box(waits_for_its_answer("tea").await))).await, 0);
    assert_eq!(allocations(async || drop(black_box(shared("tea").await))).await, 0);
    assert_eq!(allocations(async || drop(black_box(keyed("tea").await))).await, 0);
    assert_eq!(allocations(async || drop(black_box(Box::new(1)))).await, 100, "the counter counts");
}

/// The features `tracing` and `metrics` are on here.
#[tokio::test]
async fn a_rejected_call_allocates_nothing_while_nobody_watches() {
    FORCED_OPEN.force_open();
    assert_eq!(allocations(async || drop(black_box(rejected("tea").await.unwrap_err()))).await, 0);
}
