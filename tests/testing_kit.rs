//! The testing kit: policies that are as new in each test, whatever the others do; scripted outcomes; what the guard did.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use apiguard::testing::{self, Fault, Script, inherit, isolated};
use apiguard::{Breaker, BreakerState, Concurrency, Error, Policy, Rate, Rejected, Retry, Settings, guarded, registry};
use tokio::task::JoinSet;
use tokio::time::Instant;

type Outcome = Result<u32, Error<Fault>>;

apiguard::policy! {
    /// Three at once, then one an hour, which nobody waits for.
    static SHARED = (rate("1/h", burst = 3, max_wait = "0s"), breaker = 2, retries(1, budget = "20%"), name = "testing.shared");
}

#[guarded(rate("1/h", burst = 3, max_wait = "0s"), breaker = 2, name = "testing.own")]
async fn own(n: u32) -> Outcome {
    tokio::task::yield_now().await;
    Ok(n)
}

#[guarded(policy = SHARED)]
async fn shared(n: u32) -> Outcome {
    tokio::task::yield_now().await;
    Ok(n)
}

async fn one_more(policy: &Policy) -> Result<(), Error<Fault>> {
    policy.call(async || Ok(())).await
}

/// How many of ten calls are let through.
async fn admitted(mut call: impl AsyncFnMut() -> bool) -> usize {
    let mut admitted = 0;
    for _ in 0..10 {
        admitted += usize::from(call().await);
    }
    admitted
}

fn seconds(seconds: impl IntoIterator<Item = u64>) -> Vec<Duration> {
    seconds.into_iter().map(Duration::from_secs).collect()
}

/// Runs it on a runtime of its own, as a `#[tokio::test(start_paused = true)]` does.
fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(future)
}

