//! What the macros accept, and what they say of what they do not: the cases in `trybuild/`.
//!
//! The recorded text holds under the release of Rust it was recorded with; `TRYBUILD=overwrite cargo test --test compile`
//! records it anew (then set [`RECORDED_WITH`] too). Other releases word their own part of it differently: under them
//! each case must fail with as many errors as were recorded, one for each mistake.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const RECORDED_WITH: &str = "1.95.0";

/// Set to anything to count errors under the recorded release too.
const COUNT: &str = "APIGUARD_COUNT_ERRORS";

#[test]
fn right_uses_compile() {
    trybuild::TestCases::new().pass("trybuild/pass/*.rs");
}

#[test]
fn every_mistake_is_one_error() {
    if env::var_os(COUNT).is_none() && release() == RECORDED_WITH {
        trybuild::TestCases::new().compile_fail("trybuild/fail/**/*.rs");
        return;
    }
    let mut recorded = BTreeMap::new();
    for case in cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("trybuild/fail")) {
        let text = fs::read_to_string(case.with_extension("stderr")).unwrap();
        let errors = text.lines().filter(|line| line.starts_with("error:") || line.starts_with("error[")).count();
        recorded.insert(name(&case), (case, errors));
    }
    assert!(recorded.len() >= 80, "{} cases", recorded.len());
    let said = check(recorded.iter().map(|(name, (case, _))| (name.as_str(), case.as_path())));
    let wrong: Vec<_> = recorded
        .iter()
        .map(|(name, (_, errors))| (name, *errors, counted(&said, name)))
        .filter(|(_, recorded, counted)| recorded != counted)
        .collect();
    assert!(wrong.is_empty(), "case, errors recorded, errors now: {wrong:#?}\n{said}");
}

/// `1.95.0` of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn release() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap_or_default().to_owned()
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(cases(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `values_rate` of `…/values/rate.rs`.
fn name(case: &Path) -> String {
    let stem = case.file_stem().unwrap().to_string_lossy();
    format!("{}_{stem}", case.parent().unwrap().file_name().unwrap().to_string_lossy())
}

/// What cargo says of a crate that has each case as a binary.
fn check<'a>(cases: impl Iterator<Item = (&'a str, &'a Path)>) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile");
    let mut manifest = format!(
        "[package]\nname = \"cases\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
        apiguard = {{ path = '{}', features = [\"http\", \"reqwest\", \"tracing\", \"testing\"] }}\n\
        thiserror = \"2\"\ntokio = {{ version = \"1\", features = [\"full\"] }}\n",
        root.display()
    );
    for (name, case) in cases {
        write!(manifest, "\n[[bin]]\nname = '{name}'\npath = '{}'\n", case.display()).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that the workspace is tested with.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let output = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["check", "--bins", "--keep-going", "--offline", "--color=never"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// 3 of ``error: could not compile `cases` (bin "name") due to 3 previous errors; 1 warning emitted``.
fn counted(said: &str, name: &str) -> usize {
    let begin = format!("error: could not compile `cases` (bin {name:?}) due to ");
    let line = said.lines().find_map(|line| line.strip_prefix(begin.as_str())).unwrap_or_default();
    line.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
