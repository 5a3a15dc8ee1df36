//! What the guarded client allocates: no more than reqwest for a request, and a bounded memory for hosts however many there are.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use apiguard::reqwest::{Client, Guard};
use apiguard::{Breaker, Rate, Settings};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use support::{Answer, Server};

/// Allocations of a hundred requests and their answers, the server's included: client and server are on this thread.
async fn allocations(mut request: impl AsyncFnMut()) -> usize {
    for _ in 0..100 {
        request().await;
    }
    let before = allocator::allocations();
    for _ in 0..100 {
        request().await;
    }
    allocator::allocations() - before
}

#[tokio::test]
async fn a_request_without_headers_and_body_allocates_no_more_than_reqwests() {
    let server = Server::always(Answer::new(200)).await;
    let plain = reqwest::Client::new();
    let plainly = async || drop(plain.get(&server.url).send().await.unwrap().bytes().await.unwrap());
    // The first ones set up what lives as long as the thread.
    allocations(plainly).await;
    let floor = allocations(plainly).await;
    let rate = Settings::new().rate(Rate::per_second(1_000_000).burst(1_000_000));
    for guard in [Guard::default(), Guard::from_settings("client.memory", rate).unwrap()] {
        let client = Client::guarded(plain.clone(), guard);
        let get = async || drop(client.get(&server.url).send().await.unwrap().bytes().await.unwrap());
        let ours = allocations(get).await;
        // The server remembers the requests in a vector, which grows now and then.
        assert!(ours <= floor + 20, "{ours} for 100 requests, {floor} without the guard");
        let cloned = async || {
            let request = plain.get(&server.url).build().unwrap();
            drop(client.execute(request.try_clone().unwrap()).await.unwrap().bytes().await.unwrap());
        };
        assert!(allocations(cloned).await > floor + 300, "the counter counts");
    }
}

/// Knows one name.
struct OneName(SocketAddr);

impl Resolve for OneName {
    fn resolve(&self, name: Name) -> Resolving {
        let address = (name.as_str() == "well.example").then_some(self.0);
        let answer = address.map(|address| Box::new(std::iter::once(address)) as Addrs);
        Box::pin(std::future::ready(answer.ok_or_else(|| "no such host".into())))
    }
}

/// The worst case, since each has a failure to remember.
#[tokio::test]
async fn a_hundred_thousand_dead_hosts_take_little_memory_each_and_nothing_from_one_that_is_well() {
    let server = Server::always(Answer::new(200)).await;
    let address = server.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let inner = reqwest::Client::builder().dns_resolver(Arc::new(OneName(address))).build().unwrap();
    let settings = Settings::new().breaker(Breaker::consecutive(2));
    let client = Client::guarded(inner, Guard::from_settings("client.dead", settings).unwrap());
    let before = allocator::live();
    for host in 0..100_000 {
        assert!(client.get(format!("http://host-{host}.example/")).send().await.is_err());
        if host % 1_000 == 0 {
            assert_eq!(client.get("http://well.example/").send().await.unwrap().status(), 200);
        }
    }
    let each = allocator::live().wrapping_sub(before) / 100_000;
    let keys = client.policy().snapshot().keys;
    assert!((90_000..=100_000).contains(&keys), "{keys} keys: what has failed is remembered");
    assert!(each <= 400, "{each} bytes for each");
}
