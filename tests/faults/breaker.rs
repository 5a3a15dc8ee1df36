//! Faults of circuit breakers.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use apiguard::http::ResponseExt;
use apiguard::tower::GuardLayer;
use apiguard::{Breaker, BreakerState, CircuitBreaker, Error, Policy, Rejected, Settings, Verdict, guarded, registry};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::raw::Raw;
use crate::support::{Answer as Reply, Server};
use crate::tools::{
    Answer, Case, Dice, Measured, bad, forever, good, hang, is_open, ms, paused, policy, poll, reset, scaled, secs,
    state,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "B01",
        what: "a probe is dropped at each of its polls, or leaked",
        bound: "place free 0 ms after a drop, 60 s after a leak",
        run: b01,
    },
    Case {
        id: "B02",
        what: "calls of 8 threads at the instant the open time ends",
        bound: "exactly `probes` of them run",
        run: b02,
    },
    Case { id: "B03", what: "calls from before the trip succeed late", bound: "none counts", run: b03 },
    Case { id: "B04", what: "calls from before the trip fail late", bound: "none counts", run: b04 },
    Case {
        id: "B05",
        what: "an outage after 10, 1 000, 1 000 000 good calls; window 100, 50 %",
        bound: "at most 51 failures let through",
        run: b05,
    },
    Case {
        id: "B05b",
        what: "80 % of 5 000 calls fail, in any order",
        bound: "at most 100 calls let through",
        run: b05b,
    },
    Case {
        id: "B06",
        what: "panics in body, classifier, fallback; closed and half-open",
        bound: "each reaches its caller, counts, and wedges nothing",
        run: b06,
    },
    Case { id: "B07", what: "callers give up within 1 ms, service healthy", bound: "0 trips", run: b07 },
    Case {
        id: "B08",
        what: "calls to a server that accepts nothing, ended by own and by outer timeouts; window 20",
        bound: "open after at most 20 calls",
        run: b08,
    },
    Case {
        id: "B09",
        what: "a listener panics, calls back, or blocks while others call",
        bound: "0 calls harmed",
        run: b09,
    },
    Case {
        id: "B11",
        what: "20 answers 503 through attribute, client, middleware, tower",
        bound: "5 requests, then open",
        run: b11,
    },
    Case { id: "B12", what: "threshold 5, four attempts a call", bound: "5 requests", run: b12 },
    Case {
        id: "B13",
        what: "probes whose outcome says nothing of the service",
        bound: "0 stuck half-open, none decides",
        run: b13,
    },
    Case {
        id: "B14",
        what: "200 clients, the service recovers at one instant",
        bound: "peak <= 1.2 x normal, probes spread",
        run: b14,
    },
    Case {
        id: "B15",
        what: "reset, force, `configure`, a configuration while 1 000 calls fly",
        bound: "0 old outcomes count",
        run: b15,
    },
];

/// Opens at the first failure.
fn trips_at_once() -> Breaker {
    Breaker::consecutive(1).recovery(secs(1)).recovery_jitter(0.0)
}

fn with(breaker: Breaker) -> Settings {
    Settings::new().breaker(breaker)
}

/// Runs until it is dropped, after it has let others run a few times.
async fn probe(entered: &AtomicUsize, yields: usize) -> io::Result<()> {
    entered.fetch_add(1, Relaxed);
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
    std::future::pending().await
}

#[guarded(policy = policy)]
async fn probe_by_attribute(policy: &Policy, entered: &AtomicUsize, yields: usize) -> Answer<()> {
    probe(entered, yields).await
}

