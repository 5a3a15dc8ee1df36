//! Faults of retries, their budget and their deadlines.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use apiguard::http::ResponseExt;
use apiguard::reqwest::{Client, Guard};
use apiguard::tower::GuardLayer;
use apiguard::{
    Backoff, Breaker, BreakerState, Budget, Classify, Concurrency, Error, Jitter, Policy, Rate, Rejected, Retry,
    Settings, Statuses, Verdict, guarded,
};
use axum::http::StatusCode;
use reqwest::{Body, Method};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};

use crate::support::hostile::RETRY_AFTER;
use crate::support::raw::Raw;
use crate::support::{Answer as Reply, Server};
use crate::tools::{Answer, Case, Dice, Measured, forever, good, ms, paused, policy, reset, scaled, secs};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "R01",
        what: "0 to 10 retries, all fail",
        bound: "n pauses, n + 1 attempts; 0 ms after the last",
        run: r01,
    },
    Case { id: "R02", what: "the first delays from a base of 1 s", bound: "1, 2, 4 s: deviation 0", run: r02 },
    Case {
        id: "R03",
        what: "delays without end, factor 1 to 10^6, every jitter",
        bound: "0 panics; longest / cap <= 1.00",
        run: r03,
    },
    Case {
        id: "R04",
        what: "a server asks for 5 s: seconds, dates, limits; on 301, 413, 429, 503",
        bound: "0 early attempts",
        run: r04,
    },
    Case {
        id: "R05",
        what: "hostile Retry-After on 429 and 503, real HTTP",
        bound: "0 panics, 0 waits over the cap, 0 hammering; 0 waits that cannot fit a timeout",
        run: r05,
    },
    Case { id: "R06", what: "1 000 calls in a total outage, defaults", bound: "at most 1.1 requests a call", run: r06 },
    Case {
        id: "R07",
        what: "three guards in one another: directly, through tasks, over HTTP",
        bound: "at most 1.5 requests a call",
        run: r07,
    },
    Case {
        id: "R08",
        what: "POST and PATCH without a key: 503, reset after sending, timeout after sending",
        bound: "0 duplicates",
        run: r08,
    },
    Case { id: "R09", what: "15 s in all, attempts of 10 s", bound: "over by at most 1 ms", run: r09 },
    Case {
        id: "R10",
        what: "the server's clock is an hour off, either way; Retry-After as a date",
        bound: "0 ms of difference",
        run: r10,
    },
    Case { id: "R12", what: "the verdict always names a wait; 3 retries", bound: "4 attempts", run: r12 },
    Case { id: "R13", what: "1 token a minute, 3 retries", bound: "1.00 requests a token", run: r13 },
    Case { id: "R14", what: "one in flight, a call pauses for 60 s", bound: "another waits 0 ms", run: r14 },
    Case { id: "R15", what: "hedges: the loser is dropped", bound: "0 places kept, 0 failures counted", run: r15 },
    Case {
        id: "R16",
        what: "10 000 retries; 10 000 levels of recursion; streams, borrows, no `Send`",
        bound: "all work; the stack of 10 000 retries is that of one",
        run: r16,
    },
    Case {
        id: "R17",
        what: "the runtime ends while 1 000 calls pause, and while others wait",
        bound: "0 stuck, 0 places kept",
        run: r17,
    },
];

fn exact(max: u32) -> Retry {
    Retry::new(max).jitter(Jitter::None).budget(Budget::Off)
}

fn with(retries: Retry) -> Settings {
    Settings::new().retries(retries)
}

/// When each attempt of a call that always fails began, in ms, and when the call ended.
async fn attempts(policy: &Policy) -> (Vec<u128>, u128) {
    let (start, mut times) = (Instant::now(), Vec::new());
    let failing = async || {
        times.push(start.elapsed().as_millis());
        Err::<(), _>(reset())
    };
    policy.call(failing).await.unwrap_err();
    (times, start.elapsed().as_millis())
}

