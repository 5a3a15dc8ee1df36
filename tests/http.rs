//! A guarded call against a real server: what the server is sent, and when.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

mod support;

use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::{Error, Policy, Rate, Rejected, guarded, registry};
use support::{Answer, Server, ms_since};
use tokio::time::Instant;

type Outcome = Result<u16, apiguard::reqwest::Error>;

async fn get(client: &reqwest::Client, url: &str) -> Outcome {
    Ok(client.get(url).send().await?.checked()?.status().as_u16())
}

#[guarded(name = "http.even", rate = "10/s")]
async fn even(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn ten_a_second_are_all_delivered_and_never_one_more() {
    let server = Server::always(Answer::new(200)).await;
    let client = reqwest::Client::new();
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..25 {
        let (client, url) = (client.clone(), server.url.clone());
        calls.spawn(async move { even(&client, &url).await });
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap(), 200);
    }
    let took = ms_since(start);
    assert!((2_400..=2_402).contains(&took), "{took} ms for 24 intervals of 100 ms");
    assert_eq!(server.requests(), 25);
    let most = server.most_in(Duration::from_millis(995));
    assert!(most <= 10, "{most} in 995 ms");
}

#[guarded(
    name = "http.contract",
    rate("40/s", burst = 8, max_wait = "3s"),
    quota = ["60/2s", quota("300/10s", max_wait = "3s")],
    concurrency(6, max_wait = "3s"),
    retries(2, base = "50ms", budget = "off")
)]
async fn under_contract(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

/// A minute of random load: calls come in bursts and alone, answers take up to 300 ms, one in five is an error, and some callers leave.
#[tokio::test(start_paused = true)]
async fn the_server_sees_no_window_above_the_contract_whatever_the_load() {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |n: u64| {
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        dice.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    };
    let answers: Vec<_> = (0..20_000)
        .map(|_| Answer::new(if below(5) == 0 { 503 } else { 200 }).after(Duration::from_millis(below(300))))
        .collect();
    let server = Server::scripted(answers, Answer::new(200)).await;
    let client = reqwest::Client::new();
    let mut calls = tokio::task::JoinSet::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        for _ in 0..[1, 1, 1, 3, 40][below(5) as usize] {
            let (client, url) = (client.clone(), server.url.clone());
            let leaves_after = (below(4) == 0).then(|| Duration::from_millis(below(1_500)));
            calls.spawn(async move {
                let call = under_contract(&client, &url);
                match leaves_after {
                    // Before the request is sent or while it waits: one that was sent is not taken back by leaving.
                    Some(time) => tokio::time::timeout(time, call).await.ok(),
                    None => Some(call.await),
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(below(400))).await;
    }
    let (mut good, mut left) = (0, 0);
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            Some(Ok(_)) => good += 1,
            Some(Err(_)) => {}
            None => left += 1,
        }
    }
    let most = |window| server.most_in(Duration::from_millis(window));
    assert!(most(2_000) <= 60, "{} in 2 s", most(2_000));
    assert!(most(10_000) <= 300, "{} in 10 s", most(10_000));
    for window in [25, 100, 250, 500, 1_000] {
        let allowed = 8 + 40 * (window as usize + 2) / 1_000;
        assert!(most(window) <= allowed, "{} in {window} ms", most(window));
    }
    // Only callers who leave make the server answer more than six at a time: it does not hear of it.
    assert!(server.most_at_a_time() <= 6 + left, "{} at a time", server.most_at_a_time());
    assert!(good > 500 && left > 50, "{good} good, {left} left");
    let snapshot = registry().get("http.contract").unwrap().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.waiting), (Some(0), 0));
    assert_eq!(snapshot.attempts(), server.requests() as u64);
}

