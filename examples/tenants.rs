//! One policy, a state for each tenant: who asks too much, or whose backend fails, takes nothing from the others.
//!
//! ```text
//! cargo run --example tenants
//! ```

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use apiguard::{Error, Rejected, guarded, registry};
use tokio::time::{Instant, sleep};

/// Each tenant has ten requests a second, five at once, and a breaker. What does not come within 50 ms is rejected.
#[guarded(name = "reports", rate("10/s", burst = 5, max_wait = "50ms"), breaker(3, recovery = "1m"), key = tenant)]
async fn report(tenant: &str) -> Result<u32, Error<io::Error>> {
    sleep(Duration::from_millis(2)).await;
    if tenant == "broken" { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(1) }
}

fn outcome(result: &Result<u32, Error<io::Error>>) -> &'static str {
    match result {
        Ok(_) => "good",
        Err(Error::Rejected(Rejected::RateLimited { .. })) => "rate limited",
        Err(Error::Rejected(Rejected::CircuitOpen { .. })) => "circuit open",
        Err(_) => "failed",
    }
}

#[tokio::main]
async fn main() {
    // `quiet` calls five times a second, `greedy` a hundred times, `broken` as often as `quiet`, and nothing works there.
    let begin = Instant::now();
    let tenants = [("quiet", 200), ("greedy", 10), ("broken", 200)].map(|(tenant, pace)| {
        tokio::spawn(async move {
            let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
            while begin.elapsed() < Duration::from_secs(2) {
                *seen.entry(outcome(&report(tenant).await)).or_default() += 1;
                sleep(Duration::from_millis(pace)).await;
            }
            (tenant, seen)
        })
    });
    println!("two seconds of calls:");
    for tenant in tenants {
        if let Ok((tenant, seen)) = tenant.await {
            println!("  {tenant:<7} {seen:?}");
        }
    }

    let Some(policy) = registry().get("reports") else { return };
    println!("\nall of them together: {}", policy.snapshot());
    println!("keys that have something of their own: {}", policy.snapshot().keys);

    // A key whose bucket is full and whose breaker has counted nothing is the same as one that never came.
    sleep(Duration::from_secs(1)).await;
    policy.evict_idle(); // calls do it, too, a few keys at a time
    println!("a second later, without those that are idle: {}", policy.snapshot().keys);
    println!("  `broken`, whose breaker is open: {}", outcome(&report("broken").await));
}
