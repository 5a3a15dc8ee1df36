//! The table of faults: what breaks libraries of this kind in the field, measured on this one through its public surface.
//!
//! `cargo test --test faults` prints one table and fails if a case does; `cargo test --test faults -- B02 L` runs B02 and all of L.
//! `APIGUARD_FAULTS_SCALE=10` makes ten times as many rounds, `APIGUARD_SEED=…` repeats a run (the seed is printed).
//!
//! Each case runs in a process of its own, which this program starts again with a hidden argument: a case that hangs, aborts, or
//! spoils what is global to a process (the registry, the panic hook, the allocator's count) is a line in the table then, and harms
//! no other. `docs/faults.md` says of each case where it was seen.

// All of it is a test; what is shown is gathered in one text.
#![allow(clippy::unwrap_used, clippy::panic, clippy::format_push_string)]

mod breaker;
mod inputs;
mod limiter;
mod memory;
mod operation;
mod retry;
mod table;
mod tools;

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use tools::Case;

fn cases() -> impl Iterator<Item = &'static Case> {
    [breaker::CASES, limiter::CASES, retry::CASES, inputs::CASES, operation::CASES].into_iter().flatten()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(id) = arguments.iter().find_map(|argument| argument.strip_prefix(table::HIDDEN)) {
        return table::run_one(cases().find(|case| case.id == id).unwrap());
    }
    // Of the options of the usual harness this one has a meaning here.
    if arguments.iter().any(|argument| argument == "--list") {
        cases().for_each(|case| println!("{}: test", case.id));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.iter().any(|start| case.id.starts_with(start.as_str()));
    table::run(&cases().filter(is_wanted).collect::<Vec<_>>(), wanted.is_empty())
}
