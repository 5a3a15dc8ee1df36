//! Faults that retry loops in the field have, each with the figure that ours must have. The numbers are those of the project's list of
//! faults; R03 is beside the code (`backoff`), R05 in `http`, R06 and R07 in `budget`, R16 in `shapes`.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::{
    Breaker, BreakerState, Budget, Classify, Concurrency, Error, Jitter, Policy, Rate, Rejected, Retry, Settings,
    Statuses, Verdict,
};
use support::{Answer, Server};
use tokio::time::Instant;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn exact(max: u32) -> Retry {
    Retry::new(max).jitter(Jitter::None).budget(Budget::Off)
}

fn policy(settings: &Settings) -> Arc<Policy> {
    Arc::new(Policy::builder("faults").settings(*settings).build().unwrap())
}

/// When each attempt of a call that always fails began, and when the call ended.
async fn attempts(policy: &Policy) -> (Vec<u128>, u128) {
    let (start, mut times) = (Instant::now(), Vec::new());
    let failing = async || {
        times.push(start.elapsed().as_millis());
        Err::<(), _>(reset())
    };
    policy.call(failing).await.unwrap_err();
    (times, start.elapsed().as_millis())
}

/// R01: n retries are n pauses and n + 1 attempts: nothing is slept after the last. R02: 1, 2, 4 s from a base of 1 s.
#[tokio::test(start_paused = true)]
async fn r01_r02_no_pause_after_the_last_attempt_and_delays_as_documented() {
    for retries in 0..8 {
        let (times, end) = attempts(&policy(&Settings::new().retries(exact(retries)))).await;
        let expected: Vec<u128> = (0..=retries).map(|n| 1_000 * ((1 << n) - 1).min(60_000)).collect();
        let is_exact = |(time, expected): (&u128, u128)| (expected..=expected + 70).contains(time);
        // The delay after 32 s is the cap.
        assert!(times.iter().zip(expected.into_iter().take(7)).all(is_exact), "{retries}: {times:?}");
        assert_eq!((times.len(), end), (retries as usize + 1, *times.last().unwrap()));
    }
}

/// R04: nothing is sent before the server allows it, whatever the form, the status and the type that the body returns. R10: nor does it
/// matter what the clock on the wall says: dates are compared with the server's own.
#[tokio::test(start_paused = true)]
async fn r04_r10_no_attempt_before_the_server_allows_it_by_whatever_clock() {
    let date = |offset: i64| {
        let now = std::time::SystemTime::now();
        let apart = secs(offset.unsigned_abs());
        httpdate::fmt_http_date(if offset < 0 { now - apart } else { now + apart })
    };
    let mut cases = vec![
        Answer::new(429).header("retry-after", "5"),
        Answer::new(503).header("retry-after", "5"),
        Answer::new(503).header("retry-after-ms", "5000"),
        Answer::new(429).header("ratelimit", "\"default\";r=0;t=5"),
        Answer::new(503).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "5"),
        Answer::new(301).header("retry-after", "5"),
        Answer::new(413).header("retry-after", "5"),
    ];
    for clock in [-3_600, 0, 3_600] {
        cases.push(Answer::new(503).header("date", date(clock)).header("retry-after", date(clock + 5)));
    }
    let statuses = Statuses::RETRIED.with(301).with(413);
    let policy = policy(&Settings::new().retries(exact(1).statuses(statuses)));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (index, answer) in cases.into_iter().enumerate() {
        for checked in [true, false] {
            let server = Server::scripted([answer.clone()], Answer::new(200)).await;
            let send = || client.get(&server.url).send();
            let status = if checked {
                let call = async || Ok::<_, apiguard::reqwest::Error>(send().await?.checked()?.status());
                // A redirect passes the check: it has to be returned to be judged.
                match policy.call(call).await {
                    Ok(status) if status == 301 => continue,
                    ended => ended.unwrap(),
                }
            } else {
                let judge = |outcome: &reqwest::Result<reqwest::Response>| {
                    let response = outcome.as_ref().unwrap();
                    Verdict::of_status(response.status().as_u16(), response.retry_after(), &statuses)
                };
                policy.call_with(judge, async || send().await).await.unwrap().status()
            };
            assert_eq!(status, 200, "case {index}");
            let arrivals = server.arrivals();
            let waited = arrivals[1] - arrivals[0];
            assert!((ms(4_999)..ms(5_100)).contains(&waited), "case {index}: {waited:?}");
        }
    }
}

