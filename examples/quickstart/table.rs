//! What became of the calls of either side, and the table at the end.

use std::future::Future;
use std::time::{Duration, Instant};

use apiguard::Rejected;
use apiguard::reqwest::Error;
use tokio::task::JoinSet;

use crate::server::Seen;
use crate::timeline::{BOLD, GREEN, RED, Timeline, say};

/// The calls of one side.
#[derive(Debug, Default)]
pub(crate) struct Side {
    running: JoinSet<(Result<String, Error>, Duration)>,
    pub(crate) calls: u64,
    succeeded: u64,
    rate_limited: u64,
    circuit_open: u64,
    timed_out: u64,
    failed: u64,
    /// Spent by callers in calls that did not succeed.
    in_vain: Duration,
}

impl Side {
    /// Begins a call and does not wait for it.
    pub(crate) fn begin(&mut self, call: impl Future<Output = Result<String, Error>> + Send + 'static) {
        self.calls += 1;
        self.running.spawn(async move {
            let start = Instant::now();
            (call.await, start.elapsed())
        });
        while let Some(Ok((outcome, took))) = self.running.try_join_next() {
            self.count(outcome, took);
        }
    }

    /// Waits for all calls.
    pub(crate) async fn finish(&mut self) {
        while let Some(Ok((outcome, took))) = self.running.join_next().await {
            self.count(outcome, took);
        }
    }

    fn count(&mut self, outcome: Result<String, Error>, took: Duration) {
        let Err(error) = outcome else {
            self.succeeded += 1;
            return;
        };
        self.in_vain += took;
        let counter = match error.rejected() {
            Some(Rejected::RateLimited { .. }) => &mut self.rate_limited,
            Some(Rejected::CircuitOpen { .. }) => &mut self.circuit_open,
            _ if error.is_timeout() => &mut self.timed_out,
            _ => &mut self.failed,
        };
        *counter += 1;
    }
}

/// One column: the callers' side, the server's, and the attempts in between.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    pub(crate) side: &'a Side,
    pub(crate) server: Seen,
    pub(crate) attempts: u64,
    pub(crate) retries: u64,
}

/// Prints the table and what it comes to.
pub(crate) fn print(timeline: &Timeline, guarded: &Column<'_>, unguarded: &Column<'_>) {
    let line = |label: &str, guarded: String, unguarded: String| {
        let (guarded, unguarded) = (format!("{guarded:>12}"), format!("{unguarded:>12}"));
        let (guarded, unguarded) = (timeline.paint(GREEN, &guarded), timeline.paint(RED, &unguarded));
        say(format_args!("  {label:<42}{guarded}{unguarded}"));
    };
    let row = |label: &str, value: &dyn Fn(&Column<'_>) -> u64| {
        line(label, value(guarded).to_string(), value(unguarded).to_string());
    };
    let heading = |text: &str| say(timeline.paint(BOLD, text));
    let rejected = |label: &str, calls: u64| line(label, calls.to_string(), "-".into());

    say("");
    line("", "guarded".into(), "unguarded".into());
    heading("what callers saw");
    row("calls", &|column| column.side.calls);
    row("  succeeded", &|column| column.side.succeeded);
    rejected("  rejected: rate limited", guarded.side.rate_limited);
    rejected("  rejected: circuit open", guarded.side.circuit_open);
    row("  timed out", &|column| column.side.timed_out);
    row("  failed", &|column| column.side.failed);
    line("time spent in calls that did not succeed", seconds(guarded.side.in_vain), seconds(unguarded.side.in_vain));
    heading("what was sent");
    row("attempts", &|column| column.attempts);
    row("  retries among them", &|column| column.retries);
    heading("what the server saw");
    row("requests", &|column| column.server.requests as u64);
    row("  served", &|column| column.server.served as u64);
    row("  refused: 429", &|column| column.server.throttled as u64);
    row("  sent while it was down: 503", &|column| column.server.unavailable as u64);
    row("  sent while it hung", &|column| column.server.hung as u64);
    row("most requests in any one second", &|column| column.server.most_in_a_second as u64);

    let ill = |server: &Seen| server.unavailable + server.hung;
    say(format_args!(
        "\nWhile the server was down or hung it was sent {} requests; unguarded, {}. Callers spent {} on calls\n\
         that did not succeed; unguarded, {}. Of {} calls {} succeeded with {} attempts; unguarded, {} with {}.",
        ill(&guarded.server),
        ill(&unguarded.server),
        seconds(guarded.side.in_vain),
        seconds(unguarded.side.in_vain),
        guarded.side.calls,
        guarded.side.succeeded,
        guarded.attempts,
        unguarded.side.succeeded,
        unguarded.attempts,
    ));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