fn r01() -> Measured {
    paused(async {
        let (mut wrong, mut slept) = (0, 0);
        for retries in 0..=10 {
            let (times, end) = attempts(&policy(&with(exact(retries)))).await;
            wrong += usize::from(times.len() != retries as usize + 1);
            slept += end - times.last().unwrap();
        }
        let server = Server::always(Reply::new(503)).await;
        let client = Client::guarded(reqwest::Client::new(), Guard::from_settings("r01", with(exact(3))).unwrap());
        let start = Instant::now();
        client.get(&server.url).send().await.unwrap();
        wrong += usize::from(server.requests() != 4);
        // 1, 2 and 4 s.
        slept += start.elapsed().as_millis() - 7_000;
        Measured::new(wrong == 0 && slept <= 10, format!("{wrong} wrong counts; {slept} ms in 12 calls"))
    })
}

fn r02() -> Measured {
    paused(async {
        let (times, _) = attempts(&policy(&with(exact(3)))).await;
        // Timers end on whole milliseconds.
        let real = times.windows(2).zip([1_000, 2_000, 4_000]).map(|(pair, ideal)| (pair[1] - pair[0]).abs_diff(ideal));
        let real = real.max().unwrap();
        let made: Vec<_> = Backoff::new(Retry::new(3).jitter(Jitter::None)).unwrap().collect();
        let holds = real <= 2 && made == [secs(1), secs(2), secs(4)];
        Measured::new(holds, format!("{made:?}; a timer of {real} ms"))
    })
}

fn r03() -> Measured {
    let mut dice = Dice::new(3);
    let (mut longest, mut delays, each) = (0.0_f64, 0, scaled(40_000));
    for factor in [1.0, 1.000_001, 1.5, 2.0, 1_000.0, 1_000_000.0] {
        for jitter in [
            Jitter::None,
            Jitter::Full,
            Jitter::Equal,
            Jitter::Decorrelated,
            Jitter::proportional(0.5),
            Jitter::proportional(1.0),
        ] {
            for cap in [secs(60), secs(365 * 86_400)] {
                let retry = Retry::new(u32::MAX).base(ms(1 + dice.below(60_000) as u64)).cap(cap);
                let backoff =
                    Backoff::new(retry.factor(factor).jitter(jitter)).unwrap().seeded(dice.below(1 << 40) as u64);
                for delay in backoff.take(each) {
                    longest = longest.max(delay.as_secs_f64() / cap.as_secs_f64());
                    delays += 1;
                }
            }
        }
    }
    Measured::new(longest <= 1.0, format!("{longest:.2} in {delays} delays"))
}

fn date(offset: i64) -> String {
    let (now, apart) = (SystemTime::now(), secs(offset.unsigned_abs()));
    httpdate::fmt_http_date(if offset < 0 { now - apart } else { now + apart })
}

/// How long a policy's call waits between the two requests that it makes, by error (`checked`) and by response.
async fn waits(answer: &Reply) -> Vec<Duration> {
    let statuses = Statuses::RETRIED.with(301).with(413);
    let policy = policy(&with(exact(1).statuses(statuses)));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut waits = Vec::new();
    for checked in [true, false] {
        let server = Server::scripted([answer.clone()], Reply::new(200)).await;
        let send = || client.get(&server.url).send();
        if checked {
            let call = async || Ok::<_, apiguard::reqwest::Error>(send().await?.checked()?.status());
            // A redirect passes the check: it has to be returned to be judged.
            if policy.call(call).await.unwrap() == 301 {
                continue;
            }
        } else {
            let judge = |outcome: &reqwest::Result<reqwest::Response>| {
                let response = outcome.as_ref().unwrap();
                Verdict::of_status(response.status().as_u16(), response.retry_after(), &statuses)
            };
            policy.call_with(judge, async || send().await).await.unwrap();
        }
        let arrivals = server.arrivals();
        waits.push(arrivals[1] - arrivals[0]);
    }
    waits
}

