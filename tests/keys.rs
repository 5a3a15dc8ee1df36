//! `key = …`: limits and a breaker for each key of one policy.

use std::time::Duration;

use apiguard::{Breaker, Error, Policy, Rate, Rejected, Settings, guarded, registry};

type Answer = Result<u32, Error<std::io::Error>>;

fn down() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

fn is_limited(answer: &Answer) -> bool {
    matches!(answer, Err(Error::Rejected(Rejected::RateLimited { .. })))
}

#[guarded(rate("1/s", burst = 2, max_wait = "0s"), breaker(2, recovery = "1h"), key = (tenant, region.to_lowercase()))]
async fn lookup(tenant: &str, region: &str, fails: bool) -> Answer {
    if fails { Err(down()) } else { Ok(1) }
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_limit_and_breaker() {
    let policy = registry().get("keys::lookup").unwrap();
    for tenant in ["a", "b"] {
        lookup(tenant, "EU", false).await.unwrap();
        lookup(tenant, "eu", false).await.unwrap();
        assert!(is_limited(&lookup(tenant, "eu", false).await), "{tenant}");
    }
    lookup("a", "us", false).await.unwrap();
    for _ in 0..2 {
        lookup("broken", "eu", true).await.unwrap_err();
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let open = lookup("broken", "eu", false).await.unwrap_err();
    assert!(matches!(open, Error::Rejected(Rejected::CircuitOpen { .. })), "{open:?}");
    lookup("a", "eu", false).await.unwrap();
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.calls, snapshot.rejections.rate_limited, snapshot.rejections.circuit_open), (11, 2, 1));
    // The counters are the policy's; tokens and breaker those of calls without a key.
    assert_eq!((snapshot.tokens, snapshot.failures_in_a_row), (Some(2), 0));
    assert!((3..=4).contains(&snapshot.keys), "{}", snapshot.keys);
}

#[guarded(rate("1/h", max_wait = "0s"), key = id % 3 == 0)]
async fn expression(id: u32) -> Answer {
    Ok(id)
}

#[guarded(rate("1/h", max_wait = "0s"), key = id as u8)]
async fn cast(id: u32) -> Answer {
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn any_expression_can_be_a_key() {
    for (id, is_let_through) in [(1, true), (3, true), (2, false), (6, false)] {
        assert_eq!(expression(id).await.is_ok(), is_let_through, "{id}");
    }
    for (id, is_let_through) in [(1, true), (2, true), (257, false)] {
        assert_eq!(cast(id).await.is_ok(), is_let_through, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_dropped_and_active_ones_are_not_whatever_comes() {
    let settings = Settings::new()
        .rate(Rate::per_second(10).burst(1).max_wait(Duration::ZERO))
        .breaker(Breaker::consecutive(1).recovery(Duration::from_secs(3_600)));
    let policy = Policy::builder("flood").settings(settings).build().unwrap();
    let good = async || Ok::<_, std::io::Error>(1);
    policy.call_keyed("down", async || Err::<u32, _>(down())).await.unwrap_err();
    for key in 0_u32..20_000 {
        policy.call_keyed(&key, good).await.unwrap();
        if key % 100 == 0 {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
    let keys = policy.snapshot().keys;
    assert!(keys < 3_000, "{keys} keys, of which at most 200 are active");
    let open = policy.call_keyed("down", good).await.unwrap_err();
    assert!(matches!(open, Error::Rejected(Rejected::CircuitOpen { .. })), "its breaker is still open: {open:?}");
    // Operators speak to all keys at once.
    policy.reset();
    tokio::time::advance(Duration::from_millis(100)).await;
    policy.call_keyed("down", good).await.unwrap();
    policy.force_open();
    for key in ["down", "new"] {
        assert!(policy.call_keyed(key, good).await.unwrap_err().rejected().is_some(), "{key}");
    }
}

#[guarded(rate("1000/s", burst = 100), concurrency = 1, key = tenant, cost = cost)]
async fn waits(tenant: u32, cost: u32) -> Answer {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(tenant + cost)
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_key_wait_for_each_other_and_not_for_others() {
    let start = tokio::time::Instant::now();
    let calls: Vec<_> = [1, 1, 1, 2].into_iter().map(|tenant| tokio::spawn(waits(tenant, 5))).collect();
    let mut ended = Vec::new();
    for call in calls {
        call.await.unwrap().unwrap();
        ended.push(start.elapsed().as_millis());
    }
    assert!(ended[2] >= 300 && ended[2] <= 306, "{ended:?}");
    let other = tokio::spawn(waits(2, 5));
    let first = tokio::spawn(waits(3, 5));
    tokio::task::yield_now().await;
    drop(first);
    other.await.unwrap().unwrap();
}