#[test]
fn many_threads_hammer_one_static_and_each_sees_exactly_its_own() {
    let arc = Arc::new(Policy::new("testing.arc", Settings::new().rate(Rate::per_hour(1).burst(3))));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..25 {
                    on_a_runtime(isolated(async {
                        assert_eq!(admitted(async || own(1).await.is_ok()).await, 3);
                        assert_eq!(admitted(async || shared(1).await.is_ok()).await, 3);
                        let own = registry().get("testing.own").unwrap().snapshot();
                        for snapshot in [own, SHARED.snapshot()] {
                            assert_eq!((snapshot.calls, snapshot.outcomes.successes), (10, 3), "{snapshot}");
                            assert_eq!((snapshot.rejections.rate_limited, snapshot.tokens), (7, Some(0)), "{snapshot}");
                        }
                        for _ in 0..3 {
                            one_more(&arc).await.unwrap();
                        }
                        // A wait under the virtual clock, in the line of the scope's own.
                        let began = Instant::now();
                        one_more(&Arc::clone(&arc)).await.unwrap_err();
                        assert_eq!((arc.snapshot().attempts(), began.elapsed()), (3, Duration::ZERO));
                    }));
                }
            });
        }
    });
    assert_eq!(arc.snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn waits_retries_and_rejections_are_those_of_the_scope() {
    static POLICY: Policy = Policy::new(
        "testing.waits",
        Settings::new().rate(Rate::per_second(10)).concurrency(Concurrency::new(1)).retries(Retry::new(2)),
    );
    for _ in 0..3 {
        isolated(async {
            testing::no_jitter();
            let seen = testing::record(&POLICY);
            let script = Script::new().fail(1).ok(1).after(Duration::from_millis(250)).ok(2).ok(3);
            let calls = async || POLICY.call(async || script.call().await).await.unwrap();
            let (a, b) = tokio::join!(calls(), calls());
            assert_eq!((a, b), (2, 1), "the first fails, and the second goes before its retry: {seen}");
            assert_eq!(calls().await, 3);
            assert_eq!(seen.delays(), seconds([1]));
            assert_eq!(seen.waits(), [Duration::from_millis(100); 2], "each behind the first's two attempts: {seen}");
            assert_eq!((seen.calls(), seen.attempts()), (3, 4));
            assert_eq!(POLICY.snapshot().in_flight, Some(0));
        })
        .await;
    }
    assert_eq!(POLICY.snapshot().calls, 0);
}

#[tokio::test]
async fn what_is_done_to_a_policy_within_a_scope_is_not_done_to_it() {
    static POLICY: Policy = Policy::new(
        "testing.untouched",
        Settings::new().rate(Rate::per_second(7).burst(7)).breaker(Breaker::consecutive(3)),
    );
    let mut events = POLICY.subscribe();
    let mut all = registry().subscribe();
    isolated(async {
        let (mut events, mut all) = (POLICY.subscribe(), registry().subscribe());
        POLICY.force_open();
        assert!(matches!(one_more(&POLICY).await, Err(Error::Rejected(Rejected::CircuitOpen { .. }))));
        POLICY.configure(POLICY.settings().rate(Rate::per_second(1))).unwrap();
        POLICY.reset();
        POLICY.call_keyed("key", async || Ok::<_, Fault>(())).await.unwrap();
        assert_eq!((POLICY.snapshot().keys, POLICY.snapshot().tokens), (1, Some(1)));
        POLICY.force_closed();
        assert_eq!(POLICY.snapshot().breaker, Some(BreakerState::ForcedClosed));
        for events in [&mut events, &mut all] {
            let names: Vec<_> = std::iter::from_fn(|| events.try_recv()).map(|event| event.kind.name()).collect();
            assert_eq!(names, ["breaker", "rejected", "breaker", "breaker"]);
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // Real: until the key is idle.
    })
    .await;
    let snapshot = POLICY.snapshot();
    assert_eq!((snapshot.calls, snapshot.keys, snapshot.tokens), (0, 0, Some(7)));
    assert_eq!((snapshot.breaker, snapshot.last_change), (Some(BreakerState::Closed), None));
    assert_eq!(POLICY.settings().rate_limit(), Some(&Rate::per_second(7).burst(7)));
    assert_eq!(events.try_recv(), None);
    let untouched = |event: &apiguard::Event| event.policy == "testing.untouched";
    assert!(!std::iter::from_fn(|| all.try_recv()).any(|event| untouched(&event)));

    POLICY.configure(Settings::new()).unwrap();
    POLICY.force_open();
    isolated(async {
        assert_eq!(POLICY.settings().rate_limit(), Some(&Rate::per_second(7).burst(7)), "as it was declared");
        one_more(&POLICY).await.unwrap();
    })
    .await;
    assert_eq!(POLICY.settings(), Settings::new());
    assert!(one_more(&POLICY).await.is_err());
}

#[tokio::test]
async fn a_subscription_of_the_scope_ends_with_it() {
    static POLICY: Policy = Policy::new("testing.ends", Settings::new());
    let mut events = isolated(async {
        let events = POLICY.subscribe();
        POLICY.force_open();
        events
    })
    .await;
    assert_eq!(events.recv().await.unwrap().kind.name(), "breaker");
    assert_eq!(events.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_policy_that_is_dropped_in_the_scope_or_in_one_within() {
    isolated(async {
        let policy = Policy::builder("testing.gone").build().unwrap();
        let mut events = policy.subscribe();
        policy.force_open();
        isolated(async {
            let mut inner = policy.subscribe();
            drop(policy);
            assert_eq!(ended(&mut inner).await, Some(None));
        })
        .await;
        assert_eq!(events.recv().await.unwrap().kind.name(), "breaker");
        assert_eq!(ended(&mut events).await, Some(None));
    })
    .await;
}

/// What it receives, if that does not take for ever.
async fn ended(events: &mut apiguard::Events) -> Option<Option<apiguard::Event>> {
    tokio::time::timeout(Duration::from_secs(1), events.recv()).await.ok()
}

#[tokio::test]
async fn a_policy_at_the_address_of_another_one_is_another_one() {
    isolated(async {
        let mut place = Policy::builder("testing.first").rate(Rate::per_hour(1)).build().unwrap();
        for name in ["testing.second", "testing.third"] {
            one_more(&place).await.unwrap();
            assert_eq!(place.snapshot().tokens, Some(0));
            place = Policy::builder(name).rate(Rate::per_hour(1)).build().unwrap();
            assert_eq!((&*place.snapshot().name, place.snapshot().calls), (name, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn a_scope_in_a_scope_is_new_again() {
    isolated(async {
        assert_eq!(admitted(async || shared(1).await.is_ok()).await, 3);
        isolated(async {
            assert_eq!(admitted(async || shared(1).await.is_ok()).await, 3);
            let task = tokio::spawn(async { SHARED.snapshot().calls });
            assert_eq!(task.await.unwrap(), 10);
        })
        .await;
        assert_eq!(SHARED.snapshot().calls, 10);
        let task = tokio::spawn(async { (SHARED.snapshot().calls, shared(1).await.is_ok()) });
        assert_eq!(task.await.unwrap(), (10, false));
    })
    .await;
    isolated(async { assert_eq!(SHARED.snapshot().calls, 0) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tasks_of_the_runtime_are_within_it() {
    isolated(async {
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            tasks.spawn(own(n));
        }
        let admitted = tasks.join_all().await.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(admitted, 3);
        let in_a_task = tokio::task::spawn_blocking(|| registry().get("testing.own").unwrap().snapshot().calls);
        assert_eq!(in_a_task.await.unwrap(), 20);
        let by_us = testing::spawn(async { registry().get("testing.own").unwrap().snapshot().calls });
        assert_eq!(by_us.await.unwrap(), 20);
    })
    .await;
}

#[tokio::test]
async fn what_is_spawned_by_the_kit_stays_in_the_scope_for_ever_and_other_tasks_until_it_ends() {
    static POLICY: Policy = Policy::new("testing.longer", Settings::new().rate(Rate::per_hour(1).burst(5)));
    let (sender, receiver) = tokio::sync::watch::channel(false);
    let late = |mut receiver: tokio::sync::watch::Receiver<bool>| async move {
        receiver.wait_for(|ended| *ended).await.unwrap();
        one_more(&POLICY).await.unwrap();
        POLICY.snapshot().tokens.unwrap()
    };
    let (kept, let_go) = isolated(async {
        one_more(&POLICY).await.unwrap();
        one_more(&POLICY).await.unwrap();
        (testing::spawn(late(receiver.clone())), tokio::spawn(late(receiver)))
    })
    .await;
    sender.send(true).unwrap();
    assert_eq!(kept.await.unwrap(), 2);
    assert_eq!(let_go.await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_when_its_scope_ends_goes_on_in_it() {
    static POLICY: Policy = Policy::new("testing.waiting", Settings::new().rate(Rate::per_minute(60)));
    let began = Instant::now();
    let (waiting,) = isolated(async {
        one_more(&POLICY).await.unwrap();
        let waiting = tokio::spawn(one_more(&POLICY));
        tokio::task::yield_now().await;
        assert_eq!(POLICY.snapshot().waiting, 1);
        (waiting,)
    })
    .await;
    waiting.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(POLICY.snapshot().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_began_outside_stays_outside() {
    static POLICY: Policy =
        Policy::new("testing.before", Settings::new().rate(Rate::per_second(1)).retries(Retry::new(1)));
    one_more(&POLICY).await.unwrap();
    let script = Script::new().fail(1).ok(1);
    let mut call = Box::pin(POLICY.call(async || script.call().await));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut call).await.is_err(), "it waits for its turn");
    isolated(async {
        assert_eq!(call.await.unwrap(), 1);
        assert_eq!(POLICY.snapshot().calls, 0);
    })
    .await;
    assert_eq!((POLICY.snapshot().calls, POLICY.snapshot().attempts()), (2, 3));
}

#[tokio::test]
async fn two_scopes_on_one_runtime_are_apart_and_a_task_of_unknown_scope_says_so() {
    let both = || async {
        let admitted = admitted(async || shared(1).await.is_ok()).await;
        let mine = testing::spawn(async { SHARED.snapshot().calls }).await.unwrap();
        let inherited = tokio::spawn(inherit(async { SHARED.snapshot().calls })).await.unwrap();
        let unknown = tokio::spawn(shared(1)).await;
        (admitted, mine, inherited, unknown)
    };
    let (one, other) = tokio::join!(isolated(both()), isolated(both()));
    for (admitted, mine, inherited, unknown) in [one, other] {
        assert_eq!((admitted, mine, inherited), (3, 10, 10));
        let panic = unknown.unwrap_err().into_panic();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("testing::spawn") && message.contains("testing::inherit"), "{message}");
    }
    assert!(tokio::spawn(async { SHARED.snapshot() }).await.is_ok(), "they have ended");
}

#[tokio::test]
async fn a_scope_that_begins_in_a_task_of_the_runtime_is_beside_the_one_that_spawned_it() {
    isolated(async {
        assert!(shared(1).await.is_ok());
        let beside = isolated(async {
            let unknown = tokio::spawn(async { SHARED.snapshot().calls }).await;
            (SHARED.snapshot().calls, unknown.is_err())
        });
        assert_eq!(tokio::spawn(beside).await.unwrap(), (0, true));
        let within = isolated(async { tokio::spawn(async { SHARED.snapshot().calls }).await.unwrap() });
        assert_eq!(testing::spawn(within).await.unwrap(), 0);
        assert_eq!(SHARED.snapshot().calls, 1);
    })
    .await;
}

#[tokio::test]
async fn a_thread_is_outside_unless_it_inherits() {
    static POLICY: Policy = Policy::new("testing.threads", Settings::new());
    isolated(async {
        one_more(&POLICY).await.unwrap();
        let calls = || std::thread::spawn(|| POLICY.snapshot().calls).join().unwrap();
        assert_eq!(calls(), 0);
        let inherited = inherit(async { POLICY.snapshot().calls });
        assert_eq!(std::thread::spawn(|| on_a_runtime(inherited)).join().unwrap(), 1);
    })
    .await;
    // Outside of a scope and of a runtime it is nothing but the future.
    let calls = std::thread::spawn(|| {
        let mut future = Box::pin(inherit(async { POLICY.snapshot().calls }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        future.as_mut().poll(&mut cx)
    });
    assert!(matches!(calls.join().unwrap(), std::task::Poll::Ready(0)));
}

#[test]
fn a_scope_needs_no_runtime() {
    let mut future = Box::pin(isolated(async {
        one_more(&SHARED).await.unwrap();
        SHARED.snapshot().calls
    }));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut cx), std::task::Poll::Ready(1)));
}

#[tokio::test]
async fn a_panic_within_a_scope_is_nothing_to_others() {
    for _ in 0..3 {
        let task = tokio::spawn(isolated(async {
            let script = Script::<u32>::new().panic("as the script says");
            SHARED.call(async move || script.clone().call().await).await
        }));
        let panic = task.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "as the script says");
        // Its thread is in no scope any more, and neither is its runtime.
        assert_eq!(admitted_outside().await, 0);
    }
    isolated(async {
        assert_eq!(admitted(async || shared(1).await.is_ok()).await, 3);
        assert_eq!(SHARED.snapshot().outcomes.abandoned, 0);
    })
    .await;
}

/// Calls that a policy which nobody calls outside has seen there.
async fn admitted_outside() -> u64 {
    tokio::spawn(async { SHARED.snapshot().calls }).await.unwrap() + SHARED.snapshot().calls
}

#[test]
fn a_scope_that_is_dropped_half_way_drops_what_is_in_it_within_it() {
    struct AtDrop(Arc<AtomicUsize>);

    impl Drop for AtDrop {
        fn drop(&mut self) {
            self.0.store(SHARED.snapshot().calls as usize, SeqCst);
        }
    }
    let seen = Arc::new(AtomicUsize::new(0));
    let (called, at_drop) = (seen.clone(), AtDrop(seen.clone()));
    let mut scope = Box::pin(isolated(async move {
        let _at_drop = at_drop;
        assert!(shared(1).await.is_ok());
        called.store(usize::MAX, SeqCst);
        std::future::pending::<()>().await;
    }));
    // Without a runtime, whose tasks would be within it, too.
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while seen.load(SeqCst) == 0 {
        assert!(scope.as_mut().poll(&mut cx).is_pending());
    }
    drop(scope);
    assert_eq!(seen.load(SeqCst), 1);
    assert_eq!(SHARED.snapshot().calls, 0);
}

#[tokio::test]
async fn a_recording_that_began_outside_is_of_what_happens_outside_where_it_is_read_within_a_scope_too() {
    static POLICY: Policy = Policy::new("testing.read-within", Settings::new());
    one_more(&POLICY).await.unwrap();
    let seen = testing::record(&POLICY);
    one_more(&POLICY).await.unwrap();
    isolated(async {
        for _ in 0..5 {
            one_more(&POLICY).await.unwrap();
        }
        assert_eq!((seen.calls(), seen.attempts(), seen.snapshot().calls), (1, 1, 2), "{seen}");
    })
    .await;
}

#[test]
fn the_futures_are_send_where_what_they_hold_is() {
    fn send<T: Send>(_: T) {}
    fn shareable<T: Send + Sync>() {}
    send(isolated(own(1)));
    send(isolated(async { tokio::task::yield_now().await }));
    send(inherit(shared(1)));
    send(async {
        let seen = testing::record(&SHARED);
        tokio::task::yield_now().await;
        drop(seen);
    });
    shareable::<Script<u32, Fault>>();
    shareable::<testing::Recording<'static>>();
}