fn b01() -> Measured {
    type Call = Pin<Box<dyn Future<Output = Answer<()>>>>;
    static ENTERED: AtomicUsize = AtomicUsize::new(0);
    paused(async {
        let policy = forever(&with(trips_at_once()));
        bad(policy).await.unwrap_err();
        let probe_of = |round: usize| -> Call {
            let yields = round % 4;
            match round % 3 {
                0 => Box::pin(policy.call(async move || probe(&ENTERED, yields).await)),
                1 => Box::pin(probe_by_attribute(policy, &ENTERED, yields)),
                _ => {
                    let service = service_fn(move |yields| probe(&ENTERED, yields));
                    Box::pin(GuardLayer::new(policy).errors_only().layer(service).oneshot(yields))
                }
            }
        };
        let rounds = scaled(10_000);
        let (mut wedged, mut blocked) = (0, 0);
        for round in 0..rounds {
            advance(secs(2)).await;
            let (mut one, mut next) = (probe_of(round), probe_of(round + 1));
            for _ in 0..=round / 3 % 5 {
                let _ = poll(&mut one);
            }
            blocked += usize::from(is_open(&good(policy).await));
            drop(one);
            // At the same instant.
            let before = ENTERED.load(Relaxed);
            let _ = poll(&mut next);
            wedged += usize::from(ENTERED.load(Relaxed) == before);
        }
        let mut longest = 0;
        for round in 0..30 {
            let mut leaked = probe_of(round);
            let _ = poll(&mut leaked);
            std::mem::forget(leaked);
            let mut waited = 0;
            let entered = ENTERED.load(Relaxed);
            while ENTERED.load(Relaxed) == entered && waited < 1_000_000 {
                advance(ms(100)).await;
                waited += 100;
                let _ = poll(&mut probe_of(round));
            }
            longest = longest.max(waited);
        }
        let figure = format!("{wedged} of {rounds} blocked after a drop; {} s after a leak", longest / 1_000);
        Measured::new(wedged == 0 && blocked == rounds && longest <= 61_000, figure)
    })
}

fn b02() -> Measured {
    const THREADS: usize = 8;
    let (rounds, calls) = (scaled(1_000), 150);
    let mut wrong = 0;
    for round in 0..rounds {
        let probes = 1 + round as u32 % 3;
        let policy = policy(&with(trips_at_once().recovery(ms(1)).probes(probes)));
        let (running, start) = (AtomicU32::new(0), Barrier::new(THREADS));
        let _ = poll(&mut Box::pin(bad(&policy)));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let call = || {
                        Box::pin(policy.call(async || {
                            running.fetch_add(1, Relaxed);
                            std::future::pending::<io::Result<()>>().await
                        }))
                    };
                    start.wait();
                    let mut flying = Vec::new();
                    // Real time, about 1 ms: threads share no paused clock. Many calls come after it, too.
                    let mut left = calls;
                    while left > 0 {
                        let mut call = call();
                        if poll(&mut call).is_pending() {
                            flying.push(call);
                        }
                        if state(&policy) != BreakerState::Open {
                            left -= 1;
                        }
                    }
                    start.wait();
                });
            }
        });
        wrong += usize::from(running.load(Relaxed) != probes);
    }
    Measured::new(wrong == 0, format!("{wrong} of {rounds} rounds with others, {calls} calls a thread"))
}

/// A call whose outcome is set from outside.
struct Flight<'a> {
    call: Pin<Box<dyn Future<Output = Answer<()>> + 'a>>,
    works: Rc<Cell<Option<bool>>>,
}

impl Flight<'_> {
    fn begin(policy: &Policy) -> Flight<'_> {
        let works = Rc::new(Cell::new(None));
        let answer = works.clone();
        let call = policy.call(async move || {
            std::future::poll_fn(|_| match answer.get() {
                None => Poll::Pending,
                Some(true) => Poll::Ready(Ok(())),
                Some(false) => Poll::Ready(Err(reset())),
            })
            .await
        });
        let mut flight = Flight { call: Box::pin(call), works };
        assert!(poll(&mut flight.call).is_pending());
        flight
    }

    fn end(mut self, works: bool) {
        self.works.set(Some(works));
        assert!(poll(&mut self.call).is_ready());
    }
}

