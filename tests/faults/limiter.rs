//! Faults of rate limiters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use apiguard::tower::GuardLayer;
use apiguard::{
    Concurrency, Error, Keyed, Policy, Quota, Rate, Refused, Rejected, Retry, Settings, TokenBucket, Verdict, Window,
    guarded,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::memory;
use crate::tools::{
    Answer, Case, DAY, Dice, Measured, bad, forever, good, hang, is_limited, ms, paused, policy, poll, scaled, secs,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "L01",
        what: "waiters dropped in any order while grants race, 8 threads; of 10 000 on a rate half are dropped",
        bound: "0 permits lost or given twice; the rest in their ideal time",
        run: l01,
    },
    Case { id: "L02", what: "200 wait, then 200 others come", bound: "0 overtake", run: l02 },
    Case {
        id: "L03",
        what: "10 of 10 tokens beside 4 greedy callers, 100/s; 5 greedy callers",
        bound: "wait <= 200 ms; least share >= 0.95 of the most",
        run: l03,
    },
    Case { id: "L04", what: "1 000 and 100 000 waiters", bound: "at most 3 polls for each grant", run: l04 },
    Case {
        id: "L05",
        what: "quota 10/s, bucket 10/s with burst 10, hostile arrivals",
        bound: "worst window / limit = 1.00; bucket <= burst + rate x t",
        run: l05,
    },
    Case { id: "L06", what: "idle for an hour, a year, ten years", bound: "0 over the burst", run: l06 },
    Case {
        id: "L07",
        what: "one waiter at 1/s, 1 000/s, 10 000/s for ten seconds",
        bound: "0.98 to 1.000 of the rate",
        run: l07,
    },
    Case {
        id: "L08",
        what: "every rate from 1/s to 10 000/s, and 7 M/s, 10 M/s, 1/d, 3/7d, at random instants",
        bound: "never over by more than a nanosecond brings; at most 1 token short in all",
        run: l08,
    },
    Case {
        id: "L09",
        what: "the clock stands, jumps 30 days and to its end, steps back 1 s",
        bound: "0 panics, 0 over the burst, at most the step and 1 period of wait",
        run: l09,
    },
    Case {
        id: "L10",
        what: "a flood of one-off keys beside 1 000 known ones, then silence",
        bound: "bounded; 0 keys after idle; 0 known ones refused",
        run: l10,
    },
    Case {
        id: "L11",
        what: "200 000 callers of 1/s with a patience of 10 s",
        bound: "199 989 refused without sleeping, 10 wait",
        run: l11,
    },
    Case {
        id: "L12",
        what: "waits outside of a runtime, in one of one thread, in one that ends",
        bound: "0 panics, 0 hang",
        run: l12,
    },
    Case {
        id: "L12b",
        what: "a call polled after the end of the runtime in which it began to wait; a runtime without timers",
        bound: "0 panics",
        run: l12b,
    },
    Case {
        id: "L14",
        what: "tower services that are ready and never called; calls made and not polled, or polled once",
        bound: "0 tokens lost, nobody held up",
        run: l14,
    },
    Case {
        id: "L14b",
        what: "a call is given a place in flight, and not polled any more",
        bound: "others wait at most 50 ms",
        run: l14b,
    },
    Case {
        id: "L15",
        what: "cost 0, above the burst, u32::MAX",
        bound: "\"never\", at once, and not as \"later\"",
        run: l15,
    },
    Case { id: "L16", what: "several limits, one of which refuses", bound: "0 tokens of the others burnt", run: l16 },
    Case {
        id: "L17",
        what: "a server's pause while 1 000 wait: 30 s, and Duration::MAX",
        bound: "0 sent in it, an hour at most, no burst after",
        run: l17,
    },
];

fn bucket(rate: Rate) -> Arc<TokenBucket> {
    Arc::new(TokenBucket::with_rate(rate.max_wait(365 * DAY)).unwrap())
}

// ---- waiting

