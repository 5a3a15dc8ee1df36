//! How to test what is guarded, without waiting: `cargo test --example testing`.
//!
//! The code under test is a small client of a price list, as it would be in a program; its tests are below. What it calls is a trait, so
//! that a test can put a script in its place. (A real server on the test's runtime does as well.)

use std::time::Duration;

use apiguard::testing::Fault;
use apiguard::{Error, guarded};

apiguard::policy! {
    /// What the vendor publishes, and how long we are patient.
    static PRICES = (
        rate("10/s", max_wait = "2s"),
        retries(3, base = "500ms"),
        breaker(4, recovery = "30s"),
        attempt_timeout = "3s",
        name = "prices",
    );
}

/// What answers.
trait Service {
    fn ask(&self, item: &str) -> impl Future<Output = Result<u32, Fault>> + Send;
}

#[guarded(policy = PRICES)]
async fn price(service: &(impl Service + Sync), item: &str) -> Result<u32, Error<Fault>> {
    service.ask(item).await
}

/// What the program itself would use; here it is always well.
struct Real;

impl Service for Real {
    async fn ask(&self, item: &str) -> Result<u32, Fault> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(item.len() as u32 * 10)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error<Fault>> {
    println!("a pear costs {}", price(&Real, "pear").await?);
    println!("its tests: cargo test --example testing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use apiguard::testing::{self, Script, isolated};
    use apiguard::{BreakerState, Rejected};
    use tokio::time::{Instant, sleep};

    use super::*;

    impl Service for Script<u32> {
        async fn ask(&self, _: &str) -> Result<u32, Fault> {
            self.call().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_fails_twice_is_asked_three_times() {
        isolated(async {
            testing::no_jitter();
            let seen = testing::record(&PRICES);
            let service = Script::new().fail(2).ok(40);
            assert_eq!(price(&service, "pear").await.unwrap(), 40);
            assert_eq!(seen.delays(), [500, 1_000].map(Duration::from_millis), "{seen}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_hangs_is_given_up_on_and_asked_again() {
        isolated(async {
            let service = Script::new().hang().ok(40);
            let began = Instant::now();
            assert_eq!(price(&service, "pear").await.unwrap(), 40);
            assert!(began.elapsed() >= Duration::from_millis(3_500), "three seconds and the backoff");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_down_is_left_alone_for_half_a_minute() {
        isolated(async {
            testing::no_jitter();
            let seen = testing::record(&PRICES);
            let service = Script::new().fail(4).otherwise(|| Ok(40));
            price(&service, "pear").await.unwrap_err();
            let rejected = price(&service, "plum").await.unwrap_err();
            assert!(matches!(rejected, Error::Rejected(Rejected::CircuitOpen { .. })), "{rejected}");
            sleep(Duration::from_secs(31)).await;
            assert_eq!(price(&service, "plum").await.unwrap(), 40);
            assert_eq!(seen.transitions()[0], (BreakerState::Closed, BreakerState::Open), "{seen}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_served_in_turn_until_it_would_take_too_long() {
        isolated(async {
            let seen = testing::record(&PRICES);
            let service = Script::new().otherwise(|| Ok(40));
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..30 {
                let service = service.clone();
                tasks.spawn(async move { price(&service, "pear").await.is_ok() });
            }
            let served = tasks.join_all().await.into_iter().filter(|ok| *ok).count();
            // One at once, and those whose turn comes within two seconds.
            assert_eq!((served, seen.rejections().len()), (21, 9), "{seen}");
            assert_eq!(seen.waits().iter().max(), Some(&Duration::from_secs(2)), "{seen}");
        })
        .await;
    }
}