/// Random interleavings: calls of the closed state end at any time after the trip, all with one outcome; the probe with any.
fn stale(works: bool, stream: u64) -> Measured {
    paused(async {
        let mut dice = Dice::new(stream);
        let breaker = Breaker::consecutive(2).successes(1).recovery(secs(1)).recovery_jitter(0.0);
        let policy = policy(&with(breaker));
        let (mut wrong, rounds) = (0, scaled(25_000));
        let (ended, counted) = (Cell::new(0), Cell::new(0));
        let stands = || {
            let snapshot = policy.snapshot();
            (snapshot.breaker, snapshot.failures_in_a_row)
        };
        for _ in 0..rounds {
            let mut old: Vec<_> = (0..=dice.below(6)).map(|_| Flight::begin(&policy)).collect();
            Flight::begin(&policy).end(false);
            Flight::begin(&policy).end(false);
            let land = |old: &mut Vec<Flight<'_>>, dice: &mut Dice, most: usize| {
                for _ in 0..dice.below(most.min(old.len()) + 1) {
                    let before = stands();
                    let flight = old.swap_remove(dice.below(old.len()));
                    // Some are dropped.
                    if dice.below(8) == 0 {
                        drop(flight);
                    } else {
                        flight.end(works);
                    }
                    ended.set(ended.get() + 1);
                    counted.set(counted.get() + usize::from(stands() != before));
                }
            };
            land(&mut old, &mut dice, 2);
            advance(secs(2)).await;
            let (probe, well) = (Flight::begin(&policy), dice.below(2) == 0);
            land(&mut old, &mut dice, 4);
            probe.end(well);
            let expected = if well { BreakerState::Closed } else { BreakerState::Open };
            wrong += usize::from(state(&policy) != expected);
            land(&mut old, &mut dice, usize::MAX);
            drop(old);
            policy.reset();
        }
        let (more, of) = stale_permits(works, &mut dice).await;
        let (counted, ended) = (counted.get() + wrong + more, ended.get() + of);
        Measured::new(counted == 0, format!("{counted} of {ended} late outcomes counted"))
    })
}

/// The same with the breaker alone, which is faster.
async fn stale_permits(works: bool, dice: &mut Dice) -> (usize, usize) {
    let breaker = Breaker::consecutive(2).successes(1).recovery(secs(1)).recovery_jitter(0.0);
    let (breaker, mut counted, mut ended) = (CircuitBreaker::new(breaker).unwrap(), 0, 0);
    for _ in 0..scaled(120_000) {
        let mut old: Vec<_> = (0..10).map(|_| breaker.try_acquire().unwrap()).collect();
        for _ in 0..2 {
            breaker.try_acquire().unwrap().failure();
        }
        advance(secs(2)).await;
        let probe = breaker.try_acquire().unwrap();
        let (before, late) = (dice.below(10), dice.below(2) == 0);
        for index in 0..10 {
            if index == before && late {
                break;
            }
            let permit = old.swap_remove(dice.below(old.len()));
            if works {
                permit.success();
            } else {
                permit.failure();
            }
            ended += 1;
            counted += usize::from(breaker.state() != BreakerState::HalfOpen);
        }
        probe.success();
        for permit in old {
            if works {
                permit.success();
            } else {
                permit.failure();
            }
            ended += 1;
            counted += usize::from(breaker.failures() != 0 || breaker.state() != BreakerState::Closed);
        }
        breaker.reset();
    }
    (counted, ended)
}

fn b03() -> Measured {
    stale(true, 3)
}

fn b04() -> Measured {
    stale(false, 4)
}

fn b05() -> Measured {
    paused(async {
        let mut let_through = Vec::new();
        for successes in [10, 1_000, scaled(1_000_000)] {
            let policy = policy(&with(Breaker::failure_rate(0.5).window_calls(100)));
            for _ in 0..successes {
                good(&policy).await.unwrap();
            }
            let mut failures = 0;
            while failures < 10_000 && state(&policy) == BreakerState::Closed {
                let _ = bad(&policy).await;
                failures += 1;
            }
            let_through.push(failures);
        }
        Measured::new(let_through.iter().all(|failures| *failures <= 51), format!("{let_through:?}"))
    })
}

fn b05b() -> Measured {
    paused(async {
        let (mut dice, mut worst) = (Dice::new(5), 0);
        for _ in 0..scaled(100) {
            let policy = policy(&with(Breaker::failure_rate(0.5).window_calls(100)));
            for _ in 0..5_000 {
                let _ = if dice.below(5) == 0 { good(&policy).await } else { bad(&policy).await };
            }
            worst = worst.max(policy.snapshot().attempts());
        }
        Measured::new(worst <= 100, format!("{worst} at worst"))
    })
}

#[guarded(name = "b06", breaker(1, recovery = "1s", recovery_jitter = 0), classify = classify, fallback = fallback)]
async fn fragile(what: &str) -> Answer<u32> {
    match what {
        "body" => panic!("the body"),
        "classify" => Err(io::ErrorKind::InvalidData.into()),
        "fallback" => Err(reset()),
        _ => Ok(1),
    }
}

fn classify(outcome: &io::Result<u32>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Success,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => panic!("the classifier"),
        Err(_) => Verdict::TRANSIENT,
    }
}