struct Held<'a>(&'a AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn l01() -> Measured {
    const PERMITS: u32 = 10;
    let settings = Settings::new().concurrency(Concurrency::new(PERMITS).max_wait(DAY));
    let (rounds, calls) = (scaled(40), 1_250);
    let (mut lost, mut twice) = (0, 0);
    for round in 0..rounds {
        let policy = policy(&settings);
        let (running, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (policy, running, most) = (&policy, &running, &most);
                scope.spawn(move || {
                    let mut dice = Dice::new(100 + (round * 8 + thread) as u64);
                    let call = || {
                        Box::pin(policy.call(async || {
                            most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                            // Runs until it is polled again, and ends or is dropped.
                            let _held = Held(running);
                            tokio::task::yield_now().await;
                            Ok::<_, std::io::Error>(())
                        }))
                    };
                    let mut flying: Vec<_> = (0..calls).map(|_| call()).collect();
                    while !flying.is_empty() {
                        let index = dice.below(flying.len());
                        if dice.below(3) == 0 || poll(&mut flying[index]).is_ready() {
                            drop(flying.swap_remove(index));
                        }
                    }
                });
            }
        });
        twice += most.into_inner().saturating_sub(PERMITS);
        let snapshot = policy.snapshot();
        lost += snapshot.in_flight.unwrap() as usize + snapshot.waiting;
    }
    let late = paused(half_dropped());
    let figure = format!("{lost} lost, {twice} twice of {}; {late} ms from the ideal time", rounds * 8 * calls);
    Measured::new(lost == 0 && twice == 0 && late <= 3, figure)
}

/// How far from the ideal the end is of 10 000 waiters, of whom half are dropped in any order while tokens come.
async fn half_dropped() -> u128 {
    let (mut dice, bucket) = (Dice::new(1), bucket(Rate::per_second(1_000)));
    bucket.try_acquire(1).unwrap();
    let start = Instant::now();
    let wait = |bucket: Arc<TokenBucket>| async move { bucket.acquire(1).await };
    let mut tasks: Vec<_> = (0..10_000).map(|_| tokio::spawn(wait(bucket.clone()))).collect();
    let mut used = 0;
    for _ in 0..5_000 {
        let dropped = tasks.swap_remove(dice.below(tasks.len()));
        // Whoever had a token by then has used it.
        used += u128::from(dropped.is_finished());
        dropped.abort();
        if dice.below(20) == 0 {
            sleep(ms(1)).await;
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
        used += 1;
    }
    start.elapsed().as_millis().abs_diff(used)
}

fn l02() -> Measured {
    paused(async {
        let bucket = bucket(Rate::per_second(100));
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut tasks, mut overtook) = (Vec::new(), 0);
        for number in 0..400 {
            if number >= 200 {
                sleep(ms(3)).await;
                overtook += usize::from(bucket.try_acquire(1).is_ok());
            }
            let (bucket, order) = (bucket.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                bucket.acquire(1).await.unwrap();
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        overtook += order.windows(2).filter(|pair| pair[0] > pair[1]).count();
        Measured::new(overtook == 0 && order.len() == 400, format!("{overtook} of {}", order.len()))
    })
}

fn l03() -> Measured {
    paused(async {
        let limit = bucket(Rate::per_second(100).burst(10));
        let counts: Vec<_> = (0..5).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let greedy = |count: &Arc<AtomicUsize>| {
            let (limit, count) = (limit.clone(), count.clone());
            tokio::spawn(async move {
                loop {
                    limit.acquire(1).await.unwrap();
                    count.fetch_add(1, Relaxed);
                }
            })
        };
        let mut tasks: Vec<_> = counts[1..].iter().map(greedy).collect();
        sleep(secs(1)).await;
        let mut longest = Duration::ZERO;
        for _ in 0..scaled(100) {
            let start = Instant::now();
            limit.acquire(10).await.unwrap();
            longest = longest.max(start.elapsed());
        }
        for count in &counts {
            count.store(0, Relaxed);
        }
        tasks.push(greedy(&counts[0]));
        sleep(secs(60)).await;
        tasks.iter().for_each(JoinHandle::abort);
        let counts: Vec<usize> = counts.iter().map(|count| count.load(Relaxed)).collect();
        let share = *counts.iter().min().unwrap() as f64 / *counts.iter().max().unwrap() as f64;
        let figure = format!("{} ms; {share:.2}", longest.as_millis());
        Measured::new(longest <= ms(200) && share >= 0.95, figure)
    })
}

struct Counted<F>(Pin<Box<F>>, Arc<AtomicUsize>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Relaxed);
        self.0.as_mut().poll(cx)
    }
}

