//! Policies for tests of adapters.

use std::sync::Arc;
use std::time::Duration;

use apiguard::{Budget, Policy, Retry, Settings};

pub fn policy(settings: &Settings) -> Arc<Policy> {
    Arc::new(Policy::builder("test").settings(*settings).build().unwrap())
}

/// The tests' own leak: one policy for each, as a static would be.
pub fn forever(settings: &Settings) -> &'static Policy {
    Box::leak(Box::new(Policy::builder("test").settings(*settings).build().unwrap()))
}

/// Without a budget: a test has no successes to deposit.
pub fn retries(n: u32) -> Retry {
    Retry::new(n).base(Duration::from_millis(10)).budget(Budget::Off)
}
