//! Security and operation: what must not be in logs, how many series there are, and configurations that are reloaded.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use apiguard::config::Config;
use apiguard::http::{Feedback, ResponseExt};
use apiguard::reqwest::{Client, Guard};
use apiguard::tower::GuardLayer;
use apiguard::{Breaker, Budget, Jitter, Retry, Settings, guarded, observe, registry};
use http::header::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::inputs::controls;
use crate::memory;
use crate::support::events::Events;
use crate::support::hostile::RETRY_AFTER;
use crate::support::raw::closed_port;
use crate::support::{Answer as Reply, Server};
use crate::tools::{Answer, Case, Dice, Measured, forever, ms, paused, poll, reset, scaled, secs};

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "S01",
        what: "hostile values in the headers of answers",
        bound: "0 of them, and 0 control characters, in what is shown",
        run: s01,
    },
    Case {
        id: "S02",
        what: "secrets in URL, headers, body, answer; client, middleware, tower",
        bound: "0 in errors, events, Debug, snapshots",
        run: s02,
    },
    Case {
        id: "S03",
        what: "as many keys, URLs and error texts as calls",
        bound: "at most 40 values of labels, however many",
        run: s03,
    },
    Case {
        id: "S05",
        what: "1 000 reloads; files half-written, invalid, of 1 GB",
        bound: "0 over the rate, 0 lost; a bad file changes nothing",
        run: s05,
    },
];

/// A text that nobody else writes.
const CANARY: &str = "zqxcanary";

// ---- what is shown

#[guarded(
    name = "s01",
    rate("1000000/s", burst = 1_000_000),
    retries(1, base = "1ms", cap = "10s", budget = "off"),
    max_pause = "1s"
)]
async fn answered(answer: &http::Response<()>) -> Result<http::Response<()>, apiguard::Error<io::Error>> {
    observe(answer);
    let mut copy = http::Response::new(());
    *copy.status_mut() = answer.status();
    *copy.headers_mut() = answer.headers().clone();
    Ok(copy)
}

const HEADERS: [&str; 9] = [
    "retry-after",
    "retry-after-ms",
    "date",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-reset",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-limit",
];

/// Anything that a header may hold, often around something that is read.
fn hostile(dice: &mut Dice) -> HeaderValue {
    let mut bytes: Vec<u8> = match dice.below(4) {
        0 => RETRY_AFTER[dice.below(RETRY_AFTER.len())].to_vec(),
        1 => format!("\"{CANARY}\";r=0;t={}", dice.below(5)).into_bytes(),
        2 => dice.below(3).to_string().into_bytes(),
        _ => CANARY.as_bytes().to_vec(),
    };
    for _ in 0..dice.below(6) {
        let byte = [b'\t', b';', b'"', b'%', b'<', 0x9b, 0xe2, 0x80, 0xae, b'=', b','][dice.below(11)];
        bytes.insert(dice.below(bytes.len() + 1), byte);
    }
    HeaderValue::from_bytes(&bytes).unwrap_or(HeaderValue::from_static(CANARY))
}

fn s01() -> Measured {
    paused(async {
        let (mut dice, events, count) = (Dice::new(1), Events::default(), scaled(10_000));
        let mut shown = String::new();
        let mut subscribed = registry().subscribe();
        let recording = events.record();
        for _ in 0..count {
            let mut answer = http::Response::new(());
            *answer.status_mut() = [200, 301, 429, 503, 599][dice.below(5)].try_into().unwrap();
            for _ in 0..=dice.below(3) {
                let name = HeaderName::from_static(HEADERS[dice.below(HEADERS.len())]);
                answer.headers_mut().append(name, hostile(&mut dice));
            }
            let outcome = answered(&answer).await;
            shown += &outcome.as_ref().err().map_or(String::new(), |error| format!("{error} {error:?}"));
            let checked = http::Response::from_parts(answer.into_parts().0, ()).checked();
            shown += &checked.err().map_or(String::new(), |error| format!("{error} {error:?}"));
            while let Some(event) = subscribed.try_recv() {
                shown += &format!("{event} {event:?}");
            }
        }
        drop(recording);
        let policy = registry().get("s01").unwrap();
        shown += &format!("{} {:?} {policy:?} {}", policy.snapshot(), policy.snapshot(), registry());
        shown += &events.all();
        // The counter counts: a reader of headers may ask for the names of limits.
        let mut headers = http::HeaderMap::new();
        headers.insert("ratelimit", HeaderValue::from_static("\"zqxcanary\";r=0;t=5"));
        assert!(format!("{:?}", Feedback::from_headers(&headers)).len() > 10);
        let (raw, control) = (shown.matches(CANARY).count(), controls(&shown));
        let figure = format!("{raw} values, {control} controls in {} KB from {count} answers", shown.len() / 1_000);
        Measured::new(raw + control == 0 && shown.len() > 10_000, figure)
    })
}