fn l04() -> Measured {
    paused(async {
        let mut polls_each = Vec::new();
        for waiters in [1_000, 100_000] {
            let bucket = bucket(Rate::per_second(waiters));
            let polls = Arc::new(AtomicUsize::new(0));
            let wait = |bucket: Arc<TokenBucket>| async move { bucket.acquire(1).await };
            let tasks: Vec<_> =
                (0..waiters).map(|_| tokio::spawn(Counted(Box::pin(wait(bucket.clone())), polls.clone()))).collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            polls_each.push(polls.load(Relaxed) as f64 / f64::from(waiters));
        }
        let figure = format!("{:.2} and {:.2}", polls_each[0], polls_each[1]);
        Measured::new(polls_each.iter().all(|polls| *polls <= 3.0), figure)
    })
}

// ---- rates

/// The most of sorted instants (in ms) that are in any half-open second.
fn most_in_a_second(times: &[u64]) -> usize {
    let (mut first, mut most) = (0, 0);
    for (index, time) in times.iter().enumerate() {
        while times[first] + 1_000 <= *time {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

/// By how many thousandths of a token a bucket of 10/s with a burst of 10 was ever over `burst + rate x t`.
fn most_over(times: &[u64]) -> u64 {
    let over = |first: usize| {
        let after = (1..).zip(&times[first..]).take(60);
        after.map(|(taken, at)| (taken * 1_000_u64).saturating_sub(10_000 + 10 * (at - times[first]))).max().unwrap()
    };
    (0..times.len()).map(over).max().unwrap()
}

fn l05() -> Measured {
    paused(async {
        let mut dice = Dice::new(5);
        let (window, limit) = (Window::new(10, secs(1)).unwrap(), TokenBucket::new(10, 10).unwrap());
        let (mut by_window, mut by_bucket, tries) = (Vec::new(), Vec::new(), scaled(200_000));
        let start = Instant::now();
        for _ in 0..tries {
            advance(ms([0, 0, 0, 1, 7, 90, 99, 100, 101, 500, 999, 1_000][dice.below(12)])).await;
            let now = start.elapsed().as_millis() as u64;
            by_window.extend(window.try_acquire(1).is_ok().then_some(now));
            by_bucket.extend(limit.try_acquire(1).is_ok().then_some(now));
        }
        // Those who wait, too.
        let policy = policy(&Settings::new().quota(Quota::per_second(10).max_wait(DAY)));
        let times = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut calls = Vec::new();
        for _ in 0..5_000 {
            sleep(ms([0, 0, 0, 0, 0, 1, 90, 900, 999][dice.below(9)])).await;
            let (policy, times) = (policy.clone(), times.clone());
            calls.push(tokio::spawn(async move {
                let ran = at(&policy, start, None).await.unwrap();
                times.lock().unwrap().push(ran);
            }));
        }
        for call in calls {
            call.await.unwrap();
        }
        times.lock().unwrap().sort_unstable();
        let worst = most_in_a_second(&by_window).max(most_in_a_second(&times.lock().unwrap()));
        let over = most_over(&by_bucket);
        let figure = format!("{:.2}; bucket over by {over}; {tries} arrivals", worst as f64 / 10.0);
        Measured::new(worst == 10 && over == 0, figure)
    })
}

fn l06() -> Measured {
    paused(async {
        let (bucket, window) = (bucket(Rate::per_second(10).burst(7)), Window::new(7, secs(1)).unwrap());
        let mut over = 0;
        for idle in [secs(3_600), 365 * DAY, 3_650 * DAY] {
            while bucket.try_acquire(1).is_ok() {}
            advance(idle).await;
            for taken in [
                (0..100).filter(|_| bucket.try_acquire(1).is_ok()).count(),
                (0..100).filter(|_| window.try_acquire(1).is_ok()).count(),
            ] {
                over += taken.abs_diff(7);
            }
        }
        Measured::new(over == 0, format!("{over}"))
    })
}

fn l07() -> Measured {
    paused(async {
        let mut shares = Vec::new();
        for rate in [1, 1_000, 10_000] {
            let bucket = bucket(Rate::per_second(rate));
            bucket.acquire(1).await.unwrap();
            let start = Instant::now();
            for _ in 0..10 * rate {
                bucket.acquire(1).await.unwrap();
            }
            shares.push(10.0 / start.elapsed().as_secs_f64());
        }
        // Timers end on whole milliseconds, and lateness up to 2 ms is made up.
        let holds = shares.iter().all(|share| (0.98..=1.000_3).contains(share));
        Measured::new(holds, format!("{:.4}, {:.4}, {:.4}", shares[0], shares[1], shares[2]))
    })
}

/// A bucket, and how much of it was taken.
struct Drained {
    bucket: TokenBucket,
    rate: Rate,
    taken: u128,
}

impl Drained {
    fn new(rate: Rate) -> Drained {
        // Empty from the start, so that nothing of what comes back is lost.
        let mut drained = Drained { bucket: TokenBucket::with_rate(rate).unwrap(), rate, taken: 0 };
        assert_eq!(drained.drain(Duration::ZERO), (0, 0));
        drained
    }

    /// Takes all there is; over and short of what there must be, in tokens.
    fn drain(&mut self, elapsed: Duration) -> (u128, u128) {
        let available = self.bucket.available();
        if available > 0 && self.bucket.try_acquire(available).is_ok() {
            self.taken += u128::from(available);
        }
        let refilled = |nanos: u128| nanos * u128::from(self.rate.count()) / self.rate.period().as_nanos();
        let ideal = |nanos| u128::from(self.rate.capacity()) + refilled(nanos);
        // An instant is a whole number of nanoseconds, so the time between two is known to one.
        let (least, most) = (ideal(elapsed.as_nanos()), ideal(elapsed.as_nanos() + 1));
        (self.taken.saturating_sub(most), least.saturating_sub(self.taken))
    }
}

/// Drains the buckets at random instants, at most `longest` apart: (over, short, taken).
async fn drained(rates: impl Iterator<Item = Rate>, longest: Duration, steps: usize, dice: &mut Dice) -> [u128; 3] {
    let mut buckets: Vec<_> = rates.map(Drained::new).collect();
    let start = Instant::now();
    let (mut over, mut short) = (0, 0);
    for _ in 0..steps {
        advance(Duration::from_nanos(1 + dice.below(longest.as_nanos() as usize) as u64)).await;
        let elapsed = start.elapsed();
        for bucket in &mut buckets {
            let (more, less) = bucket.drain(elapsed);
            over = over.max(more);
            short = short.max(less);
        }
    }
    [over, short, buckets.iter().map(|bucket| bucket.taken).sum()]
}

fn l08() -> Measured {
    paused(async {
        let mut dice = Dice::new(8);
        let all = (1..=10_000).map(|rate| Rate::per_second(rate).burst(1_000_000));
        let fast = [7_000_000, 10_000_000].map(|rate| Rate::per_second(rate).burst(2_000_000));
        let slow = [Rate::per_day(1).burst(100), Rate::new(3, 7 * DAY).burst(100)];
        let parts = [
            drained(all, secs(60), scaled(60), &mut dice).await,
            drained(fast.into_iter(), ms(100), scaled(50_000), &mut dice).await,
            drained(slow.into_iter(), 3 * DAY, 2_000, &mut dice).await,
        ];
        let [over, short, taken] =
            parts.into_iter().reduce(|a, b| [a[0].max(b[0]), a[1].max(b[1]), a[2] + b[2]]).unwrap();
        let figure = format!("{over} over, {short} short in {:.1e} grants", taken as f64);
        Measured::new(over == 0 && short <= 1, figure)
    })
}

#[guarded(name = "l09", rate("1/s", burst = 5, max_wait = "1h"))]
async fn by_a_clock() -> Answer<()> {
    Ok(())
}

fn l09() -> Measured {
    let policy = apiguard::registry().get("l09").unwrap();
    let mut over = 0;
    let drain = |policy: &'static Policy| {
        let taken =
            (0..100).map(|_| Box::pin(by_a_clock())).filter_map(|mut call| poll(&mut call).is_ready().then_some(()));
        let taken = taken.count();
        assert_eq!(policy.snapshot().waiting, 0);
        taken
    };
    // It stands, it jumps, and comes to the end of what a word of nanoseconds can hold.
    let behind = paused(async {
        over += drain(policy).abs_diff(5);
        over += drain(policy);
        for jump in [30 * DAY, 3_650 * DAY] {
            advance(jump).await;
            over += drain(policy).abs_diff(5);
            over += drain(policy);
        }
        let start = Instant::now();
        by_a_clock().await.unwrap();
        start.elapsed()
    });
    // Each runtime has a paused clock of its own, which begins at the real time: so the next one steps back.
    let fresh = forever(&Settings::new().rate(Rate::per_second(10).burst(5).max_wait(secs(3_600))));
    paused(async {
        advance(secs(1)).await;
        for _ in 0..5 {
            over += usize::from(good(fresh).await.is_err());
        }
    });
    let (back, granted) = paused(async {
        let start = Instant::now();
        let mut granted = 0;
        while is_limited(&policy_now(fresh).await) && start.elapsed() < secs(10) {
            advance(ms(10)).await;
        }
        let waited = start.elapsed();
        granted += 1;
        while !is_limited(&policy_now(fresh).await) {
            granted += 1;
        }
        (waited, granted)
    });
    over += usize::from(granted > 5);
    paused(async {
        let (alone, window) = (bucket(Rate::per_second(10).burst(5)), Window::new(5, secs(1)).unwrap());
        for _ in 0..5 {
            // 500 years in all: a word of nanoseconds ends after 584.
            advance(100 * 365 * DAY).await;
            let calls = (0..100).filter(|_| matches!(poll(&mut Box::pin(good(fresh))), Poll::Ready(Ok(()))));
            over += calls.count().saturating_sub(5);
            over += (0..100).filter(|_| alone.try_acquire(1).is_ok()).count().saturating_sub(5);
            over += (0..100).filter(|_| window.try_acquire(1).is_ok()).count().saturating_sub(5);
            for key in 0..10 {
                let call = || Box::pin(fresh.call_keyed(&key, async || Ok::<_, std::io::Error>(())));
                let calls = (0..100).filter(|_| matches!(poll(&mut call()), Poll::Ready(Ok(()))));
                over += calls.count().saturating_sub(5);
            }
        }
    });
    let figure = format!(
        "{over} over; waits {} ms after a jump, {} ms after a step back of 1 s",
        behind.as_millis(),
        back.as_millis()
    );
    Measured::new(over == 0 && behind <= ms(1_002) && back <= ms(1_110), figure)
}

/// As a caller that does not wait.
async fn policy_now(policy: &Policy) -> Answer<()> {
    tokio::time::timeout(Duration::ZERO, good(policy)).await.unwrap_or_else(|_| {
        let retry_after = Duration::from_millis(1);
        Err(Error::Rejected(Rejected::RateLimited { policy: "x".to_owned().into(), retry_after }))
    })
}

// ---- keys

fn l10() -> Measured {
    const KNOWN: u32 = 1_000;
    paused(async {
        let flood = scaled(500_000) as u32;
        let settings = Settings::new().rate(Rate::per_second(10).burst(10).max_wait(Duration::ZERO));
        let policy = forever(&settings);
        let ok = async || Ok::<_, std::io::Error>(());
        memory::peak_since();
        let before = memory::live();
        let (mut refused, mut most) = (0, 0);
        for key in 0..flood {
            let _ = policy.call_keyed(&(u64::from(key) << 20), ok).await;
            if key % 100 == 0 {
                // Each known one is called ten times a second, as it may be.
                refused += usize::from(policy.call_keyed(&("known", key / 100 % KNOWN), ok).await.is_err());
                advance(Duration::from_micros(100)).await;
                most = most.max(policy.snapshot().keys);
            }
        }
        let peak = memory::peak_since() - before;
        advance(secs(10)).await;
        policy.evict_idle();
        let left = policy.snapshot().keys;
        let bounded = Keyed::<u32, TokenBucket>::new().at_most(10_000);
        for key in 0..flood / 2 {
            let _ = bounded.get_or_insert_with(&key, || TokenBucket::new(1, 1).unwrap()).try_acquire(1);
        }
        let kept = bounded.len();
        let mb = peak as f64 / 1e6;
        let figure = format!(
            "{mb:.1} MB for {most} active of {flood}; {left} after idle; {refused} refused; {kept} with `at_most(10_000)`"
        );
        Measured::new(left == 0 && refused == 0 && kept <= 10_000 && peak <= 40 * most + 1_000_000, figure)
    })
}

fn l11() -> Measured {
    paused(async {
        let callers = 200_000;
        let policy = policy(&Settings::new().rate(Rate::per_second(1).max_wait(secs(10))));
        let start = Instant::now();
        let mut waiting = Vec::new();
        memory::peak_since();
        let before = memory::live();
        for _ in 0..callers {
            let mut call = Box::pin(good(&policy));
            if poll(&mut call).is_pending() {
                waiting.push(call);
            }
        }
        let peak = memory::peak_since() - before;
        let snapshot = policy.snapshot();
        let (refused, waits) = (snapshot.rejections.rate_limited, snapshot.waiting);
        let figure = format!("{refused} refused in {:?}, {waits} wait, {} KB", start.elapsed(), peak / 1_000);
        Measured::new(start.elapsed().is_zero() && refused == 199_989 && waits == 10 && peak < 1_000_000, figure)
    })
}

// ---- runtimes

/// Runs a future on this thread without a runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn runtime(timers: bool) -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if timers {
        runtime.enable_time();
    }
    runtime.build().unwrap()
}

