//! `--url`: a handful of guarded GETs of a real address.

use std::error::Error;
use std::time::{Duration, Instant};

use apiguard::http::ResponseExt;
use apiguard::{guarded, registry};
use reqwest::{StatusCode, Url};

use crate::arguments::with_sources;
use crate::timeline::{Timeline, say};

const CALLS: usize = 5;

/// Modest towards whoever is at the other end.
#[guarded(
    name = "quickstart.url",
    rate = "2/s",
    retries(2, base = "300ms", cap = "10s"),
    breaker(failures = 5, recovery = "5s"),
    timeout = "20s",
    attempt_timeout = "5s"
)]
async fn get(client: &reqwest::Client, url: &Url) -> Result<Answer, apiguard::reqwest::Error> {
    tracing::info!(target: "quickstart", "admitted");
    let start = Instant::now();
    let mut response = client.get(url.clone()).send().await?.checked()?;
    let mut bytes = 0;
    // Counted and not kept: nobody knows how long it is.
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len();
    }
    Ok(Answer { status: response.status(), bytes, took: start.elapsed() })
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    bytes: usize,
    /// By the attempt that got it: without waits and retries.
    took: Duration,
}

/// Makes the calls, one after the other, and prints what became of them. Fails when all of them did.
pub(crate) async fn gets(timeline: &Timeline, url: Url) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().user_agent("apiguard-quickstart").build()?;
    // Not the whole address: it may hold a secret.
    let origin = url.origin().ascii_serialization();
    timeline.chapter(&format!("{CALLS} guarded GETs of {origin}"));

    let mut first_error = None;
    let mut succeeded = 0;
    for _ in 0..CALLS {
        match get(&client, &url).await {
            Ok(Answer { status, bytes, took }) => {
                succeeded += 1;
                let took_ms = took.as_millis() as u64;
                tracing::info!(target: "quickstart", answer = format!("{status}, {bytes} bytes in "), took_ms, "ok");
            }
            Err(error) => {
                // A rejection has been reported by the guard.
                if error.rejected().is_none() {
                    tracing::info!(target: "quickstart", error = with_sources(&error), "failed");
                }
                first_error.get_or_insert(error);
            }
        }
        timeline.flush();
    }

    say(format_args!("\n{succeeded} of {CALLS} calls succeeded. What the policy has counted:"));
    if let Some(policy) = registry().get("quickstart.url") {
        say(policy.snapshot());
    }
    match first_error {
        Some(error) if succeeded == 0 => Err(format!("no call to {origin} succeeded: {}", with_sources(&error)).into()),
        _ => Ok(()),
    }
}
