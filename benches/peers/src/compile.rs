//! What the attribute costs the compiler, by `benches/compile_time`.

use std::process::{Command, Stdio};

use crate::table::{APIGUARD, Table};

pub fn rows(table: &mut Table) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../compile_time");
    let output = Command::new("bash").arg(script).stderr(Stdio::inherit()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let ratio = said.lines().find_map(|line| line.strip_prefix("guarded / instrument: ")?.split(' ').next());
    let cell = ratio.map(|ratio| (APIGUARD, ratio.to_owned()));
    table.row("300 functions, `cargo check`, over tracing's `instrument`", cell);
}