/// Real waits, of 5 ms each: outside of a runtime no clock can be paused.
fn real() -> &'static Policy {
    forever(&Settings::new().rate(Rate::per_second(200)).retries(Retry::new(1).base(ms(2))))
}

async fn waits(policy: &Policy) {
    for _ in 0..4 {
        good(policy).await.unwrap();
    }
    bad(policy).await.unwrap_err();
}

fn poll_all<F: Future>(calls: &mut [Pin<Box<F>>]) {
    for call in calls {
        let _ = poll(call);
    }
}

/// Calls that wait in a runtime, which ends.
fn outlive() -> Vec<Pin<Box<impl Future<Output = Answer<()>>>>> {
    let policy = real();
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(good(policy))).collect();
    let first = runtime(true);
    first.block_on(async { poll_all(&mut calls) });
    drop(calls.remove(0));
    calls
}

/// Those that panic.
fn panics(cases: &[(&str, &dyn Fn())]) -> Measured {
    std::panic::set_hook(Box::new(|_| ()));
    let panics = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
    let panic: Vec<_> = cases.iter().filter(|(_, run)| panics(run)).map(|(name, _)| *name).collect();
    Measured::new(panic.is_empty(), format!("{} of {}: {}", panic.len(), cases.len(), panic.join(", ")))
}