fn r04() -> Measured {
    paused(async {
        let answers = [
            Reply::new(429).header("retry-after", "5"),
            Reply::new(503).header("retry-after", "5"),
            Reply::new(503).header("retry-after-ms", "5000"),
            Reply::new(429).header("ratelimit", "\"default\";r=0;t=5"),
            Reply::new(503).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "5"),
            Reply::new(301).header("retry-after", "5"),
            Reply::new(413).header("retry-after", "5"),
            Reply::new(503).header("date", date(0)).header("retry-after", date(5)),
        ];
        let (mut early, mut late, mut of) = (0, Duration::ZERO, 0);
        for answer in &answers {
            for waited in waits(answer).await {
                of += 1;
                // A timer of tokio's may end within its last millisecond.
                early += usize::from(waited < ms(4_999));
                late = late.max(waited);
            }
        }
        let figure = format!("{early} of {of}; the latest after {:.3} s", late.as_secs_f64());
        Measured::new(early == 0 && late <= ms(5_100), figure)
    })
}

fn r10() -> Measured {
    paused(async {
        let mut all = Vec::new();
        for clock in [-3_600, 0, 3_600] {
            let answer = Reply::new(503).header("date", date(clock)).header("retry-after", date(clock + 5));
            all.extend(waits(&answer).await.iter().map(Duration::as_millis));
        }
        let difference = all.iter().max().unwrap() - all.iter().min().unwrap();
        // Two of the dates may have been made in different seconds of the wall clock's.
        Measured::new(difference <= 5, format!("{difference} ms"))
    })
}

fn r05() -> Measured {
    paused(async {
        let base = ms(100);
        let (mut tried, mut over, mut hammering, mut begun) = (0, 0, 0, 0);
        let long = "9".repeat(100_000);
        for status in [429, 503] {
            for value in RETRY_AFTER.iter().copied().chain([long.as_bytes()]) {
                let answers = [
                    Reply::new(status).header("retry-after", value),
                    Reply::new(status).header("retry-after", value).header("retry-after", "x"),
                    Reply::new(status).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", value),
                    Reply::new(status).header("retry-after-ms", value),
                ];
                for answer in answers {
                    tried += 1;
                    let server = Server::always(answer).await;
                    let guard = Guard::from_settings("r05", with(exact(3).base(base))).unwrap();
                    let client = Client::guarded(reqwest::Client::new(), guard);
                    let start = Instant::now();
                    assert_eq!(client.get(&server.url).send().await.unwrap().status(), status);
                    // Three pauses of a minute at most.
                    over += usize::from(start.elapsed() > secs(181));
                    hammering += usize::from(server.most_in(ms(99)) > 1);
                    let settings = with(exact(3).base(base)).timeout(secs(10));
                    let client =
                        Client::guarded(reqwest::Client::new(), Guard::from_settings("r05", settings).unwrap());
                    let start = Instant::now();
                    let _ = client.get(&server.url).send().await;
                    // The attempts take no time: what is left of it at the end was waited for in vain.
                    begun += usize::from(start.elapsed() > ms(10_001));
                }
            }
        }
        let figure = format!("{over} over, {hammering} hammering, {begun} in vain of {tried} values");
        Measured::new(over + hammering + begun == 0, figure)
    })
}

// ---- how much is sent

#[guarded(name = "r06", retries = 3)]
async fn dead(sent: &AtomicUsize) -> Answer<()> {
    sent.fetch_add(1, Relaxed);
    Err(reset())
}

/// Requests for each of a thousand calls, all at once and one after another.
fn a_call(sent: usize, calls: usize) -> f64 {
    sent as f64 / calls as f64
}

