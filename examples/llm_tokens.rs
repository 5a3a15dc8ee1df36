//! A limit in tokens: each request takes what it is estimated to cost and settles what it has cost, and the server's
//! headers say when its own account is empty.
//!
//! ```text
//! cargo run --example llm_tokens
//! ```

use std::error::Error as StdError;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use apiguard::http::ResponseExt;
use apiguard::{guarded, observe, registry};
use axum::http::{HeaderMap, HeaderValue};

/// What the vendor counts: here a token for each letter of the prompt, and as many again for each of the answer.
fn estimate(prompt: &str) -> u32 {
    2 * u32::try_from(prompt.len()).unwrap_or(u32::MAX)
}

type Answer = Result<u32, apiguard::reqwest::Error>;

/// What it has used in truth: nothing where the vendor says no number, since it has failed.
fn used(answer: &Answer) -> u32 {
    answer.as_ref().copied().unwrap_or(0)
}

/// 600 tokens a second, 300 at once. A prompt that costs more than 300 is rejected before it is sent.
#[guarded(name = "llm", rate("600/s", burst = 300), retries(2, base = "100ms"), cost = estimate(prompt), settle = used)]
async fn complete(client: &reqwest::Client, url: &str, prompt: &str) -> Answer {
    let response = client.post(url).body(prompt.to_owned()).send().await?.checked()?;
    observe(&response); // `X-RateLimit-Remaining-Tokens: 0` pauses the policy until the reset
    let tokens = response.headers().get("x-tokens-used").and_then(|value| value.to_str().ok()?.parse().ok());
    response.text().await?;
    Ok(tokens.unwrap_or_else(|| estimate(prompt)))
}

/// The vendor: an answer is half as long as the estimate thinks, and an account is empty after 600 tokens, for a second.
async fn vendor(prompt: String) -> (HeaderMap, String) {
    static LEFT: AtomicU32 = AtomicU32::new(600);
    let tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX) * 3 / 2;
    let before = LEFT.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(tokens))).unwrap_or(0);
    let mut headers = HeaderMap::new();
    headers.insert("x-tokens-used", tokens.into());
    headers.insert("x-ratelimit-limit-tokens", 600.into());
    headers.insert("x-ratelimit-remaining-tokens", before.saturating_sub(tokens).into());
    headers.insert("x-ratelimit-reset-tokens", HeaderValue::from_static("1s"));
    if before <= tokens {
        LEFT.store(600, Relaxed);
    }
    (headers, "…".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(vendor)).await });

    let client = reqwest::Client::builder().no_proxy().build()?;
    let policy = registry().get("llm").ok_or("the policy is not linked")?;
    let begin = Instant::now();
    let prompt = "p".repeat(100);
    for n in 1..=8 {
        let cost = complete(&client, &url, &prompt).await?;
        let tokens = policy.snapshot().tokens.unwrap_or(0);
        let ms = begin.elapsed().as_millis();
        println!("{ms:>4} ms: request {n} took {} tokens and has used {cost}; {tokens} left here", estimate(&prompt));
    }
    if let Err(error) = complete(&client, &url, &"p".repeat(200)).await {
        println!("a longer one: {error}");
    }
    println!("{}", policy.snapshot());
    Ok(())
}