fn l12() -> Measured {
    let measured = panics(&[
        ("outside", &|| block_on(waits(real()))),
        ("one thread", &|| runtime(true).block_on(waits(real()))),
        ("dropped with its runtime", &|| {
            let policy = forever(&Settings::new().rate(Rate::per_hour(1).max_wait(DAY)));
            let runtime = runtime(true);
            for _ in 0..1_000 {
                runtime.spawn(good(policy));
            }
            runtime.block_on(tokio::task::yield_now());
            drop(runtime);
            assert_eq!(policy.snapshot().waiting, 0);
        }),
    ]);
    Measured { figure: measured.figure.trim_end_matches(": ").to_owned(), ..measured }
}

fn l12b() -> Measured {
    panics(&[
        ("polled outside", &|| outlive().into_iter().for_each(|call| block_on(call).unwrap())),
        ("polled in another", &|| {
            runtime(true).block_on(async {
                for call in outlive_elsewhere() {
                    call.await.unwrap();
                }
            });
        }),
        ("without timers", &|| runtime(false).block_on(waits(real()))),
    ])
}

/// As [`outlive`], from within a runtime.
fn outlive_elsewhere() -> Vec<Pin<Box<impl Future<Output = Answer<()>>>>> {
    std::thread::spawn(outlive).join().unwrap()
}

