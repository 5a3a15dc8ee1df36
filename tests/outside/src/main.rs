//! apiguard as a user meets it: three functions, each with another error type, against a real server.
//!
//! Run it: it prints a line for each function and ends with 0, or panics. It takes about two and a half
//! seconds, which are the pauses and the pace that it is about.

#![forbid(unsafe_code)]
#![deny(warnings)]

mod server;

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use apiguard::{Error, Rejected, guarded};

use crate::server::Server;

/// A free function; it returns apiguard's error for reqwest, which knows what the server said of waiting.
#[guarded(retries(3, base = "50ms"), breaker = 5, timeout = "10s")]
async fn throttled(client: &reqwest::Client, url: String) -> Result<String, apiguard::reqwest::Error> {
    use apiguard::http::ResponseExt;

    Ok(client.get(url).send().await?.checked()?.text().await?)
}

struct Shop {
    client: reqwest::Client,
    url: String,
    attempts: u32,
}

impl Shop {
    /// A method that changes its `self`; it keeps reqwest's error as it is.
    #[guarded(retries(2, base = "50ms"), attempt_timeout = "5s")]
    async fn unavailable(&mut self) -> Result<u16, Error<reqwest::Error>> {
        self.attempts += 1;
        let response = self.client.get(&self.url).send().await?.error_for_status()?;
        Ok(response.status().as_u16())
    }
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("not sent")]
    Guard(#[from] Rejected),
    #[error("no answer")]
    Http(#[from] reqwest::Error),
}

/// A generic function; it returns an error of one's own.
#[guarded(rate("10/s", burst = 1))]
async fn paced<U: AsRef<str> + Send>(client: reqwest::Client, url: U) -> Result<usize, ShopError> {
    Ok(client.get(url.as_ref()).send().await?.text().await?.len())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    let server = Server::start().await?;
    let client = reqwest::Client::new();

    let call = tokio::spawn({
        let (client, url) = (client.clone(), server.url("/throttled"));
        async move { throttled(&client, url).await }
    });
    assert_eq!(call.await??, "hello");
    let seen = server.requests("/throttled");
    assert_eq!(seen.len(), 2, "one attempt that got a 429, and one retry");
    assert!(gap(&seen) >= Duration::from_secs(1), "the server said 1 s, and was asked after {:?}", gap(&seen));
    println!("throttled: a 429 with retry-after: 1 was retried after {:?}", gap(&seen));

    let mut shop = Shop { client: client.clone(), url: server.url("/unavailable"), attempts: 0 };
    let call = tokio::spawn(async move { (shop.unavailable().await, shop.attempts) });
    let (status, attempts) = call.await?;
    assert_eq!((status?, attempts), (200, 2));
    let seen = server.requests("/unavailable");
    assert_eq!(seen.len(), 2, "one attempt that got a 503, and one retry");
    assert!(gap(&seen) >= Duration::from_millis(50), "the retry waits for its delay, not {:?}", gap(&seen));
    println!("unavailable: a 503 was retried after {:?}", gap(&seen));

    let calls: Vec<_> = (0..12).map(|_| tokio::spawn(paced(client.clone(), server.url("/paced")))).collect();
    for call in calls {
        assert_eq!(call.await??, 5);
    }
    let seen = server.requests("/paced");
    assert_eq!(seen.len(), 12);
    let most = most_within(&seen, Duration::from_millis(995));
    assert!(most <= 10, "10/s with burst 1, but {most} requests within 995 ms");
    println!("paced: 12 requests in {:?}, at most {most} within 995 ms", seen[11] - seen[0]);
    Ok(())
}

fn gap(seen: &[Instant]) -> Duration {
    seen[1] - seen[0]
}

/// The most requests in any window of this length.
fn most_within(seen: &[Instant], window: Duration) -> usize {
    let from = |start: &Instant| seen.iter().filter(|time| **time >= *start && **time < *start + window).count();
    seen.iter().map(from).max().unwrap_or(0)
}