/// An error with its causes.
fn print(error: &dyn std::error::Error) -> String {
    let mut shown = format!("{error} {error:?} ");
    if let Some(source) = error.source() {
        shown += &print(source);
    }
    shown
}

fn s02() -> Measured {
    paused(async {
        let retries = Retry::new(2).base(ms(1)).jitter(Jitter::None).budget(Budget::Off);
        let settings = Settings::new().retries(retries).breaker(Breaker::consecutive(50)).attempt_timeout(secs(1));
        let dead = closed_port().await.replace("http://", &format!("http://{CANARY}:{CANARY}@"));
        let answer = |status| Reply::new(status).header("x-a", CANARY).header("retry-after", CANARY).body(CANARY);
        let busy = Server::always(answer(503)).await.url;
        let slow = Server::always(answer(200).after(secs(5))).await.url;
        let (events, mut shown) = (Events::default(), String::new());
        let recording = events.record();
        let client = Client::guarded(reqwest::Client::new(), Guard::from_settings("s02", settings).unwrap());
        let stack = apiguard::reqwest_middleware::Guard::from_settings("s02", settings).unwrap();
        let stacked = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(stack.clone()).build();
        let layer = GuardLayer::new(forever(&settings)).retrying();
        let executor = hyper_util::rt::TokioExecutor::new();
        let hyper = hyper_util::client::legacy::Client::builder(executor).build_http::<String>();
        let layered = layer.layer(hyper);
        for url in [&dead, &busy, &slow, &format!("bad://{CANARY}"), &format!("http://{CANARY} ")] {
            let url = &format!("{url}{CANARY}?token={CANARY}");
            let request = client.put(url).bearer_auth(CANARY).header("cookie", CANARY).body(CANARY);
            shown += &format!("{request:?} {client:?}");
            let outcome = request.send().await.and_then(|answer| Ok(answer.checked()?));
            shown += &outcome.err().map_or(String::new(), |error| print(&error));
            // reqwest-middleware's own error may show the URL; a rejection is ours.
            if let Err(error) = stacked.put(url).header("cookie", CANARY).send().await {
                let rejected = apiguard::reqwest_middleware::rejected(&error);
                shown += &rejected.map_or(String::new(), |rejected| print(rejected));
            }
            if let Ok(request) = http::Request::put(url).header("cookie", CANARY).body(CANARY.to_owned()) {
                let outcome = layered.clone().oneshot(request).await;
                shown +=
                    &outcome.err().and_then(|error| error.rejected().map(|error| print(error))).unwrap_or_default();
            }
        }
        client.policy().force_open();
        shown += &print(&client.get(format!("{busy}{CANARY}")).send().await.unwrap_err());
        drop(recording);
        for policy in [client.policy(), stack.policy(), layer.policy()] {
            shown += &format!("{policy:?} {:?} {:#} {stack:?}", policy.snapshot(), policy.snapshot());
        }
        shown += &events.all();
        let leaks = shown.matches(CANARY).count();
        let told = events.count("retry");
        Measured::new(leaks == 0 && told > 3, format!("{leaks} in {} KB, {told} retries told", shown.len() / 1_000))
    })
}

// ---- how many series there are

/// The values of the fields that are no numbers: what a pipeline of metrics makes a series of.
#[derive(Clone, Default)]
struct Labels(Arc<Mutex<BTreeSet<String>>>);

impl Visit for Labels {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().insert(format!("{}={value:?}", field.name()));
    }

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Labels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "apiguard" {
            event.record(&mut self.clone());
        }
    }
}