/// Whether a place or a token is kept once all have gone.
async fn left(policy: &Policy) -> usize {
    sleep(secs(1)).await;
    let snapshot = policy.snapshot();
    snapshot.waiting + snapshot.in_flight.unwrap_or(0) as usize
}

fn l14() -> Measured {
    paused(async {
        let rate = Rate::per_second(100).burst(10).max_wait(DAY);
        let policy = forever(&Settings::new().concurrency(Concurrency::new(1).max_wait(DAY)).rate(rate));
        let service =
            GuardLayer::new(policy).errors_only().layer(service_fn(async |n: u32| Ok::<_, std::io::Error>(n)));
        let mut parked: Vec<_> = (0..1_000).map(|_| service.clone()).collect();
        for service in &mut parked {
            service.ready().await.unwrap();
        }
        // Half of them are called, and their futures never polled.
        let unpolled: Vec<_> = parked.iter_mut().take(500).map(|service| service.call(1)).collect();
        let mut lost = 10 - policy.snapshot().tokens.unwrap();
        let start = Instant::now();
        for _ in 0..10 {
            service.clone().oneshot(1).await.unwrap();
        }
        let held_up = start.elapsed();
        drop((unpolled, parked));
        let kept = left(policy).await;
        lost += 10 - policy.snapshot().tokens.unwrap();
        // Polled once: nine wait, of whom eight go, and one is never polled again.
        let policy = forever(&Settings::new().rate(rate.burst(1)));
        good(policy).await.unwrap();
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(good(policy))).collect();
        poll_all(&mut waiting);
        waiting.truncate(1);
        let (start, served) = (Instant::now(), scaled(1_000) as u32);
        for _ in 0..served {
            good(policy).await.unwrap();
        }
        let late = start.elapsed().as_secs_f64() / (ms(10) * served).as_secs_f64();
        drop(waiting);
        let kept = kept + left(policy).await;
        let figure = format!("{lost} lost, {kept} places kept; the others in {late:.3} x their ideal time");
        Measured::new(lost == 0 && kept == 0 && held_up.is_zero() && late <= 1.02, figure)
    })
}

