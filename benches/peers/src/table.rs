//! The table: a column for each library, in Markdown that also reads as it is.

use std::fmt::Write;

/// The columns, and the package whose version stands for each.
pub const LIBRARIES: [(&str, &str); 10] = [
    ("apiguard", "apiguard"),
    ("governor", "governor"),
    ("leaky-bucket", "leaky-bucket"),
    ("recloser", "recloser"),
    ("failsafe", "failsafe"),
    ("backon", "backon"),
    ("tokio-retry2", "tokio-retry2"),
    ("tower", "tower"),
    ("tower-resil.", "tower-resilience-core"),
    ("reqwest-retry", "reqwest-retry"),
];

pub const APIGUARD: usize = 0;
pub const GOVERNOR: usize = 1;
pub const LEAKY_BUCKET: usize = 2;
pub const RECLOSER: usize = 3;
pub const FAILSAFE: usize = 4;
pub const BACKON: usize = 5;
pub const TOKIO_RETRY2: usize = 6;
pub const TOWER: usize = 7;
pub const TOWER_RESILIENCE: usize = 8;
pub const REQWEST_RETRY: usize = 9;

/// Rows in the order in which they come.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, [String; LIBRARIES.len()])>,
}

impl Table {
    /// A row; where it has nothing of a library stands "-".
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = (usize, String)>) {
        let mut row = [const { String::new() }; LIBRARIES.len()];
        for (library, cell) in cells {
            row[library] = cell;
        }
        self.rows.push((name.into(), row));
    }

    pub fn to_markdown(&self) -> String {
        let names = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = format!("| {:<names$} |", "");
        let widths = LIBRARIES.map(|(library, _)| library.len().max(8));
        for ((library, _), width) in LIBRARIES.iter().zip(widths) {
            let _ = write!(text, " {library:>width$} |");
        }
        let _ = write!(text, "\n|{:-<1$}|", "", names + 2);
        for width in widths {
            let _ = write!(text, "{:->1$}:|", "", width + 1);
        }
        for (name, cells) in &self.rows {
            let _ = write!(text, "\n| {name:<names$} |");
            for (cell, width) in cells.iter().zip(widths) {
                let cell = if cell.is_empty() { "-" } else { cell };
                let _ = write!(text, " {cell:>width$} |");
            }
        }
        text
    }
}

/// What was measured and on what.
pub fn head() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown CPU", |(_, model)| model);
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = std::process::Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let versions = LIBRARIES.map(|(_, package)| format!("{package} {}", version(package)));
    format!("{model}, {threads} hardware threads, {rustc}\n{}, tokio {}", versions.join(", "), version("tokio"))
}

/// The version of a package in `Cargo.lock`.
fn version(package: &str) -> &'static str {
    let mut lines = include_str!("../Cargo.lock").lines();
    lines.find(|line| line.strip_prefix("name = ").is_some_and(|name| name.trim_matches('"') == package));
    lines.next().and_then(|line| line.strip_prefix("version = ")).unwrap_or("?").trim_matches('"')
}