fn fallback(_: &str, error: Error<io::Error>) -> Answer<u32> {
    if matches!(error, Error::Call { .. }) { panic!("the fallback") } else { Err(error) }
}

fn b06() -> Measured {
    std::panic::set_hook(Box::new(|_| ()));
    paused(async {
        let policy = registry().get("b06").unwrap();
        let (mut panics, mut wrong, rounds) = (0, 0, scaled(300));
        for what in ["body", "classify", "fallback"] {
            for _ in 0..rounds {
                // Closed, then as a probe.
                for _ in 0..2 {
                    panics += 1;
                    let ended = tokio::spawn(fragile(what)).await;
                    wrong += usize::from(!ended.is_err_and(|error| error.is_panic()));
                    wrong += usize::from(!is_open(&fragile("well").await));
                    advance(secs(2)).await;
                }
                for _ in 0..2 {
                    wrong += usize::from(fragile("well").await.is_err());
                }
                wrong += usize::from(state(policy) != BreakerState::Closed);
            }
        }
        Measured::new(wrong == 0, format!("{wrong} wedged, lost or uncounted of {panics}"))
    })
}

fn b07() -> Measured {
    paused(async {
        let (mut trips, calls) = (0, scaled(1_000));
        for breaker in [Breaker::consecutive(1), Breaker::failure_rate(0.01).min_calls(1), Breaker::slow_calls(ms(50))]
        {
            let policy = policy(&with(breaker));
            for _ in 0..calls {
                let _ = timeout(ms(1), hang(&policy)).await;
            }
            trips += usize::from(state(&policy) != BreakerState::Closed);
        }
        Measured::new(trips == 0, format!("{trips} in {} calls", 3 * calls))
    })
}

#[guarded(name = "b08", timeout = "1s", breaker(failure_rate = "50%", window = 20, min_calls = 10))]
async fn black_hole(url: &str) -> Result<(), apiguard::reqwest::Error> {
    reqwest::get(url).await?.checked()?;
    Ok(())
}

fn b08() -> Measured {
    paused(async {
        let server = Raw::silent().await;
        let own = registry().get("b08").unwrap();
        while state(own) == BreakerState::Closed && own.snapshot().attempts() < 50 {
            let _ = black_hole(&server.url).await;
        }
        let breaker = Breaker::failure_rate(0.5).window_calls(20).min_calls(10);
        // Given up on later than `abandoned`, whose default is 5 s; and later than a slow call takes.
        let abandoned = policy(&with(breaker));
        let slow = policy(&with(breaker.slow_call(secs(2))));
        for (policy, patience) in [(&abandoned, secs(6)), (&slow, secs(2))] {
            while state(policy) == BreakerState::Closed && policy.snapshot().attempts() < 50 {
                let call = policy.call(async || reqwest::get(&server.url).await);
                let _ = timeout(patience, call).await;
            }
        }
        let calls = [own, &abandoned, &slow].map(|policy| policy.snapshot().attempts());
        let [by_own, by_outer, by_slow] = calls;
        let figure = format!("{by_own} by `timeout`, {by_outer} by the caller's, {by_slow} as slow calls");
        Measured::new(calls.iter().all(|calls| *calls <= 20), figure)
    })
}

/// Does something with each event of the guard.
struct Listener<F>(F);

impl<S: tracing::Subscriber, F: Fn() + 'static> tracing_subscriber::Layer<S> for Listener<F> {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "apiguard" {
            (self.0)();
        }
    }
}

fn listen(then: impl Fn() + Send + Sync + 'static) -> tracing::subscriber::DefaultGuard {
    use tracing_subscriber::layer::SubscriberExt;
    tracing::subscriber::set_default(tracing_subscriber::registry().with(Listener(then)))
}

/// Trips, is rejected, is reset. How many of the three went wrong.
async fn trip_and_reset(policy: &Policy) -> usize {
    let tripped = matches!(bad(policy).await, Err(Error::Call { .. }));
    let rejected = is_open(&good(policy).await);
    policy.reset();
    usize::from(!tripped) + usize::from(!rejected) + usize::from(good(policy).await.is_err())
}

