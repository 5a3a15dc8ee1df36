//! What happens, printed as it happens: a `tracing` layer that reads apiguard's events (target `apiguard`) and those of
//! the example (target `quickstart`).
//!
//! A breaker that changes and a new chapter are printed at once. Everything else is gathered for a moment, so that
//! eighty rejections are a line or two and not eighty:
//!
//! ```text
//!   3.012s  rejected    19  rate limited: come back in 1.00-1.03 s
//! ```

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// The printer; clones print to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begin: Instant,
    colours: bool,
    gathered: Mutex<Vec<Line>>,
}

/// Events of one kind.
#[derive(Debug)]
struct Line {
    first: Duration,
    count: usize,
    what: What,
    /// The shortest and the longest time that the events name, in ms.
    times: Option<(u64, u64)>,
}

/// What an event says: its word, and the text around the time that it names.
#[derive(Debug, PartialEq, Eq)]
struct What {
    word: String,
    before: String,
    after: &'static str,
}

impl Timeline {
    /// Begins now, and reads events from now on.
    pub(crate) fn begin() -> Timeline {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = io::stdout().is_terminal() && !no_colour;
        let timeline = Timeline(Arc::new(Inner { begin: Instant::now(), colours, gathered: Mutex::default() }));
        let subscriber = tracing_subscriber::registry().with(Watch(timeline.clone()));
        // Fails when there is one already: not in this program.
        let _ = tracing::subscriber::set_global_default(subscriber);
        timeline
    }

    /// When it began.
    pub(crate) fn started(&self) -> Instant {
        self.0.begin
    }

    /// Prints a heading, and before it everything that was gathered.
    pub(crate) fn chapter(&self, title: &str) {
        self.flush();
        let now = self.0.begin.elapsed();
        let rule = "-".repeat(78_usize.saturating_sub(title.chars().count()));
        print(format_args!("{}  {}", Offset(now), self.paint(BOLD, &format!("-- {title} {rule}"))));
    }

    /// Prints what was gathered. Says whether anybody still reads it.
    pub(crate) fn flush(&self) -> bool {
        let mut lines = std::mem::take(&mut *self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        // One line for those that were admitted, instead of another for those of them that waited.
        let find = |lines: &[Line], word| lines.iter().position(|line| line.what.word == word);
        if let (Some(waited), Some(_)) = (find(&lines, "waited"), find(&lines, "admitted")) {
            let waited = lines.remove(waited);
            for line in lines.iter_mut().filter(|line| line.what.word == "admitted") {
                let some = if waited.count < line.count { format!("{} ", waited.count) } else { String::new() };
                line.what.before = format!("{some}after a wait of ");
                line.times = waited.times;
            }
        }
        lines.iter().all(|line| self.print_line(line))
    }

    /// Prints until nobody reads it any more (`| head`).
    pub(crate) async fn keep_printing(self, every: Duration) {
        while self.flush() {
            tokio::time::sleep(every).await;
        }
    }

    fn event(&self, what: What, time: Option<u64>) {
        let first = self.0.begin.elapsed();
        if what.word == "breaker" {
            self.flush();
            self.print_line(&Line { first, count: 0, what, times: None });
            return;
        }
        let mut gathered = self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        match gathered.iter_mut().find(|line| line.what == what) {
            Some(line) => {
                line.count += 1;
                line.times = line.times.zip(time).map(|((least, most), time)| (least.min(time), most.max(time)));
            }
            None => gathered.push(Line { first, count: 1, what, times: time.map(|time| (time, time)) }),
        }
    }

    fn print_line(&self, line: &Line) -> bool {
        let What { word, before, after } = &line.what;
        let count = if line.count == 0 { String::new() } else { line.count.to_string() };
        let times = line.times.map(|(least, most)| range(least, most)).unwrap_or_default();
        let word = self.paint(colour(word, before), &format!("{word:<9}"));
        print(format_args!("{}  {word} {count:>4}  {before}{times}{after}", Offset(line.first)))
    }

    /// The text in this colour, if the terminal shows colours.
    pub(crate) fn paint(&self, colour: &str, text: &str) -> String {
        if self.0.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints a line as it is.
pub(crate) fn say(text: impl fmt::Display) {
    print(format_args!("{text}"));
}

/// Says whether anybody reads it.
fn print(line: fmt::Arguments<'_>) -> bool {
    writeln!(io::stdout().lock(), "{}", line.to_string().trim_end_matches(' ')).is_ok()
}

pub(crate) const BOLD: &str = "1";
pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

fn colour(word: &str, text: &str) -> &'static str {
    match word {
        "admitted" | "ok" => GREEN,
        "breaker" if text.ends_with("closed") => GREEN,
        "breaker" if text.ends_with("half-open") => CYAN,
        "breaker" | "rejected" | "failed" => RED,
        _ => YELLOW,
    }
}

/// `  3.412s`
struct Offset(Duration);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.3}s", self.0.as_secs_f64())
    }
}

/// `310 ms`, `21-310 ms`, `0.21-1.43 s`
fn range(least: u64, most: u64) -> String {
    let seconds = |ms: u64| format!("{}.{:02}", ms / 1_000, ms % 1_000 / 10);
    match (least, most) {
        (least, most) if least == most && most < 1_000 => format!("{most} ms"),
        (least, most) if most < 1_000 => format!("{least}-{most} ms"),
        (least, most) if seconds(least) == seconds(most) => format!("{} s", seconds(most)),
        (least, most) => format!("{}-{} s", seconds(least), seconds(most)),
    }
}

/// The layer.
struct Watch(Timeline);

impl<S: Subscriber> Layer<S> for Watch {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        matches!(metadata.target(), "apiguard" | "quickstart")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = fields.time;
        self.0.event(fields.in_words(), time);
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    /// Of `wait_ms`, `delay_ms`, `retry_after_ms`, the one that there is.
    time: Option<u64>,
    texts: Vec<(&'static str, String)>,
}

impl Fields {
    fn text(&self, name: &str) -> &str {
        self.texts.iter().find(|(field, _)| *field == name).map_or("", |(_, text)| text)
    }

    /// Why an attempt is repeated: the status of the answer, if there was one.
    fn why(&self) -> String {
        match self.text("status") {
            "" => self.text("verdict").to_owned(),
            status => format!("status {status}"),
        }
    }

    fn in_words(self) -> What {
        let (before, after) = match self.message.as_str() {
            "waited" => ("for their turn: ".into(), ""),
            // Else it is a header's name: the delay is the server's.
            "retry" if self.text("source") == "backoff" => (format!("{}: again in ", self.why()), ", backoff"),
            "retry" => (format!("{}: again in ", self.why()), ", as the server asked"),
            "paused" => ("the server holds all calls back: ".into(), ""),
            "rejected" => match self.text("reason") {
                "rate_limited" => ("rate limited: come back in ".into(), ""),
                "circuit_open" => ("circuit open: come back in ".into(), ""),
                "timed_out" => ("timed out: no answer in time".into(), ""),
                other => (other.replace('_', " "), ""),
            },
            "breaker" => (format!("{} -> {}", self.text("from"), self.text("to")), ""),
            // The example's own, and what a later version may say.
            _ => {
                let texts = self.texts.iter().filter(|(name, _)| *name != "policy").map(|(_, text)| text.as_str());
                (texts.collect::<Vec<_>>().join(", "), "")
            }
        };
        What { word: self.message, before, after }
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name().ends_with("_ms") {
            self.time = Some(value);
        } else {
            self.texts.push((field.name(), value.to_string()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.texts.push((name, format!("{value:?}"))),
        }
    }
}
