//! Runs cases, two at a time and each in a process of its own, and prints the table.

use std::fmt::Write as _;
use std::io::Read;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::tools::{Case, Measured, scale, seed};

/// Asks this program to run one case and to print its figure.
pub(crate) const HIDDEN: &str = "--case=";
const FIGURE: &str = "figure:";
/// A case that takes longer hangs. (The longest takes some seconds.)
const PATIENCE: Duration = Duration::from_secs(120);
/// Cases that are known to fall short, each with its reason on the page. One that holds now is to leave this list.
const KNOWN: &[&str] = &["L12b", "L14b"];
const PAGE: &str = include_str!("../../docs/faults.md");

/// In the process of one case. A panic ends it, with a status that says so.
pub(crate) fn run_one(case: &Case) -> ExitCode {
    let Measured { figure, holds } = (case.run)();
    println!("\n{FIGURE}{holds} {figure}");
    ExitCode::SUCCESS
}

pub(crate) fn run(cases: &[&Case], all: bool) -> ExitCode {
    if cases.is_empty() {
        return ExitCode::SUCCESS;
    }
    // The processes of the cases read it.
    println!("\nAPIGUARD_SEED={} APIGUARD_FAULTS_SCALE={}\n", seed(), scale());
    let results: Vec<Mutex<Option<Measured>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    let index = cases.iter().position(|other| other.id == case.id).unwrap();
                    *results[index].lock().unwrap() = Some(elsewhere(case));
                }
            });
        }
    });
    let results: Vec<Measured> = results.into_iter().map(|result| result.into_inner().unwrap().unwrap()).collect();
    let rows = cases.iter().zip(&results).map(|(case, measured)| {
        let verdict = if measured.holds { "holds" } else { "falls short" };
        [case.id, case.what, case.bound, &measured.figure, verdict].map(str::to_owned)
    });
    println!("{}", markdown(&rows.collect::<Vec<_>>()));
    let fall_short: Vec<_> =
        cases.iter().zip(&results).filter(|(_, result)| !result.holds).map(|(case, _)| case.id).collect();
    println!("{} cases; fall short: {fall_short:?}; known to: {KNOWN:?}\n", cases.len());
    let is_as_known = cases.iter().all(|case| fall_short.contains(&case.id) == KNOWN.contains(&case.id));
    let unsaid: Vec<_> = cases.iter().map(|case| case.id).filter(|id| !PAGE.contains(&format!("| {id} |"))).collect();
    if all && !unsaid.is_empty() {
        println!("docs/faults.md does not have {unsaid:?}");
    }
    if is_as_known && (unsaid.is_empty() || !all) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a case in another process.
fn elsewhere(case: &Case) -> Measured {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(format!("{HIDDEN}{}", case.id))
        .env("APIGUARD_SEED", seed().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read meanwhile: a process whose pipe is full waits.
    let (said, complained) = (reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap()));
    let ended = wait(&mut child);
    let (said, complained) = (said.join().unwrap(), complained.join().unwrap());
    let figure = said.lines().find_map(|line| line.strip_prefix(FIGURE));
    let measured = match (ended, figure.and_then(|figure| figure.split_once(' '))) {
        (true, Some((holds, figure))) => Measured { figure: figure.to_owned(), holds: holds == "true" },
        (true, None) => Measured { figure: "panicked, or was aborted".into(), holds: false },
        (false, _) => Measured { figure: format!("no end after {PATIENCE:?}"), holds: false },
    };
    if !measured.holds && !KNOWN.contains(&case.id) {
        println!("{} falls short: {}\n{complained}", case.id, measured.figure);
    }
    measured
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether it ended by itself.
fn wait(child: &mut Child) -> bool {
    let step = Duration::from_millis(5);
    // A real wait, since it is for another process.
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(step);
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

fn markdown(rows: &[[String; 5]]) -> String {
    let head = ["case", "what", "bound", "measured", "verdict"].map(str::to_owned);
    let mut text = String::new();
    let mut line = |cells: &[String; 5]| writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    line(&head);
    line(&std::array::from_fn(|_| "---".to_owned()));
    rows.iter().for_each(line);
    text
}
