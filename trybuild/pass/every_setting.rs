//! Each setting where it may stand.

#![deny(warnings)]

use std::io;

use apiguard::{Error, Quota, Verdict, guarded};

type Answer = Result<u32, Error<io::Error>>;

const QUOTA: Quota = Quota::per_second(500);

fn used(outcome: &Result<u32, io::Error>) -> u32 {
    *outcome.as_ref().unwrap_or(&0)
}

fn verdict(outcome: &Result<u32, io::Error>) -> Verdict {
    if outcome.is_ok() { Verdict::Success } else { Verdict::Failure }
}

async fn cached(_: &str, _: Vec<u32>, _: Error<io::Error>) -> Answer {
    Ok(0)
}

#[guarded(
    name = "every.setting",
    rate = ["1000/m", rate("100/s", burst = 20, max_wait = "2s")],
    quota = ["100000/d", quota("5000/h", max_wait = "2s"), QUOTA],
    concurrency(64, max_wait = "2s"),
    breaker(failures = 5, recovery = "60s", successes = 2, probes = 1),
    retries(3, base = "1s", factor = 2, cap = "60s", jitter = 0.5, budget = "20%", statuses = [429, 502..=504]),
    timeout = "10s",
    attempt_timeout = "2s",
    max_pause = "10m",
    abandoned = "2s",
    shadow = true,
    key = tenant,
    cost = items.len() as u32,
    settle = used,
    classify = verdict,
    fallback = cached,
    clone(items),
    doc = true,
    crate = ::apiguard,
)]
async fn every(tenant: &str, items: Vec<u32>) -> Answer {
    let _ = tenant;
    Ok(items.into_iter().sum())
}

apiguard::policy! {
    static SHARED = (rate = "10/s", quota = "100/m", concurrency = 5, breaker = 5, retries = 1, timeout = "5s", attempt_timeout = "1s", doc = false);
}

#[guarded(
    policy = SHARED,
    retries = 2,
    timeout = "10s",
    attempt_timeout = "2s",
    key = tenant,
    cost = 1,
    settle = used,
    classify = verdict,
    fallback = cached,
    clone(items),
    doc = false
)]
async fn beside_a_policy(tenant: &str, items: Vec<u32>) -> Answer {
    let _ = tenant;
    Ok(items.into_iter().sum())
}

#[guarded(
    name = "every.window",
    breaker(
        failure_rate = "50%",
        window = "30s",
        min_calls = 20,
        slow_call = "2s",
        slow_rate = 0.8,
        recovery = "10s",
        recovery_jitter = "10%",
        recovery_cap = "10m",
        successes = 2,
        probes = 1
    )
)]
async fn windowed() -> Answer {
    Ok(1)
}

#[guarded(name = "every.slow", breaker(slow_call = "2s", window = 100, recovery_jitter = 0))]
async fn slow() -> Answer {
    Ok(1)
}

struct Client;

#[guarded(
    name = "every.client",
    rate("10/s", burst = 5),
    breaker = 5,
    retries = 3,
    timeout = "10s",
    attempt_timeout = "2s",
    key = 5,
    cost = 1,
    classify = verdict,
    doc = false
)]
impl Client {
    async fn get(&self) -> Answer {
        Ok(1)
    }

    #[guarded(retries = 0, timeout = "5s", attempt_timeout = "1s", key = tenant, cost = 2, classify = verdict)]
    async fn own(&self, tenant: &str) -> Answer {
        Ok(tenant.len() as u32)
    }

    #[guarded(fallback = Self::cached, clone(items), doc = true)]
    async fn with_a_fallback(&self, items: Vec<u32>) -> Answer {
        Ok(items.into_iter().sum())
    }

    #[guarded(skip)]
    async fn skipped(&self) -> Answer {
        Ok(1)
    }

    fn cached(&self, _: Vec<u32>, _: Error<io::Error>) -> Answer {
        Ok(0)
    }
}

fn main() {
    let client = Client;
    drop((every("a", Vec::new()), beside_a_policy("a", Vec::new()), client.get(), client.own("a")));
    drop((client.with_a_fallback(Vec::new()), client.skipped(), windowed(), slow()));
}