fn l14b() -> Measured {
    paused(async {
        let policy = forever(&Settings::new().concurrency(Concurrency::new(1).max_wait(secs(60))));
        let mut running = Box::pin(hang(policy));
        let _ = poll(&mut running);
        let mut parked = Box::pin(good(policy));
        let _ = poll(&mut parked);
        drop(running);
        let start = Instant::now();
        let _ = good(policy).await;
        let waited = start.elapsed();
        drop(parked);
        assert_eq!(left(policy).await, 0);
        Measured::new(waited <= ms(50), format!("{} s, as long as `max_wait`", waited.as_secs()))
    })
}

// ---- several limits, costs, pauses

#[guarded(name = "l15", rate("1/s", burst = 10, max_wait = "1h"), cost = cost)]
async fn costly(cost: u32) -> Answer<()> {
    Ok(())
}

fn l15() -> Measured {
    paused(async {
        let limit = bucket(Rate::per_second(1).burst(10));
        let (mut wrong, mut tried, start) = (0, 0, Instant::now());
        for _ in 0..scaled(1_000) {
            tried += 3;
            wrong += usize::from(limit.acquire(0).await.is_err() || limit.available() != 10);
            wrong += usize::from(costly(0).await.is_err());
            let cost = [11, 1_000, u32::MAX][tried / 3 % 3];
            let never = limit.acquire(cost).await;
            wrong += usize::from(!matches!(never, Err(Refused::Never { burst: 10, .. })));
            let never = costly(cost).await.unwrap_err();
            wrong += usize::from(!matches!(never.rejected(), Some(Rejected::CostTooHigh { burst: 10, .. })));
            wrong += usize::from(never.retry_after().is_some());
        }
        let waited = start.elapsed();
        limit.try_acquire(10).unwrap();
        let later = limit.try_acquire(10).unwrap_err();
        wrong += usize::from(!matches!(later, Refused::NotYet { retry_after } if retry_after == secs(10)));
        Measured::new(wrong == 0 && waited.is_zero(), format!("{wrong} wrong of {tried}; waited {waited:?}"))
    })
}