fn b09() -> Measured {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(|_| ()));
    paused(async {
        let policy = forever(&with(Breaker::consecutive(1)));
        let (mut harmed, rounds) = (0, scaled(1_000));
        let listening = listen(|| {
            HEARD.fetch_add(1, Relaxed);
            panic!("who listens")
        });
        for _ in 0..rounds {
            harmed += trip_and_reset(policy).await;
        }
        drop(listening);
        let panics = HEARD.load(Relaxed);
        let listening = listen(|| {
            // Everything that takes a lock; an event in an event is not told again.
            let snapshot = policy.snapshot();
            policy.configure(snapshot.settings).unwrap();
            policy.force_closed();
            policy.force_open();
            policy.evict_idle();
            if snapshot.breaker == Some(BreakerState::Closed) {
                policy.reset();
            }
        });
        for _ in 0..rounds {
            let _ = bad(policy).await;
        }
        drop(listening);
        policy.reset();
        harmed += usize::from(good(policy).await.is_err());
        harmed += blocked_by_a_listener(policy, rounds).await;
        Measured::new(harmed == 0 && panics >= 3 * rounds, format!("{harmed} of {}; {panics} panics", 5 * rounds + 1))
    })
}

/// One thread's listener blocks for as long as it takes another one to make its calls.
async fn blocked_by_a_listener(policy: &'static Policy, rounds: usize) -> usize {
    static DONE: AtomicBool = AtomicBool::new(false);
    static BLOCKED: AtomicBool = AtomicBool::new(false);
    let slow = std::thread::spawn(move || {
        let _listening = listen(|| {
            BLOCKED.store(true, Relaxed);
            while !DONE.load(Relaxed) {
                std::thread::yield_now();
            }
        });
        let _ = poll(&mut Box::pin(bad(policy)));
    });
    while !BLOCKED.load(Relaxed) {
        std::thread::yield_now();
    }
    policy.reset();
    let mut harmed = 0;
    for _ in 0..rounds {
        harmed += trip_and_reset(policy).await;
        policy.configure(policy.settings()).unwrap();
    }
    DONE.store(true, Relaxed);
    slow.join().unwrap();
    harmed
}

#[guarded(name = "b11.attribute", breaker = 5)]
async fn returned(url: &str) -> Result<reqwest::Response, Error<reqwest::Error>> {
    reqwest::get(url).await
}

#[guarded(name = "b11.checked", breaker = 5)]
async fn checked(url: &str) -> Result<(), apiguard::reqwest::Error> {
    reqwest::get(url).await?.checked()?;
    Ok(())
}

fn b11() -> Measured {
    paused(async {
        let breaker = with(Breaker::consecutive(5));
        let mut sent = Vec::new();
        for way in 0..5 {
            let server = Server::always(Reply::new(503)).await;
            let url = &server.url;
            let client = apiguard::reqwest::Guard::from_settings("b11", breaker).unwrap();
            let client = apiguard::reqwest::Client::guarded(reqwest::Client::new(), client);
            let stack = apiguard::reqwest_middleware::Guard::from_settings("b11", breaker).unwrap();
            let stack = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(stack).build();
            let executor = hyper_util::rt::TokioExecutor::new();
            let hyper = hyper_util::client::legacy::Client::builder(executor).build_http::<String>();
            let mut layered = GuardLayer::new(forever(&breaker)).layer(hyper);
            let mut refused = 0;
            for _ in 0..20 {
                refused += usize::from(match way {
                    0 => returned(url).await.is_err(),
                    1 => matches!(checked(url).await, Err(error) if error.rejected().is_some()),
                    2 => client.post(url).send().await.is_err(),
                    3 => stack.post(url).send().await.is_err(),
                    _ => {
                        let request = http::Request::get(url).body(String::new()).unwrap();
                        layered.ready().await.unwrap().call(request).await.is_err()
                    }
                });
            }
            sent.push(server.requests());
            assert_eq!(refused, 20 - server.requests(), "all others are rejected");
        }
        Measured::new(sent == [5; 5], format!("{sent:?} requests"))
    })
}

#[guarded(name = "b12", breaker(5, recovery = "1h"), retries(3, base = "10ms"))]
async fn unit(sent: &AtomicUsize) -> Answer<()> {
    sent.fetch_add(1, Relaxed);
    Err(reset())
}

fn b12() -> Measured {
    paused(async {
        let sent = AtomicUsize::new(0);
        for _ in 0..10 {
            let _ = unit(&sent).await;
        }
        let sent = sent.into_inner();
        Measured::new(sent == 5, format!("{sent} for 10 calls"))
    })
}