fn r06() -> Measured {
    paused(async {
        let sent = AtomicUsize::new(0);
        for _ in 0..1_000 {
            let _ = dead(&sent).await;
        }
        let by_attribute = a_call(sent.into_inner(), 1_000);
        let server = Server::always(Reply::new(503)).await;
        let guard = Guard::from_settings("r06", with(Retry::new(3))).unwrap();
        let client = Client::guarded(reqwest::Client::new(), guard);
        let calls: Vec<_> = (0..1_000)
            .map(|_| {
                let (client, url) = (client.clone(), server.url.clone());
                tokio::spawn(async move { client.get(url).send().await.unwrap().status() })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let by_client = a_call(server.requests(), 1_000);
        let figure = format!("{by_attribute:.2} by the attribute, {by_client:.2} by the client");
        Measured::new(by_attribute <= 1.1 && by_client <= 1.1, figure)
    })
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

static SENT: AtomicUsize = AtomicUsize::new(0);

#[guarded(name = "r07.inner", retries(3, base = "1ms", cap = "1ms"))]
async fn inner() -> Result<(), Boxed> {
    SENT.fetch_add(1, Relaxed);
    Err(reset().into())
}

#[guarded(name = "r07.middle", retries(3, base = "1ms", cap = "1ms"))]
async fn middle(spawned: bool) -> Result<(), Boxed> {
    if spawned { tokio::spawn(inner()).await? } else { inner().await }
}

#[guarded(name = "r07.outer", retries(3, base = "1ms", cap = "1ms"))]
async fn outer(spawned: bool) -> Result<(), Boxed> {
    if spawned { tokio::spawn(middle(true)).await? } else { middle(false).await }
}

/// A server that passes each request on through a guarded client, and the status back.
async fn hop(next: String, client: Client) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move || {
        let (next, client) = (next.clone(), client.clone());
        async move {
            let answer = client.get(next).send().await;
            answer.map_or(StatusCode::SERVICE_UNAVAILABLE, |answer| answer.status())
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn r07() -> Measured {
    paused(async {
        let calls = 1_000;
        let mut figures = Vec::new();
        for spawned in [false, true] {
            // The budgets are whole again.
            tokio::time::advance(secs(3_600)).await;
            SENT.store(0, Relaxed);
            for _ in 0..calls {
                outer(spawned).await.unwrap_err();
            }
            figures.push(a_call(SENT.load(Relaxed), calls));
        }
        let client = || {
            let retries = Retry::new(3).base(ms(1)).cap(ms(2));
            Client::guarded(reqwest::Client::new(), Guard::from_settings("r07", with(retries)).unwrap())
        };
        let server = Server::always(Reply::new(503)).await;
        let second = hop(server.url.clone(), client()).await;
        let first = hop(second, client()).await;
        let edge = client();
        for _ in 0..calls {
            edge.get(&first).send().await.unwrap();
        }
        figures.push(a_call(server.requests(), calls));
        let figure =
            format!("{:.2} directly, {:.2} through tasks, {:.2} over HTTP", figures[0], figures[1], figures[2]);
        Measured::new(figures.iter().all(|figure| *figure <= 1.5), figure)
    })
}

fn r08() -> Measured {
    paused(async {
        let settings = with(exact(3).base(ms(10))).attempt_timeout(secs(1));
        let (mut duplicates, mut sent) = (0, 0);
        for method in [Method::POST, Method::PATCH] {
            let busy = Server::always(Reply::new(503)).await;
            let slow = Server::always(Reply::new(200).after(secs(5))).await;
            let broken = Raw::scripted([], b"").await;
            let urls = [&busy.url, &slow.url, &broken.url];
            for url in urls {
                for follows in [true, false] {
                    let guard = Guard::from_settings("r08", settings).unwrap();
                    let guard = if follows { guard } else { guard.follows_no_redirects() };
                    let client = Client::guarded(reqwest::Client::new(), guard);
                    let _ = client.request(method.clone(), url).body("tea").send().await;
                }
                let stack = apiguard::reqwest_middleware::Guard::from_settings("r08", settings).unwrap();
                let stack = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(stack).build();
                let _ = stack.request(method.clone(), url).body("tea").send().await;
                let executor = hyper_util::rt::TokioExecutor::new();
                let hyper = hyper_util::client::legacy::Client::builder(executor).build_http::<String>();
                let layered = GuardLayer::new(forever(&settings)).retrying().layer(hyper);
                let request = http::Request::builder().method(method.clone()).uri(url).body("tea".to_owned()).unwrap();
                let _ = layered.oneshot(request).await;
            }
            let arrived = busy.requests() + slow.requests() + broken.seen().len();
            sent += arrived;
            duplicates += arrived - 3 * 4;
        }
        Measured::new(duplicates == 0, format!("{duplicates} of {sent} requests"))
    })
}

#[guarded(name = "r09", timeout = "15s", attempt_timeout = "10s", retries(5, base = "1s"))]
async fn slow() -> Answer<()> {
    std::future::pending().await
}

fn r09() -> Measured {
    paused(async {
        let start = Instant::now();
        let ended = slow().await;
        let over = start.elapsed().saturating_sub(secs(15));
        let timed_out = matches!(ended, Err(Error::Rejected(Rejected::TimedOut { .. })));
        Measured::new(timed_out && over <= ms(1), format!("{} ms", over.as_millis()))
    })
}

fn asks(_: &io::Result<()>) -> Verdict {
    Verdict::Transient { retry_after: Some(secs(5)) }
}

#[guarded(name = "r12", retries(3, budget = "off"), classify = asks)]
async fn always_asks(attempts: &mut u32) -> Answer<()> {
    *attempts += 1;
    Err(reset())
}

fn r12() -> Measured {
    paused(async {
        let mut attempts = 0;
        let _ = timeout(secs(86_400), always_asks(&mut attempts)).await;
        Measured::new(attempts == 4, format!("{attempts} in a day"))
    })
}

fn r13() -> Measured {
    paused(async {
        let rate = Rate::per_minute(1).max_wait(secs(3_600));
        let policy = policy(&with(exact(3).base(ms(1))).rate(rate));
        let (times, _) = attempts(&policy).await;
        let tokens = 1 + times.last().unwrap() / 59_998;
        let a_token = times.len() as f64 / tokens as f64;
        Measured::new(times.len() == 4 && a_token <= 1.0, format!("{a_token:.2}"))
    })
}

fn r14() -> Measured {
    paused(async {
        let policy = policy(&with(exact(1).base(secs(60))).concurrency(Concurrency::new(1)));
        let beside = async {
            sleep(secs(1)).await;
            let start = Instant::now();
            good(&policy).await.unwrap();
            start.elapsed().as_millis()
        };
        let ((times, _), waited) = tokio::join!(attempts(&policy), beside);
        Measured::new(waited == 0 && times == [0, 60_000], format!("{waited} ms"))
    })
}

fn r15() -> Measured {
    paused(async {
        let settings = with(exact(2)).concurrency(Concurrency::new(2)).breaker(Breaker::consecutive(1));
        let policy = policy(&settings);
        let attempt = async |takes| {
            let work = async || {
                sleep(takes).await;
                Ok::<_, io::Error>(())
            };
            policy.call(work).await.unwrap();
        };
        let hedges = scaled(5_000) as u64;
        for _ in 0..hedges {
            let second = async {
                sleep(ms(100)).await;
                attempt(ms(50)).await;
            };
            tokio::select! { () = attempt(secs(3)) => {} () = second => {} }
        }
        let snapshot = policy.snapshot();
        let (kept, failures) = (snapshot.in_flight.unwrap(), snapshot.outcomes.failures);
        let losers = snapshot.outcomes.abandoned;
        let holds = kept == 0 && failures == 0 && losers == hedges && snapshot.breaker == Some(BreakerState::Closed);
        Measured::new(holds, format!("{kept} places, {failures} failures of {losers}"))
    })
}

// ---- shapes and ends

/// Where the stack is; the lower the deeper.
#[inline(never)]
fn here() -> usize {
    let on_the_stack = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&on_the_stack)).addr()
}

#[guarded(name = "r16.deep", rate("1000000/s", burst = 1_000_000), retries = 1)]
async fn deep(levels: u32, deepest: &mut usize) -> Answer<u32> {
    *deepest = here();
    if levels == 0 { Ok(0) } else { Ok(1 + Box::pin(deep(levels - 1, deepest)).await.map_err(io::Error::other)?) }
}

#[guarded(name = "r16.rc", retries(2, base = "1ms"))]
async fn not_send(shared: Rc<str>, borrowed: &str) -> Answer<usize> {
    let kept = shared.clone();
    tokio::task::yield_now().await;
    if apiguard::attempt() < 2 { Err(reset()) } else { Ok(kept.len() + borrowed.len()) }
}

fn r16() -> Measured {
    const LEVELS: u32 = 10_000;
    // As much address space as it takes: only what is used is memory.
    let recursion = std::thread::Builder::new().stack_size(1 << 30).spawn(|| {
        paused(async {
            let (top, mut deepest) = (here(), 0);
            let levels = deep(LEVELS, &mut deepest).await.unwrap_or(0);
            (levels, (top - deepest) / LEVELS as usize)
        })
    });
    let (levels, bytes) = recursion.unwrap().join().unwrap();
    paused(async {
        let retries = Retry::new(u32::MAX).base(ms(1)).cap(ms(1)).budget(Budget::Off);
        let policy = policy(&with(retries));
        let (mut least, mut most, mut attempts) = (usize::MAX, 0, 0);
        let failing = async || {
            (least, most) = (least.min(here()), most.max(here()));
            attempts += 1;
            if attempts < 10_000 { Err(reset()) } else { Ok(()) }
        };
        policy.call(failing).await.unwrap();
        let shapes = not_send("four".into(), "five5").await.unwrap();
        let server = Server::always(Reply::new(503)).await;
        let guard = Guard::from_settings("r16", with(exact(3))).unwrap();
        let client = Client::guarded(reqwest::Client::new(), guard);
        let streamed = client.put(&server.url).body(Body::wrap(Body::from("tea"))).send().await.unwrap().status();
        let holds = levels == LEVELS && attempts == 10_000 && most == least && shapes == 9 && streamed == 503;
        let figure = format!(
            "{levels} levels of {bytes} B (not optimized); {attempts} attempts in {} B more; a stream is sent {} x",
            most - least,
            server.requests()
        );
        Measured::new(holds && server.requests() == 1, figure)
    })
}

fn r17() -> Measured {
    let calls = scaled(1_000);
    let pauses = policy(&with(exact(3).base(secs(60))).concurrency(Concurrency::new(1_000_000)));
    let waits = policy(&Settings::new().rate(Rate::per_hour(1).max_wait(secs(86_400))));
    let runs = policy(&Settings::new().concurrency(Concurrency::new(1_000_000)));
    for workers in [1, 2] {
        // The clock of production: it is about a runtime that ends, and nothing waits for a time.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(workers).enable_all().build().unwrap();
        for _ in 0..calls {
            let policies: [Arc<Policy>; 3] = [pauses.clone(), waits.clone(), runs.clone()];
            runtime.spawn(async move {
                let [pauses, waits, runs] = policies;
                tokio::join!(crate::tools::bad(&pauses), crate::tools::good(&waits), crate::tools::hang(&runs))
            });
        }
        while (pauses.snapshot().attempts() as usize) < calls {
            std::thread::yield_now();
        }
        drop(runtime);
    }
    let places = |policy: &Policy| policy.snapshot().waiting + policy.snapshot().in_flight.unwrap_or(0) as usize;
    let kept = places(&pauses) + places(&waits) + places(&runs);
    Measured::new(kept == 0, format!("0 stuck, {kept} places kept of {}", 6 * calls))
}