#[guarded(
    name = "s03",
    rate("10/s", burst = 2, max_wait = "100ms"),
    breaker(3, recovery = "1s"),
    retries(1, base = "1ms"),
    key = key
)]
async fn distinct(key: u64, url: &str) -> Answer<()> {
    match key % 4 {
        0 => Err(io::Error::other(format!("no answer from {url}"))),
        1 => Err(reset()),
        _ => Ok(()),
    }
}

fn s03() -> Measured {
    paused(async {
        let (labels, calls) = (Labels::default(), scaled(50_000) as u64);
        let recording = tracing::subscriber::set_default(tracing_subscriber::registry().with(labels.clone()));
        for key in 0..calls {
            for _ in 0..=key % 7 {
                let _ = poll(&mut Box::pin(distinct(key, &format!("http://host-{key}/"))));
            }
            if key % 100 == 0 {
                let _ = distinct(key, "again").await;
            }
        }
        drop(recording);
        let labels = labels.0.lock().unwrap();
        Measured::new(labels.len() <= 40 && labels.len() > 5, format!("{} for {calls} keys", labels.len()))
    })
}

// ---- configurations

static SENT: AtomicU64 = AtomicU64::new(0);

#[guarded(rate("10/s", burst = 10, max_wait = "0s"), name = "s05")]
async fn counted() -> Answer<()> {
    SENT.fetch_add(1, Relaxed);
    Ok(())
}

/// A file that goes away with it.
struct File(std::path::PathBuf);

impl File {
    fn write(&self, content: impl AsRef<[u8]>) {
        std::fs::write(&self.0, content).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn s05() -> Measured {
    paused(async {
        let file = File(std::env::temp_dir().join(format!("apiguard-faults-{}.toml", std::process::id())));
        file.write("# nothing yet\n");
        let mut watch = registry().watch(&file.0).every(ms(10)).settle(ms(10));
        let _ = watch.next().await.unwrap();
        let policy = registry().get("s05").unwrap();
        let (start, rounds) = (Instant::now(), scaled(1_000));
        let calls = async || {
            for _ in 0..3 {
                let _ = counted().await;
            }
        };
        for round in 0..rounds {
            // The burst that the code has, and one less; every third time the code's own.
            let burst = 10 - round % 2;
            let rate = format!("rate = {{ rate = '10/s', burst = {burst}, max_wait = '0s' }}");
            file.write(if round % 3 == 0 {
                format!("# {round}\n")
            } else {
                format!("[policies.s05]\n{rate} # {round}\n")
            });
            let _ = watch.next().await.unwrap();
            calls().await;
        }
        let (good, held, mut changed) = (policy.settings(), memory::live(), 0);
        memory::peak_since();
        let spoils: [&dyn Fn(); 7] = [
            // Another one that is too long follows below: each is reported once.
            &|| file.write("x".repeat(2 << 20)),
            &|| file.write("[policies.s05]\nrate = '1000/"),
            &|| file.write("[policies.s05]\nrate = '0/s'"),
            &|| file.write(b"rate = '\xff'"),
            &|| file.write(""),
            // Sparse: it takes no place on the disk.
            &|| std::fs::File::create(&file.0).unwrap().set_len(1 << 30).unwrap(),
            &|| std::fs::remove_file(&file.0).unwrap(),
        ];
        for spoil in spoils {
            spoil();
            changed += usize::from(watch.next().await.is_ok());
            changed += usize::from(policy.settings() != good);
            calls().await;
        }
        // What was written in steps counts, too.
        let read = memory::peak_since().saturating_sub(held) - (2 << 20);
        let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
        let (sent, seconds) = (SENT.load(Relaxed) as f64, start.elapsed().as_secs_f64());
        let (over, lost) = ((sent - 10.0 - 10.0 * seconds).max(0.0), 1.0 - sent / (10.0 * seconds));
        let figure = format!(
            "{over:.0} over, {:.1} % lost in {rounds} reloads; {changed} changed by 7 bad files; {} KB for 1 GB",
            lost.max(0.0) * 100.0,
            read / 1_000
        );
        Measured::new(over <= 0.0 && lost <= 0.02 && changed == 0 && read < (4 << 20), figure)
    })
}