/// Each server has a policy of its own: what one says pauses all calls under a policy.
#[guarded(policy = policy, retries(1, base = "10ms"))]
async fn call(policy: &Policy, client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

async fn server_says(client: &reqwest::Client, url: &str) -> Outcome {
    let policy = Policy::builder("http.server_says").build().unwrap();
    call(&policy, client, url).await
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_not_made_before_the_server_allows_it() {
    for (status, value, least) in [(429, "2", 2_000), (503, "2", 2_000), (429, "0.5", 500), (500, "3", 3_000)] {
        let answer = Answer::new(status).header("retry-after", value);
        let server = Server::scripted([answer], Answer::new(200)).await;
        server_says(&reqwest::Client::new(), &server.url).await.unwrap();
        let arrivals = server.arrivals();
        let waited = (arrivals[1] - arrivals[0]).as_millis();
        assert!((least..=least + least / 2 + 2).contains(&waited), "{waited} ms after {value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_limit_that_has_nothing_left() {
    for (name, value, least) in [
        ("x-ratelimit-reset", "2", 2_000),
        ("x-ratelimit-reset-after", "0.5", 500),
        ("retry-after-ms", "300", 300),
        ("x-ratelimit-limit", "2", 10),
    ] {
        let answer = Answer::new(429).header("x-ratelimit-remaining", "0").header(name, value);
        let server = Server::scripted([answer], Answer::new(200)).await;
        server_says(&reqwest::Client::new(), &server.url).await.unwrap();
        let arrivals = server.arrivals();
        let waited = (arrivals[1] - arrivals[0]).as_millis();
        assert!((least..=least + least / 2 + 2).contains(&waited), "{waited} ms after {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_that_makes_no_sense_is_ignored() {
    let long = "1".repeat(16_000);
    let hostile: [&[u8]; 12] = [
        b"-5",
        b"nan",
        b"inf",
        b"1e400",
        b"1_0",
        b"",
        b";;;",
        b"\xff\xfe",
        "\u{663}".as_bytes(),
        b"18446744073709551616x",
        b"Mon, 32 Foo 2026 00:00:00 GMT",
        long.as_bytes(),
    ];
    for value in hostile {
        let server = Server::scripted([Answer::new(429).header("retry-after", value)], Answer::new(200)).await;
        server_says(&reqwest::Client::new(), &server.url).await.unwrap();
        let arrivals = server.arrivals();
        let waited = (arrivals[1] - arrivals[0]).as_millis();
        assert!(
            (10..=17).contains(&waited),
            "our own delay, not {waited} ms, after {:?}",
            String::from_utf8_lossy(value)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_the_cap_is_not_slept() {
    for value in ["99999999999999999999999", "9223372037", "61", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server = Server::always(Answer::new(429).header("retry-after", value)).await;
        let start = Instant::now();
        let error = server_says(&reqwest::Client::new(), &server.url).await.unwrap_err();
        assert_eq!(ms_since(start), 0, "{value}");
        assert_eq!(error.status().unwrap(), 429);
        assert!(error.retry_after().unwrap() > Duration::from_secs(60));
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn at_once_from_a_server_in_trouble_is_not_taken_literally() {
    let server = Server::scripted([Answer::new(503).header("retry-after", "0")], Answer::new(200)).await;
    server_says(&reqwest::Client::new(), &server.url).await.unwrap();
    let arrivals = server.arrivals();
    assert!(arrivals[1] - arrivals[0] >= Duration::from_millis(10));
}

#[guarded(name = "http.breaker", retries(3, base = "10ms"), breaker(5, recovery = "10s", recovery_jitter = 0))]
async fn broken(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_after_exactly_its_failed_attempts_and_ends_the_running_call() {
    let server = Server::always(Answer::new(503)).await;
    let client = reqwest::Client::new();
    // Four attempts; then one more, which trips it and is not retried.
    assert_eq!(broken(&client, &server.url).await.unwrap_err().status().unwrap(), 503);
    assert_eq!(server.requests(), 4);
    let start = Instant::now();
    assert_eq!(broken(&client, &server.url).await.unwrap_err().status().unwrap(), 503);
    assert_eq!((server.requests(), ms_since(start)), (5, 0));
    let error = broken(&client, &server.url).await.unwrap_err();
    let retry_after = error.rejected().and_then(Rejected::retry_after).unwrap();
    assert!(
        retry_after > Duration::from_millis(9_990) && retry_after <= Duration::from_millis(10_001),
        "{retry_after:?}"
    );
    assert_eq!(server.requests(), 5);
    let snapshot = registry().get("http.breaker").unwrap().snapshot();
    assert_eq!((snapshot.calls, snapshot.attempts(), snapshot.retries), (3, 5, 3));
    assert_eq!(snapshot.rejections.circuit_open, 1);
}

#[guarded(name = "http.last", retries(2, base = "10ms", jitter = "none"))]
async fn always_failing(client: &reqwest::Client, url: &str) -> Result<u16, Error<apiguard::reqwest::Error>> {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_slept_after_the_last_attempt() {
    let server = Server::always(Answer::new(500)).await;
    let start = Instant::now();
    let error = always_failing(&reqwest::Client::new(), &server.url).await.unwrap_err();
    // 10 ms and 20 ms before the two retries; tokio's timers end on the millisecond after.
    assert!((30..=32).contains(&ms_since(start)), "{}", ms_since(start));
    assert!(matches!(error, Error::Call { attempts: 3, .. }), "{error:?}");
    assert_eq!(server.requests(), 3);
}

#[guarded(name = "http.permanent", retries(3, base = "10ms"), breaker = 1)]
async fn permanent(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn what_is_the_callers_fault_is_neither_retried_nor_counted() {
    for status in [400, 401, 404, 422] {
        let server = Server::always(Answer::new(status)).await;
        let error = permanent(&reqwest::Client::new(), &server.url).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(server.requests(), 1);
    }
}

#[guarded(name = "http.statuses", retries(1, base = "10ms", statuses = [404, 500..=501]))]
async fn chosen_statuses(client: &reqwest::Client, url: &str) -> Result<reqwest::Response, apiguard::reqwest::Error> {
    Ok(client.get(url).send().await?)
}

#[tokio::test(start_paused = true)]
async fn the_policy_says_which_statuses_are_retried_also_of_responses_returned_as_they_are() {
    for (status, requests) in [(404, 2), (500, 2), (501, 2), (503, 1), (429, 1), (200, 1)] {
        let server = Server::always(Answer::new(status)).await;
        let response = chosen_statuses(&reqwest::Client::new(), &server.url).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "the response comes back untouched");
        assert_eq!(server.requests(), requests, "{status}");
    }
}

#[guarded(name = "http.deadline", rate("1/10s"), timeout = "2s")]
async fn short_of_time(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_wait_cannot_fit_its_timeout_returns_at_once() {
    let server = Server::always(Answer::new(200)).await;
    let client = reqwest::Client::new();
    short_of_time(&client, &server.url).await.unwrap();
    let start = Instant::now();
    let error = short_of_time(&client, &server.url).await.unwrap_err();
    assert_eq!(ms_since(start), 0);
    let retry_after = error.rejected().and_then(Rejected::retry_after).unwrap();
    assert!(retry_after > Duration::from_millis(9_990), "{retry_after:?}");
    assert_eq!(server.requests(), 1);
}

#[guarded(name = "http.hang", retries(5, base = "100ms", jitter = "none"), attempt_timeout = "1s", timeout = "3s")]
async fn hanging(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_ended_and_the_call_ends_by_its_timeout() {
    let server = Server::always(Answer::new(200).after(Duration::from_secs(3_600))).await;
    let start = Instant::now();
    let error = hanging(&reqwest::Client::new(), &server.url).await.unwrap_err();
    // Attempts of 1 s, pauses of 100 ms and 200 ms; the third has 700 ms left.
    let took = ms_since(start);
    assert!((3_000..=3_003).contains(&took), "{took}");
    assert_eq!(server.requests(), 3);
    let rejected = error.rejected().unwrap();
    assert!(matches!(rejected, Rejected::TimedOut { after, .. } if *after == Duration::from_secs(3)), "{rejected:?}");
    let snapshot = registry().get("http.hang").unwrap().snapshot();
    assert_eq!((snapshot.timed_out, snapshot.outcomes.failures, snapshot.calls), (3, 3, 1));
    assert_eq!((snapshot.rejections.timed_out, snapshot.rejections.total()), (1, 1));
}

#[guarded(name = "http.slow_once", retries(5, base = "100ms", jitter = "none"), attempt_timeout = "1s", timeout = "3s")]
async fn slow_once(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_attempt_is_retried_within_the_timeout() {
    let slow = Answer::new(200).after(Duration::from_secs(3_600));
    let server = Server::scripted([slow], Answer::new(200)).await;
    let start = Instant::now();
    assert_eq!(slow_once(&reqwest::Client::new(), &server.url).await.unwrap(), 200);
    assert!((1_100..=1_103).contains(&ms_since(start)), "{}", ms_since(start));
}

#[guarded(name = "http.refused", retries(1, base = "10ms"))]
async fn nobody_listens(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_is_retried_and_named_without_its_url() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:secret@{}/secret?token=secret", listener.local_addr().unwrap());
    drop(listener);
    let error = nobody_listens(&reqwest::Client::new(), &url).await.unwrap_err();
    assert_eq!(registry().get("http.refused").unwrap().snapshot().attempts(), 2);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[guarded(name = "http.exhausted", rate("100/s", burst = 10), retries(1, jitter = "none"))]
async fn exhausted(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

/// As GitHub answers: no 429, no `Retry-After`.
#[tokio::test(start_paused = true)]
async fn a_failing_answer_whose_limit_has_nothing_left_holds_the_others_back_whatever_its_status() {
    let forbidden = Answer::new(403).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "20");
    let server = Server::scripted([forbidden], Answer::new(200)).await;
    let client = reqwest::Client::new();
    let error = exhausted(&client, &server.url).await.unwrap_err();
    assert_eq!((error.status().unwrap(), server.requests()), (http::StatusCode::FORBIDDEN, 1), "it is not repeated");
    let start = Instant::now();
    exhausted(&client, &server.url).await.unwrap();
    assert!((20_000..=20_003).contains(&ms_since(start)), "{}", ms_since(start));
}

/// As GitHub answers to what comes too fast: its `Retry-After` says for how long, and goes before the reset.
#[tokio::test(start_paused = true)]
async fn a_retry_after_beside_an_exhausted_limit_holds_the_others_back_whatever_its_status() {
    let forbidden = Answer::new(403).header("retry-after", "3").header("x-ratelimit-remaining", "0");
    let server = Server::scripted([forbidden.header("x-ratelimit-reset", "20")], Answer::new(200)).await;
    let client = reqwest::Client::new();
    let policy = Policy::builder("too fast").rate(Rate::per_second(100).burst(10)).build().unwrap();
    call(&policy, &client, &server.url).await.unwrap_err();
    let start = Instant::now();
    call(&policy, &client, &server.url).await.unwrap();
    assert!((3_000..=3_003).contains(&ms_since(start)), "{}", ms_since(start));
}

#[guarded(name = "http.left_out", rate("1000/s", burst = 10), retries(1, statuses = [500..=504]))]
async fn left_out(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

#[tokio::test(start_paused = true)]
async fn a_429_that_is_not_to_be_repeated_holds_back_the_calls_after_it_all_the_same() {
    let server = Server::scripted([Answer::new(429).header("retry-after", "5")], Answer::new(200)).await;
    let client = reqwest::Client::new();
    let start = Instant::now();
    let error = left_out(&client, &server.url).await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), server.requests(), ms_since(start)), (429, 1, 0));
    assert_eq!(left_out(&client, &server.url).await.unwrap(), 200);
    assert!((5_000..=5_002).contains(&ms_since(start)), "{} ms", ms_since(start));
}

#[guarded(name = "http.forbidden", rate("1000/s", burst = 10), retries = 1)]
async fn forbidden(client: &reqwest::Client, url: &str) -> Outcome {
    get(client, url).await
}

/// As GitHub's secondary limits answer; a plain 403 says nothing of when.
#[tokio::test(start_paused = true)]
async fn a_403_that_says_how_long_to_wait_holds_back_the_calls_after_it() {
    let answers = [Answer::new(403), Answer::new(403).header("retry-after", "60")];
    let server = Server::scripted(answers, Answer::new(200)).await;
    let client = reqwest::Client::new();
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(forbidden(&client, &server.url).await.unwrap_err().status().unwrap().as_u16(), 403);
    }
    assert_eq!((server.requests(), ms_since(start)), (2, 0));
    let rejected = forbidden(&client, &server.url).await.unwrap_err();
    assert!(matches!(rejected.rejected(), Some(Rejected::RateLimited { .. })), "a minute is longer than it may wait");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(forbidden(&client, &server.url).await.unwrap(), 200);
}
