//! A function that judges something else.

use std::io;

use apiguard::{Error, Verdict, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn of_text(_: &str) -> Verdict {
    Verdict::Success
}

fn of_the_error(_: &io::Error) -> Verdict {
    Verdict::TRANSIENT
}

fn by_value(_: Result<u32, io::Error>) -> Verdict {
    Verdict::TRANSIENT
}

#[guarded(retries = 3, classify = of_text)]
async fn text() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, classify = of_the_error)]
async fn error() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, classify = by_value)]
async fn value() -> Answer {
    Ok(1)
}

fn main() {}
