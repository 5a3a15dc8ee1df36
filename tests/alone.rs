//! The mechanisms, each used alone: how it stands, when a key no longer needs it, and other settings for it.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::time::Duration;

use apiguard::{Breaker, Budget, CircuitBreaker, Idle, Keyed, Quota, Rate, RetryBudget, TokenBucket, Window};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[tokio::test(start_paused = true)]
async fn a_key_keeps_its_bucket_or_window_until_all_of_it_is_there_again() {
    let buckets: Keyed<u32, TokenBucket> = Keyed::new();
    let windows: Keyed<u32, Window> = Keyed::new();
    buckets.get_or_insert_with(&1, || TokenBucket::new(2, 10).unwrap()).try_acquire(1).unwrap();
    windows.get_or_insert_with(&1, || Window::new(2, ms(100)).unwrap()).try_acquire(1).unwrap();
    tokio::time::advance(ms(99)).await;
    assert_eq!((buckets.evict_idle(), windows.evict_idle()), (0, 0));
    tokio::time::advance(ms(1)).await;
    assert_eq!((buckets.evict_idle(), windows.evict_idle()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_says_so_and_what_was_used_does_not() {
    let bucket = TokenBucket::new(1, 10).unwrap();
    let window = Window::new(1, ms(100)).unwrap();
    assert!(bucket.is_idle() && window.is_idle());
    bucket.try_acquire(1).unwrap();
    window.try_acquire(1).unwrap();
    assert!(!bucket.is_idle() && !window.is_idle());
}

#[tokio::test(start_paused = true)]
async fn another_rate_or_quota_holds_from_then_on_and_a_wrong_one_changes_nothing() {
    let bucket = TokenBucket::new(1, 1).unwrap();
    bucket.configure(Rate::per_second(1).burst(3)).unwrap();
    bucket.configure(Rate::per_second(0)).unwrap_err();
    assert!(bucket.try_acquire(4).is_err() && format!("{bucket:?}").contains("burst: 3"));
    let window = Window::new(1, ms(100)).unwrap();
    window.configure(Quota::new(3, ms(100))).unwrap();
    window.configure(Quota::new(0, ms(100))).unwrap_err();
    assert!(window.try_acquire(3).is_ok() && window.try_acquire(1).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_its_reserve_and_a_share_of_what_has_worked() {
    let budget = RetryBudget::new(Budget::percent(20)).unwrap();
    assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 10);
    assert_eq!((budget.available(), budget.withdraw()), (Some(0), false));
    (0..10).for_each(|_| budget.deposit());
    assert_eq!(budget.available(), Some(2));
    assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_window_are_counted() {
    let window = std::sync::Arc::new(Window::new(1, ms(100)).unwrap());
    window.try_acquire(1).unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let window = window.clone();
            tokio::spawn(async move { window.acquire(1).await })
        })
        .collect();
    tokio::time::sleep(ms(50)).await;
    assert_eq!(window.waiting(), 2);
    for wait in waiting {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(window.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_log_shows_how_each_of_them_stands() {
    let bucket = TokenBucket::new(10, 10).unwrap();
    bucket.try_acquire(7).unwrap();
    assert_eq!(format!("{bucket:?}"), "TokenBucket { burst: 10, available: 3, waiting: 0, .. }");
    let window = Window::new(5, Duration::from_secs(1)).unwrap();
    window.try_acquire(1).unwrap();
    assert_eq!(format!("{window:?}"), "Window { quota: 5, available: 4, waiting: 0, .. }");
    let breaker = CircuitBreaker::new(Breaker::consecutive(1)).unwrap();
    breaker.try_acquire().unwrap().failure();
    assert!(format!("{breaker:?}").starts_with("CircuitBreaker { state: Open, settings: Breaker"), "{breaker:?}");
    let budget = RetryBudget::new(Budget::percent(20)).unwrap();
    assert!(budget.withdraw());
    let shown = format!("{budget:?}");
    assert!(shown.starts_with("RetryBudget { budget: ") && shown.ends_with("available: Some(9), .. }"), "{shown}");
    let keyed: Keyed<u32, TokenBucket> = Keyed::new().at_most(5);
    keyed.get_or_insert_with(&1, || TokenBucket::new(1, 1).unwrap());
    assert_eq!(format!("{keyed:?}"), "Keyed { len: 1, at_most: 5, .. }");
}
