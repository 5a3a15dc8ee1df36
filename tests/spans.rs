//! `#[tracing::instrument]` beside the attribute: a span for the call, or one for each attempt.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::fmt::{Debug, Write};
use std::io;
use std::sync::{Arc, Mutex};

use apiguard::{Error, guarded};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Each span when it is made, and each event of apiguard with the span that it is in.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["attempt", "order", "message"].contains(&field.name()) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if !span.metadata().target().starts_with("spans") {
            return;
        }
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "apiguard" {
            let within = context.lookup_current().map_or("none", |span| span.metadata().name());
            let mut fields = Fields(format!("in {within}:"));
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

fn failing(attempt: u32) -> Result<u32, io::Error> {
    if attempt < 3 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(attempt) }
}

#[tracing::instrument(name = "attempt", skip_all, fields(order = order, attempt = apiguard::attempt()))]
#[guarded(retries(2, base = "1ms"))]
async fn above(order: u32) -> Result<u32, Error<io::Error>> {
    failing(apiguard::attempt())
}

#[guarded(retries(2, base = "1ms"))]
#[tracing::instrument(name = "call", skip_all, fields(order = order))]
async fn below(order: u32) -> Result<u32, Error<io::Error>> {
    failing(apiguard::attempt())
}

/// The number is in the span alone.
#[tracing::instrument(name = "attempt", skip_all, fields(attempt = apiguard::attempt()))]
#[guarded(breaker = 5)]
async fn numbered() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn seen(call: impl AsyncFnOnce()) -> Vec<String> {
    let seen = Seen::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    call().await;
    std::mem::take(&mut seen.0.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn instrument_above_the_attribute_is_a_span_for_each_attempt_with_its_number() {
    let lines = seen(async || assert_eq!(above(7).await.unwrap(), 3)).await;
    let expected = [
        "attempt order=7 attempt=1",
        "in none: message=retry attempt=1",
        "attempt order=7 attempt=2",
        "in none: message=retry attempt=2",
        "attempt order=7 attempt=3",
    ];
    assert_eq!(lines, expected);
    assert_eq!(seen(async || numbered().await.unwrap()).await, ["attempt attempt=1"]);
}

#[tokio::test(start_paused = true)]
async fn instrument_below_the_attribute_is_a_span_of_the_call_that_its_events_are_in() {
    let lines = seen(async || assert_eq!(below(7).await.unwrap(), 3)).await;
    let expected = ["call order=7", "in call: message=retry attempt=1", "in call: message=retry attempt=2"];
    assert_eq!(lines, expected);
}
