//! The command line, and how it ends when something is wrong: 2 for a command line that means nothing, 1 for a run that
//! failed.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use reqwest::Url;

pub(crate) const HELP: &str = "\
A guarded function calls a server that has a bad day (about 20 s, loopback only).

usage: cargo run --example quickstart [-- OPTION]

  --url <URL>   guard a handful of real GETs of this http or https address instead;
                ends with 1 when none of them succeeds
  --help        show this text

Colours are shown in a terminal, unless NO_COLOR is set.";

/// What to do.
#[derive(Debug)]
pub(crate) enum Wanted {
    BadDay,
    Real(Url),
    Help,
}

/// Reads the arguments, without the program's own name.
pub(crate) fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Wanted, String> {
    let Some(first) = arguments.next() else { return Ok(Wanted::BadDay) };
    let first = first.to_string_lossy().into_owned();
    let wanted = match first.split_once('=') {
        _ if first == "--help" || first == "-h" => Wanted::Help,
        _ if first == "--url" => match arguments.next() {
            Some(url) => Wanted::Real(http_url(&url.to_string_lossy())?),
            None => return Err("`--url` needs an address; write `--url https://example.com`".into()),
        },
        Some(("--url", url)) => Wanted::Real(http_url(url)?),
        _ => return Err(format!("unknown argument `{first}`")),
    };
    match arguments.next() {
        Some(more) => Err(format!("unexpected argument `{}`", more.to_string_lossy())),
        None => Ok(wanted),
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let hint = "write it as `https://example.com/path`";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) => Err(format!("`--url`: `{}` is not http or https; {hint}", url.scheme())),
        Err(error) => Err(format!("`--url`: not an address: {error}; {hint}")),
    }
}

/// Says what is wrong with the command line.
pub(crate) fn usage_error(wrong: &str) -> ExitCode {
    complain(format_args!("{wrong}\n\nusage: cargo run --example quickstart [-- --url <URL> | --help]"));
    ExitCode::from(2)
}

/// Says why the run failed.
pub(crate) fn failure(error: &dyn Error) -> ExitCode {
    complain(format_args!("{}", with_sources(error)));
    ExitCode::FAILURE
}

fn complain(text: fmt::Arguments<'_>) {
    // Nowhere to say that nothing can be said.
    let _ = writeln!(std::io::stderr(), "quickstart: {text}");
}

/// An error and its causes on one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
