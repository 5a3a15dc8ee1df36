//! The bucket as a whole, on a paused clock.

#![allow(clippy::disallowed_methods)] // the tests look at tokio's clock themselves

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use guard_spec::Rate;

use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// 10 tokens a second, one at a time.
fn even() -> Arc<TokenBucket> {
    Arc::new(TokenBucket::new(1, 10).unwrap())
}

/// Lets every spawned task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_of_arrival_whatever_they_ask_for() {
    let bucket = Arc::new(TokenBucket::new(5, 10).unwrap());
    bucket.try_acquire(5).unwrap();
    let start = Instant::now();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for cost in [5, 1, 1, 3, 1] {
        let (bucket, sender) = (bucket.clone(), sender.clone());
        tokio::spawn(async move {
            bucket.acquire(cost).await.unwrap();
            sender.send((cost, start.elapsed().as_millis())).unwrap();
        });
        settle().await;
    }
    assert_eq!(bucket.waiting(), 5);
    assert!(bucket.try_acquire(1).is_err(), "nobody overtakes");
    let mut order = Vec::new();
    for _ in 0..5 {
        order.push(served.recv().await.unwrap());
    }
    // Timers of tokio end on the millisecond after.
    let expected = [(5, 500), (1, 600), (1, 700), (3, 1_000), (1, 1_100)];
    for ((cost, at), (expected_cost, expected_at)) in order.into_iter().zip(expected) {
        assert_eq!(cost, expected_cost);
        assert!((expected_at..=expected_at + 1).contains(&at), "{at} for {expected_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_refused_at_once_with_the_time_it_would_take() {
    let bucket = TokenBucket::with_rate(Rate::per_second(1).max_wait(ms(1_500))).unwrap();
    let start = Instant::now();
    bucket.acquire(1).await.unwrap();
    let second = bucket.acquire(1);
    tokio::pin!(second);
    assert!(futures_poll(second.as_mut()).is_pending());
    assert_eq!(bucket.acquire(1).await, Err(Refused::NotYet { retry_after: ms(2_000) }));
    assert_eq!(bucket.try_acquire(1), Err(Refused::NotYet { retry_after: ms(2_000) }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(bucket.acquire(2).await, Err(Refused::Never { cost: 2, burst: 1 }));
    second.await.unwrap();
    assert!(start.elapsed() < ms(1_002));
}

#[tokio::test(start_paused = true)]
async fn those_behind_a_cancelled_waiter_move_up() {
    let bucket = even();
    bucket.try_acquire(1).unwrap();
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let bucket = bucket.clone();
        tasks.push(tokio::spawn(async move {
            bucket.acquire(1).await.unwrap();
            start.elapsed().as_millis()
        }));
        settle().await;
    }
    for cancelled in [0, 2, 3, 4, 8] {
        tasks[cancelled].abort();
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.ok());
    }
    for (index, time) in times.iter().enumerate() {
        let ideal = (index as u128 + 1) * 100;
        assert!((ideal..=ideal + 2).contains(time), "{time} for {ideal}");
    }
    assert_eq!(times.len(), 5);
    assert_eq!(bucket.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_dropped_at_any_point_leaves_nothing_behind() {
    // Before its first poll, while it waits, and after the grant that it has not seen.
    for advance in [None, Some(ms(0)), Some(ms(50)), Some(ms(150))] {
        let bucket = even();
        bucket.try_acquire(1).unwrap();
        let start = Instant::now();
        {
            let wait = bucket.acquire(1);
            tokio::pin!(wait);
            if let Some(advance) = advance {
                assert!(futures_poll(wait.as_mut()).is_pending());
                tokio::time::advance(advance).await;
                // Somebody else's look grants to the one that waits.
                let _ = bucket.try_acquire(1);
            }
        }
        assert_eq!(bucket.waiting(), 0);
        bucket.acquire(1).await.unwrap();
        let took = start.elapsed();
        let ideal = ms(100).max(advance.unwrap_or_default());
        assert!(took >= ideal && took <= ideal + ms(2), "{took:?} for {ideal:?} after {advance:?}");
        assert!(bucket.try_acquire(1).is_err(), "no token came twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_stood_still_is_followed_by_no_burst() {
    let bucket = even();
    bucket.try_acquire(1).unwrap();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..5 {
        let (bucket, sender) = (bucket.clone(), sender.clone());
        tokio::spawn(async move {
            bucket.acquire(1).await.unwrap();
            sender.send(Instant::now()).unwrap();
        });
        settle().await;
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let first = served.recv().await.unwrap();
    for index in 1..5 {
        let next = served.recv().await.unwrap() - first;
        let ideal = ms(100) * index;
        assert!(next + ms(2) >= ideal && next <= ideal + ms(2), "{next:?} for {ideal:?}");
    }
}

/// Futures that are polled once and then left, as those of a stream whose consumer is busy elsewhere.
#[tokio::test(start_paused = true)]
async fn those_who_are_not_polled_hold_nobody_up_and_do_not_start_all_at_once() {
    let bucket = even();
    bucket.try_acquire(1).unwrap();
    let start = Instant::now();
    let mut parked: Vec<_> = (0..5).map(|_| Box::pin(bucket.acquire(1))).collect();
    for wait in &mut parked {
        assert!(futures_poll(wait.as_mut()).is_pending());
    }
    let behind = tokio::spawn({
        let bucket = bucket.clone();
        async move {
            bucket.acquire(1).await.unwrap();
            start.elapsed().as_millis()
        }
    });
    // It comes at 600 ms to find that nobody ahead of it has looked, and looks for them from then on.
    let served = behind.await.unwrap();
    assert!((1_000..=1_110).contains(&served), "{served}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Now they are polled, all together: one finds a token, the others wait for theirs, in their order.
    let mut times = Vec::new();
    let mut pending: VecDeque<_> = parked.into_iter().enumerate().collect();
    while !pending.is_empty() {
        pending.retain_mut(|(index, wait)| match futures_poll(wait.as_mut()) {
            Poll::Ready(granted) => {
                granted.unwrap();
                times.push((*index, start.elapsed().as_millis()));
                false
            }
            Poll::Pending => true,
        });
        tokio::time::advance(ms(1)).await;
    }
    assert!(times.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[1].1 - pair[0].1 >= 98), "{times:?}");
    assert!(times[4].1 <= start.elapsed().as_millis() && times[4].1 <= times[0].1 + 410, "{times:?}");
    assert_eq!(bucket.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_looks_for_those_ahead_does_so_when_their_turns_come() {
    let bucket = TokenBucket::with_rate(Rate::per_minute(1).max_wait(Duration::from_secs(3_600))).unwrap();
    bucket.try_acquire(1).unwrap();
    let mut parked: Vec<_> = (0..3).map(|_| Box::pin(bucket.acquire(1))).collect();
    for wait in &mut parked {
        assert!(futures_poll(wait.as_mut()).is_pending());
    }
    let (start, mut polls) = (Instant::now(), 0);
    let mut behind = std::pin::pin!(bucket.acquire(1));
    std::future::poll_fn(|cx| {
        polls += 1;
        behind.as_mut().poll(cx)
    })
    .await
    .unwrap();
    // It comes after 4 min; then it grants to those ahead, one a minute (2 ms of a late one are made up).
    assert!(start.elapsed() + ms(2) >= Duration::from_secs(7 * 60), "{:?}", start.elapsed());
    assert!(polls <= 12, "{polls} looks in {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn late_timers_do_not_lower_the_rate() {
    // Timers of tokio end on whole milliseconds: 3 000/s asks for finer steps than they have.
    let bucket = TokenBucket::new(1, 3_000).unwrap();
    let start = Instant::now();
    for _ in 0..3_000 {
        bucket.acquire(1).await.unwrap();
    }
    let took = start.elapsed();
    assert!(took >= ms(997) && took <= ms(1_003), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn available_counts_what_is_free() {
    let bucket = Arc::new(TokenBucket::new(10, 10).unwrap());
    assert_eq!(bucket.available(), 10);
    bucket.try_acquire(7).unwrap();
    assert_eq!(bucket.available(), 3);
    tokio::time::advance(ms(200)).await;
    assert_eq!(bucket.available(), 5);
    let waiter = tokio::spawn({
        let bucket = bucket.clone();
        async move { bucket.acquire(9).await }
    });
    settle().await;
    assert_eq!((bucket.available(), bucket.waiting()), (0, 1));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    waiter.await.unwrap().unwrap();
    assert_eq!(bucket.available(), 1);
}

#[test]
fn a_bucket_that_can_never_admit_is_not_made() {
    assert!(TokenBucket::new(0, 1).is_err());
    assert!(TokenBucket::new(1, 0).is_err());
    assert!(TokenBucket::new(u32::MAX, 1).is_err());
    let said = TokenBucket::new(1, 0).unwrap_err().to_string();
    assert_eq!(said, "`rate = \"0/s\"` never admits a call; write at least `1/s`");
}

#[tokio::test(start_paused = true)]
async fn after_decades_a_bucket_gives_no_more_than_it_has() {
    let bucket = TokenBucket::new(5, 10).unwrap();
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(100 * 365 * 86_400)).await;
        let taken = (0..100).filter(|_| bucket.try_acquire(1).is_ok()).count();
        assert!(taken <= 5, "{taken}");
        // Who waits is let go when its patience ends.
        let start = Instant::now();
        assert!(bucket.acquire(5).await.is_err());
        assert!(start.elapsed() <= Duration::from_secs(31), "{:?}", start.elapsed());
    }
}

#[test]
fn what_was_regained_before_the_lock_was_had_is_not_given_back() {
    let limiter = Limiter::unchecked(&Settings::new().rate(Rate::per_second(100).burst(2)));
    let taken = limiter.take_now(2, clock::now()).unwrap();
    std::thread::scope(|scope| {
        let held = limiter.peek();
        let gives_back = scope.spawn(|| limiter.give_back(taken));
        // Real, since it waits for a thread to come to a lock; both tokens are regained in 20 ms of it.
        std::thread::sleep(ms(50));
        let now = clock::now();
        assert!(limiter.take_now(2, now).is_some());
        drop(held);
        gives_back.join().unwrap();
        assert!(limiter.take_now(1, now).is_none(), "three at an instant, of a burst of two");
    });
}

#[test]
fn waiting_works_outside_a_runtime() {
    let bucket = TokenBucket::new(1, 200).unwrap();
    // A real wait of 15 ms: outside a runtime no clock can be paused.
    for _ in 0..4 {
        block_on(bucket.acquire(1)).unwrap();
    }
}

fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