fn b13() -> Measured {
    paused(async {
        let (mut stuck, mut decided, mut probes) = (0, 0, 0);
        let ignored = [
            Verdict::Permanent,
            Verdict::Throttled { retry_after: None },
            Verdict::Throttled { retry_after: Some(ms(1)) },
        ];
        let windowed = Breaker::failure_rate(0.5).min_calls(1).recovery(secs(1)).recovery_jitter(0.0);
        for breaker in [trips_at_once(), windowed] {
            let policy = policy(&with(breaker.successes(1)));
            let _ = bad(&policy).await;
            advance(secs(2)).await;
            for round in 0..scaled(3_000) {
                probes += 1;
                let verdict = ignored[round % 3];
                let ended = policy.call_with(|_: &io::Result<()>| verdict, async || Ok(())).await;
                stuck += usize::from(ended.is_err());
                decided += usize::from(state(&policy) != BreakerState::HalfOpen);
                advance(ms(1)).await;
            }
            let _ = good(&policy).await;
            stuck += usize::from(state(&policy) != BreakerState::Closed);
        }
        Measured::new(stuck + decided == 0, format!("{stuck} stuck, {decided} decided, of {probes}"))
    })
}

/// Each client makes 5 calls a second for 5 minutes; the service is down for two of them. The breaker has its defaults.
fn b14() -> Measured {
    const CLIENTS: usize = 200;
    paused(async {
        let fleet: Vec<_> = (0..CLIENTS).map(|_| policy(&with(Breaker::consecutive(5)))).collect();
        let mut sent = vec![0_usize; 300];
        for tick in 0..5 * sent.len() {
            let second = tick / 5;
            let down = (60..180).contains(&second);
            for policy in &fleet {
                let request = async || {
                    sent[second] += 1;
                    if down { Err(reset()) } else { Ok(()) }
                };
                let _ = policy.call(request).await;
            }
            advance(ms(200)).await;
        }
        let normal = 5 * CLIENTS;
        let peak = *sent[180..].iter().max().unwrap() as f64 / normal as f64;
        // Without jitter all would probe in one second.
        let probes = *sent[62..180].iter().max().unwrap();
        let back = sent[180..].iter().position(|sent| *sent >= normal * 99 / 100).unwrap_or(usize::MAX);
        let figure = format!("peak {peak:.2} x, at most {probes} probes in 1 s, all back after {back} s");
        Measured::new(peak <= 1.2 && probes <= CLIENTS / 2, figure)
    })
}

apiguard::policy! {
    static RELOADED = (breaker(1, recovery = "1s"), name = "b15");
}

fn b15() -> Measured {
    type Change = fn(&Policy);
    let changes: [Change; 4] = [
        Policy::reset,
        |policy| {
            policy.force_open();
            policy.reset();
        },
        |policy| policy.configure(policy.settings().breaker(Breaker::failure_rate(0.5).min_calls(1))).unwrap(),
        |_| {
            let config = "[policies.b15]\nbreaker = { failures = 2 }".parse::<apiguard::config::Config>().unwrap();
            assert_eq!(registry().apply(config).unwrap().changes().len(), 1);
        },
    ];
    paused(async {
        let (mut counted, flights) = (0, scaled(1_000));
        for change in changes {
            RELOADED.reset();
            let flying: Vec<_> = (0..flights)
                .map(|_| {
                    tokio::spawn(RELOADED.call(async || {
                        sleep(secs(1)).await;
                        Err::<(), _>(reset())
                    }))
                })
                .collect();
            sleep(ms(500)).await;
            assert_eq!(state(&RELOADED), BreakerState::Closed);
            change(&RELOADED);
            for call in flying {
                assert!(matches!(call.await.unwrap(), Err(Error::Call { .. })));
            }
            counted +=
                usize::from(state(&RELOADED) != BreakerState::Closed || RELOADED.snapshot().failures_in_a_row > 0);
            let window = RELOADED.snapshot().window;
            counted += usize::from(window.is_some_and(|window| window.failures > 0));
        }
        // One of them would have opened it.
        let _ = (bad(&RELOADED).await, bad(&RELOADED).await);
        assert!(matches!(good(&RELOADED).await, Err(Error::Rejected(Rejected::CircuitOpen { .. }))));
        Measured::new(counted == 0, format!("{counted} of {}", 4 * flights))
    })
}