fn l16() -> Measured {
    paused(async {
        let rate = Rate::per_second(1_000).burst(1_000).max_wait(Duration::ZERO);
        let settings = Settings::new()
            .rate(rate)
            .quota(Quota::per_minute(5).max_wait(Duration::ZERO))
            .and_quota(Quota::per_hour(1_000_000).max_wait(Duration::ZERO))
            .concurrency(Concurrency::new(3).max_wait(Duration::ZERO));
        let policy = policy(&settings);
        for _ in 0..5 {
            good(&policy).await.unwrap();
        }
        let (refusals, mut refused) = (scaled(200_000), 0);
        for _ in 0..refusals {
            refused += usize::from(is_limited(&good(&policy).await));
        }
        // The only one that may refuse now is the rate.
        policy.configure(Settings::new().rate(rate)).unwrap();
        let burnt = 995 - policy.snapshot().tokens.unwrap();
        let figure = format!("{burnt} by {refused} refusals");
        Measured::new(burnt == 0 && refused == refusals, figure)
    })
}

#[derive(Debug, thiserror::Error)]
#[error("busy")]
struct Busy(Duration);

fn throttled(outcome: &Result<u64, Busy>) -> Verdict {
    outcome.as_ref().map_or_else(|busy| Verdict::Throttled { retry_after: Some(busy.0) }, |_| Verdict::Success)
}

/// When it ran, or a pause that the server asks for.
#[guarded(policy = policy, classify = throttled)]
async fn at(policy: &Policy, start: Instant, pause: Option<Duration>) -> Result<u64, Error<Busy>> {
    pause.map_or_else(|| Ok(start.elapsed().as_millis() as u64), |pause| Err(Busy(pause)))
}

fn l17() -> Measured {
    paused(async {
        let settings = Settings::new().rate(Rate::per_second(100).burst(50).max_wait(secs(3 * 3_600))).timeout(DAY);
        let (mut early, mut longest, mut peak, mut off) = (0, 0, 0, 0);
        for (asked, kept) in [(secs(30), 30_000), (Duration::MAX, 3_600_000)] {
            let policy = policy(&settings);
            let start = Instant::now();
            let call = |pause| {
                let policy = policy.clone();
                tokio::spawn(async move { at(&policy, start, pause).await })
            };
            for _ in 0..50 {
                good(&policy).await.unwrap();
            }
            // 500 wait for their turn when the pause comes, and 500 come later.
            let throttled = call(Some(asked));
            let mut calls: Vec<_> = (0..500).map(|_| call(None)).collect();
            throttled.await.unwrap().unwrap_err();
            let paused_at = start.elapsed().as_millis() as u64;
            calls.extend((0..500).map(|_| call(None)));
            let mut times = Vec::new();
            for call in calls {
                times.push(call.await.unwrap().unwrap() - paused_at);
            }
            times.sort_unstable();
            early += times.iter().filter(|at| **at < kept).count();
            longest = longest.max(times[0]);
            peak = peak.max(most_in_a_second(&times));
            let ideal = (kept..).step_by(10);
            off = off.max(times.iter().zip(ideal).map(|(at, ideal)| at.abs_diff(ideal)).max().unwrap());
        }
        let figure =
            format!("{early} early; {} s; {peak} in the busiest second, each within {off} ms", longest / 1_000);
        Measured::new(early == 0 && longest <= 3_600_010 && peak <= 101 && off <= 3, figure)
    })
}