/// R15: a hedge: two calls race, the loser is dropped. Its place is free, and it is no failure.
#[tokio::test(start_paused = true)]
async fn r15_the_loser_of_a_hedge_leaves_nothing_behind() {
    let settings = Settings::new().concurrency(Concurrency::new(2)).breaker(Breaker::consecutive(1)).retries(exact(2));
    let policy = policy(&settings);
    let attempt = |takes| {
        let policy = policy.clone();
        async move {
            policy
                .call(async || {
                    tokio::time::sleep(takes).await;
                    Ok::<_, io::Error>(takes)
                })
                .await
        }
    };
    for _ in 0..1_000 {
        let first = attempt(secs(3));
        let second = async {
            tokio::time::sleep(ms(100)).await;
            attempt(ms(50)).await
        };
        let won = tokio::select! { won = first => won, won = second => won };
        assert_eq!(won.unwrap(), ms(50));
    }
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.breaker), (Some(0), Some(BreakerState::Closed)));
    assert_eq!(
        (snapshot.outcomes.successes, snapshot.outcomes.abandoned, snapshot.outcomes.failures),
        (1_000, 1_000, 0)
    );
}

/// R09: a call of 15 s with attempts of 10 s ends by then.
#[tokio::test(start_paused = true)]
async fn r09_the_whole_call_ends_by_its_timeout() {
    let policy = policy(&Settings::new().timeout(secs(15)).attempt_timeout(secs(10)).retries(exact(5)));
    let start = Instant::now();
    let ended = policy.call(async || std::future::pending::<io::Result<()>>().await).await.unwrap_err();
    assert!(start.elapsed() <= ms(15_001), "{:?}", start.elapsed());
    assert!(matches!(ended, Error::Rejected(Rejected::TimedOut { .. })), "{ended}");
    assert_eq!(policy.snapshot().attempts(), 2);
}

/// R12: a server that always names a time does not make a call that never ends.
#[tokio::test(start_paused = true)]
async fn r12_a_server_s_waits_do_not_add_attempts() {
    let policy = policy(&Settings::new().retries(exact(3)));
    let mut attempts = 0;
    let asks = |_: &io::Result<()>| Verdict::Transient { retry_after: Some(secs(5)) };
    let failing = async || {
        attempts += 1;
        Err(reset())
    };
    policy.call_with(asks, failing).await.unwrap_err();
    assert_eq!(attempts, 4);
}

/// R13: every attempt pays its token: one request per token.
#[tokio::test(start_paused = true)]
async fn r13_retries_pay_the_rate() {
    let settings = Settings::new().rate(Rate::per_minute(1).max_wait(secs(3_600))).retries(exact(3).base(ms(1)));
    let (times, _) = attempts(&policy(&settings)).await;
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 59_998), "{times:?}");
}

/// R14: a call that pauses holds no place: another one goes at once.
#[tokio::test(start_paused = true)]
async fn r14_a_pause_is_not_in_flight() {
    let settings = Settings::new().concurrency(Concurrency::new(1)).retries(exact(1).base(secs(60)));
    let policy = policy(&settings);
    let beside = async {
        tokio::time::sleep(secs(1)).await;
        let start = Instant::now();
        policy.call(async || Ok::<_, io::Error>(())).await.unwrap();
        start.elapsed()
    };
    let ((times, _), waited) = tokio::join!(attempts(&policy), beside);
    assert_eq!((waited, times), (Duration::ZERO, vec![0, 60_000]));
}

/// R17: whoever shuts down drops the call in the middle of its pause: it ends at once and leaves nothing.
#[tokio::test(start_paused = true)]
async fn r17_a_call_is_dropped_in_its_pause_at_once() {
    let policy = policy(&Settings::new().concurrency(Concurrency::new(1)).retries(exact(3).base(secs(60))));
    let start = Instant::now();
    let ended = tokio::time::timeout(secs(1), attempts(&policy)).await;
    assert!(ended.is_err() && start.elapsed() <= ms(1_001));
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.waiting, snapshot.outcomes.abandoned), (Some(0), 0, 0));
}
