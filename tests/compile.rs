//! What the macros accept, and what they say of what they do not: the cases in `trybuild/`.
//!
//! The recorded text holds under the release of Rust it was recorded with; `TRYBUILD=overwrite cargo test --test compile`
//! records it anew (then set [`RECORDED_WITH`] too). Other releases word their own part of it differently: under them
//! each case must fail with as many errors as were recorded, one for each mistake. The files in `trybuild/bodies` are right
//! uses with wrong bodies.

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
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile");
    crate_of_cases(&folder, "cases", recorded.iter().map(|(name, (case, _))| (name.as_str(), case.as_path())));
    let said = check(&folder, &["--bins"]);
    let wrong: Vec<_> = recorded
        .iter()
        .map(|(name, (_, errors))| (name, *errors, counted(&said, name)))
        .filter(|(_, recorded, counted)| recorded != counted)
        .collect();
    assert!(wrong.is_empty(), "case, errors recorded, errors now: {wrong:#?}\n{said}");
}

/// Mistakes in a body are reported as without the attribute: the same text under the recorded release, the same errors at
/// the same places under any other. In `bodies/placed` the text differs in notes: an async block is no function.
#[test]
fn a_mistake_in_a_body_reads_as_without_the_attribute() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("trybuild/bodies");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bodies");
    fs::create_dir_all(folder.join("src/bin")).unwrap();
    let bodies = cases(&all);
    assert!(bodies.len() >= 6, "{bodies:?}");
    let mut compared = 0;
    for body in &bodies {
        let name = name(body);
        let with = fs::read_to_string(body).unwrap();
        let without: Vec<_> =
            with.lines().map(|line| if line.starts_with("#[apiguard::guarded") { "" } else { line }).collect();
        assert_ne!(with.lines().collect::<Vec<_>>(), without, "{name} has no attribute");
        fs::write(folder.join(format!("src/bin/with_{name}.rs")), &with).unwrap();
        fs::write(folder.join(format!("src/bin/without_{name}.rs")), without.join("\n")).unwrap();
    }
    crate_of_cases(&folder, "bodies", std::iter::empty());
    for body in &bodies {
        let name = name(body);
        let [with, without] = ["with", "without"].map(|version| {
            let said = check(&folder, &["--bin", &format!("{version}_{name}")]);
            // What it says of each mistake, without what cargo says around it.
            let said: Vec<String> = said
                .replace(&format!("{version}_{name}"), &name)
                .split("\n\n")
                .filter(|part| part.contains("\n  --> ") || part.contains("\n --> ") || part.contains("\n   --> "))
                .map(|part| part.trim_matches('\n').to_owned())
                .collect();
            said
        });
        assert!(!with.is_empty(), "{name} has no mistake");
        compared += with.len();
        let is_text = release() == RECORDED_WITH && name.starts_with("same_");
        let compare = |said: Vec<String>| if is_text { said } else { said.iter().map(|part| place(part)).collect() };
        assert_eq!(compare(with), compare(without), "{name}: left is with the attribute");
    }
    assert!(compared >= 30, "{compared} mistakes");
}

/// `E0308 src/bin/a.rs:5:1` of what the compiler says of one mistake.
fn place(said: &str) -> String {
    let mut lines = said.lines();
    let head = lines.find(|line| line.starts_with("error") || line.starts_with("warning")).unwrap_or_default();
    let place = lines.find_map(|line| line.trim_start().strip_prefix("--> ")).unwrap_or_default();
    format!("{} {place}", head.split(':').next().unwrap_or_default())
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

/// Writes a crate that has each case as a binary.
fn crate_of_cases<'a>(folder: &Path, name: &str, cases: impl Iterator<Item = (&'a str, &'a Path)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
        apiguard = {{ path = '{}', features = [\"http\", \"reqwest\", \"tracing\", \"testing\"] }}\n\
        thiserror = \"2\"\ntokio = {{ version = \"1\", features = [\"full\"] }}\n",
        root.display()
    );
    for (name, case) in cases {
        write!(manifest, "\n[[bin]]\nname = '{name}'\npath = '{}'\n", case.display()).unwrap();
    }
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that the workspace is tested with.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
}

/// What cargo says of a crate.
fn check(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["check", "--quiet", "--keep-going", "--offline", "--color=never"])
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cases"))
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
