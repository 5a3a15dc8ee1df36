//! One guarded function, and a server that has a bad day: it is rushed, lowers its limit, goes down, hangs, and is well
//! again. The same calls go, unguarded, to a second server with the same day. At the end both are compared.
//!
//! ```text
//! cargo run --example quickstart
//! cargo run --example quickstart -- --url https://example.com    # guarded GETs of an address of yours
//! ```

mod arguments;
mod real;
mod server;
mod table;
mod timeline;

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::{guarded, registry};
use tokio::time::{sleep, sleep_until};

use crate::arguments::Wanted;
use crate::server::{Mood, Server};
use crate::table::{Column, Side};
use crate::timeline::{Timeline, say};

/// The guarded function: an ordinary async function, and what it may do to the server. The server allows 50 requests per
/// second; this stays a little below, because the network delivers unevenly.
#[guarded(
    name = "quickstart",
    rate("45/s", burst = 3, max_wait = "1s"),
    retries(2, base = "200ms"),
    breaker(failures = 5, recovery = "1s"),
    timeout = "4s",
    attempt_timeout = "500ms"
)]
async fn fetch(client: &reqwest::Client, url: &str) -> Result<String, apiguard::reqwest::Error> {
    tracing::info!(target: "quickstart", "admitted");
    Ok(client.get(url).send().await?.checked()?.text().await?)
}

/// The same without the guard, as it is often written by hand: the same timeout, as many retries, a pause between them.
async fn fetch_unguarded(client: &reqwest::Client, url: &str) -> reqwest::Result<String> {
    let mut attempt = 1;
    loop {
        UNGUARDED_ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        let sent = client.get(url).timeout(Duration::from_millis(500)).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(response) => return response.text().await,
            Err(error) if attempt == 3 => return Err(error),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
        attempt += 1;
    }
}

static UNGUARDED_ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// A part of the day: what the server does, and how many calls are begun per second, on either side.
struct Chapter {
    title: &'static str,
    /// How many tenths of a second it lasts.
    tenths: u32,
    server: Mood,
    calls_per_second: u32,
}

const STORY: [Chapter; 8] = [
    chapter("all is well: 25 calls/s, the server allows 50/s", 15, Mood::Well { per_second: 50 }, 25),
    chapter("a rush: 80 calls/s", 20, Mood::Well { per_second: 50 }, 80),
    chapter("the rush is over: 25 calls/s", 25, Mood::Well { per_second: 50 }, 25),
    chapter("the server lowers its limit to 15/s: 429, Retry-After: 1", 30, Mood::Well { per_second: 15 }, 25),
    chapter("the server allows 50/s again", 20, Mood::Well { per_second: 50 }, 25),
    chapter("the server is down: 503", 20, Mood::Down, 25),
    chapter("the server hangs: no answer at all", 30, Mood::Hangs, 25),
    chapter("the server is well again", 30, Mood::Well { per_second: 50 }, 25),
];

const fn chapter(title: &'static str, tenths: u32, server: Mood, calls_per_second: u32) -> Chapter {
    Chapter { title, tenths, server, calls_per_second }
}

impl Chapter {
    fn lasts(&self) -> Duration {
        Duration::from_millis(100) * self.tenths
    }
}

async fn bad_day(timeline: &Timeline) -> Result<(), Box<dyn Error>> {
    let begin = timeline.started();
    let plan: Vec<_> = STORY.iter().map(|chapter| (chapter.lasts(), chapter.server)).collect();
    let servers = (Server::start(begin, plan.clone()).await?, Server::start(begin, plan).await?);
    let urls = (servers.0.url(), servers.1.url());
    let clients = (loopback_client()?, loopback_client()?);
    let (mut guarded, mut unguarded) = (Side::default(), Side::default());

    introduce(&urls.0);

    let mut start = begin;
    for chapter in &STORY {
        sleep_until(start.into()).await;
        timeline.chapter(chapter.title);
        let pace = Duration::from_secs(1) / chapter.calls_per_second;
        let mut next = start;
        start += chapter.lasts();
        while next < start {
            sleep_until(next.into()).await;
            next += pace;
            let (client, url) = (clients.0.clone(), urls.0.clone());
            guarded.begin(async move { fetch(&client, &url).await.inspect_err(report) });
            let (client, url) = (clients.1.clone(), urls.1.clone());
            unguarded.begin(async move { fetch_unguarded(&client, &url).await.map_err(Into::into) });
        }
    }
    sleep_until(start.into()).await;
    guarded.finish().await;
    unguarded.finish().await;
    timeline.flush();

    let policy = registry().get("quickstart").ok_or("the policy is not linked")?.snapshot();
    let guarded =
        Column { side: &guarded, server: servers.0.seen(), attempts: policy.attempts(), retries: policy.retries };
    let attempts = UNGUARDED_ATTEMPTS.load(Ordering::Relaxed);
    let retries = attempts - unguarded.calls;
    let unguarded = Column { side: &unguarded, server: servers.1.seen(), attempts, retries };
    table::print(timeline, &guarded, &unguarded);
    say(format_args!("\n`apiguard::registry()` has counted the same:\n  {policy}"));
    say("\nTo read on: examples/quickstart/main.rs (the guarded function is `fetch`), README.md.");
    Ok(())
}

fn introduce(url: &str) {
    let lasts: Duration = STORY.iter().map(Chapter::lasts).sum();
    say(format_args!("The server at {url} has a bad day of {} s. `fetch` calls it, guarded by", lasts.as_secs()));
    let settings = registry().get("quickstart").map(apiguard::Policy::settings).unwrap_or_default();
    let part = |name: &str, value: Option<String>| {
        say(format_args!("  {name:<17}{}", value.as_deref().unwrap_or("none")));
    };
    part("rate", settings.rate_limit().map(ToString::to_string));
    part("breaker", settings.circuit_breaker().map(ToString::to_string));
    part("retries", settings.retry().map(ToString::to_string));
    part("timeout", settings.call_timeout().map(|time| format!("{time:?}")));
    part("attempt_timeout", settings.single_attempt_timeout().map(|time| format!("{time:?}")));
    say("The same calls go to a second such server, unguarded: the same timeout for an attempt, also 2");
    say("retries, 200 ms apart. The timeline shows the guarded side; the table at the end compares them.\n");
}

/// What the guard does is on the timeline already; this adds the calls that ran and failed.
fn report(error: &apiguard::reqwest::Error) {
    if error.rejected().is_none() {
        tracing::info!(target: "quickstart", %error, "failed");
    }
}

/// A client that talks to loopback and nobody else.
fn loopback_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build()
}

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = match arguments::read(std::env::args_os().skip(1)) {
        Ok(wanted) => wanted,
        Err(wrong) => return arguments::usage_error(&wrong),
    };
    let timeline = Timeline::begin();
    let run = async {
        match wanted {
            Wanted::Help => {
                say(arguments::HELP);
                Ok(())
            }
            Wanted::BadDay => bad_day(&timeline).await,
            Wanted::Real(url) => real::gets(&timeline, url).await,
        }
    };
    let ended = tokio::select! {
        ended = run => ended,
        // Nobody reads any more (`| head`).
        () = timeline.clone().keep_printing(Duration::from_millis(750)) => Ok(()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => arguments::failure(error.as_ref()),
    }
}
