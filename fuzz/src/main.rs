//! Fuzz targets: random inputs for every parser, random histories of calls, and what may never happen to them.
//!
//! A target reads bytes, asserts, and says what was special about the input (`Seen`). The driver changes inputs at random, keeps
//! those of which something new was said, and makes the first one that fails as small as it can. It needs no instrumented build: what
//! the parsers say of mistakes tells their branches apart well enough.
//!
//! ```text
//! cargo run --release                      each target for `APIGUARD_FUZZ_SECONDS` (5)
//! cargo run --release -- headers calls     these alone
//! cargo run --release -- headers FILE      this input alone, as often as it takes chance to show
//! ```
//!
//! `APIGUARD_SEED=7` makes the same inputs again, up to what depends on time; with `APIGUARD_FUZZ_RUNS=10000`, which is in place of the
//! seconds, a target that leaves nothing to chance (`calls`) ends with the same numbers. An input that fails is left in `failures/`.

mod choices;
mod dictionary;
mod driver;
mod mutate;
mod shrink;
mod targets;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::driver::Until;
use crate::targets::TARGETS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_target = |name: &String| TARGETS.iter().any(|target| target.name == name);
    let (names, files): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| is_target(argument));
    if let Some(unknown) = files.iter().find(|file| names.len() != 1 || !Path::new(file).is_file()) {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("{unknown} is no target, and no file for a single one; the targets are {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let chosen: Vec<_> =
        TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| *name == target.name)).collect();
    let until = match (number("APIGUARD_FUZZ_RUNS"), number("APIGUARD_FUZZ_SECONDS")) {
        (Some(runs), _) => Until::Runs(runs),
        (None, seconds) => Until::Time(Duration::from_secs(seconds.unwrap_or(5))),
    };
    let seed = number("APIGUARD_SEED").unwrap_or_else(driver::seed_of_the_day);
    driver::silence_panics();
    let mut all_well = true;
    for target in chosen {
        all_well &= if files.is_empty() {
            driver::fuzz(target, seed, until)
        } else {
            files.iter().all(|file| driver::replay(target, Path::new(file)))
        };
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => {
            eprintln!("{name}={text} is no whole number: ignored");
            None
        }
    }
}
