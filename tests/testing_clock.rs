//! Alone in its process, since it matters which runtime reads the time first.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::time::Duration;

use apiguard::{Error, Policy, Rate, Settings};
use tokio::time::{Instant, sleep};

static FIRST: Policy = Policy::new("clock.first", Settings::new().rate(Rate::per_second(1)));
static SECOND: Policy = Policy::new("clock.second", Settings::new().rate(Rate::per_second(1)));

fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

#[test]
fn time_goes_on_for_all_when_the_runtime_that_reads_it_first_has_slept_for_days() {
    let call = async |policy: &'static Policy| policy.call(async || Ok::<_, Error<std::io::Error>>(())).await.is_ok();
    on_a_runtime(async {
        sleep(Duration::from_secs(10 * 86_400)).await;
        assert!(call(&FIRST).await);
    });
    on_a_runtime(async {
        let began = Instant::now();
        assert!(call(&SECOND).await && call(&SECOND).await);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(SECOND.snapshot().tokens, Some(1), "time stands still");
    });
}
