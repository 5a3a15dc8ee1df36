//! The layer allocates nothing for a call that is admitted and succeeds.

#[path = "support/allocator.rs"]
mod allocator;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use apiguard::tower::GuardLayer;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

apiguard::policy! {
    static EVERYTHING = (
        rate("1000000/s", burst = 1000),
        concurrency = 10,
        breaker = 5,
        retries = 3,
        timeout = "10s",
        attempt_timeout = "5s",
    );
    static RATE = (rate("1000000/s", burst = 1000), breaker = 5);
    static PER_KEY = (rate("1/h", burst = 1000), breaker = 5);
}

/// Allocations of the second hundred calls: the first ones may set up what lives as long as the thread.
async fn allocations<S: Service<Request<u32>, Error: std::fmt::Debug>>(mut service: S) -> usize {
    let mut before = 0;
    for call in 0..200 {
        if call == 100 {
            before = allocator::allocations();
        }
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("always ready");
        drop(black_box(service.call(Request::new(call)).await.expect("never fails")));
    }
    allocator::allocations() - before
}

#[tokio::test]
async fn an_admitted_succeeding_call_through_the_layer_allocates_nothing() {
    let ready = service_fn(async |request: Request<u32>| Ok::<_, Infallible>(Response::new(request.into_body())));
    let waits = service_fn(async |request: Request<u32>| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    assert_eq!(allocations(GuardLayer::new(&RATE).layer(ready)).await, 0);
    assert_eq!(allocations(GuardLayer::new(&RATE).layer(waits)).await, 0);
    assert_eq!(allocations(GuardLayer::new(&EVERYTHING).layer(ready)).await, 0);
    // A timer for an answer that is not there at once is part of the future.
    assert_eq!(allocations(GuardLayer::new(&EVERYTHING).retrying().layer(waits)).await, 0);
    assert_eq!(allocations(GuardLayer::server(&EVERYTHING).layer(waits)).await, 0);
    let by_size = |request: &Request<u32>| *request.body() / 1_000;
    assert_eq!(allocations(GuardLayer::new(&PER_KEY).keyed_by(by_size).layer(waits)).await, 0);
    // What the figures above are measured with counts.
    let shared = std::sync::Arc::new(apiguard::Policy::builder("shared").build().expect("no settings"));
    assert_eq!(allocations(GuardLayer::new(shared).layer(waits)).await, 100, "one box for each call");
    tokio::time::sleep(Duration::from_millis(1)).await;
}
