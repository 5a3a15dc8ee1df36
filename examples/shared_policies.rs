//! Two functions, one policy: what one of them learns of the service holds for the other.
//!
//! `charge` finds the service down and opens the breaker; `refund`, which has not made a single attempt, is rejected without
//! one. When the service is well again a probe of either closes it for both.
//!
//! ```text
//! cargo run --example shared_policies
//! ```

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use apiguard::{Error, guarded, registry};
use tokio::time::sleep;

apiguard::policy! {
    /// What the payment service allows, and when to leave it alone.
    pub static PAYMENTS = (
        rate("50/s", burst = 5),
        breaker(3, recovery = "500ms", successes = 1),
        attempt_timeout = "1s",
        name = "payments",
    );
}

/// Stands for a service.
static IS_DOWN: AtomicBool = AtomicBool::new(false);

async fn send() -> io::Result<()> {
    sleep(Duration::from_millis(5)).await;
    if IS_DOWN.load(Relaxed) { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
}

/// May be repeated: it carries an idempotency key, say.
#[guarded(policy = PAYMENTS, retries(3, base = "20ms"))]
async fn charge(cents: u32) -> Result<u32, Error<io::Error>> {
    send().await?;
    Ok(cents)
}

/// Must not happen twice: one attempt.
#[guarded(policy = PAYMENTS, retries = 0)]
async fn refund(cents: u32) -> Result<u32, Error<io::Error>> {
    send().await?;
    Ok(cents)
}

#[tokio::main]
async fn main() {
    println!("the service is well");
    report("charge", charge(500).await);
    report("refund", refund(200).await);

    println!("\nthe service is down");
    IS_DOWN.store(true, Relaxed);
    report("charge", charge(500).await); // three attempts: the third opens the breaker, so there is no fourth
    report("refund", refund(200).await);

    println!("\nthe service is well again; the breaker lets a probe through after half a second");
    IS_DOWN.store(false, Relaxed);
    sleep(Duration::from_millis(600)).await;
    report("refund", refund(200).await);
    report("charge", charge(500).await);

    println!("\nwhat the policy has counted, of both:");
    for policy in registry().iter() {
        println!("  {}", policy.snapshot());
    }
}

fn report(what: &str, outcome: Result<u32, Error<io::Error>>) {
    match outcome {
        Ok(cents) => println!("  {what}: {cents} cents"),
        Err(Error::Rejected(rejected)) => println!("  {what}: not sent: {rejected}"),
        Err(Error::Call { source, attempts }) => println!("  {what}: failed after {attempts} attempts: {source}"),
    }
}
