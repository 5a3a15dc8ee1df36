//! What is measured, as a table.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use crate::heap;
use crate::traffic::{KINDS, NEVER_FAILING, SOMETIMES_FAILING, World};

/// One look at the process.
#[derive(Clone, Copy)]
pub struct Sample {
    pub second: u64,
    /// Between two rounds, when all is quiet.
    pub at_rest: bool,
    pub calls: i64,
    pub running: i64,
    pub requests: i64,
    pub waiting: i64,
    pub in_flight: i64,
    /// Of policies whose keys have nothing to remember when all is quiet.
    pub passing_keys: i64,
    /// Of policies whose keys may have failed last.
    pub failing_keys: i64,
    pub blocks: i64,
    pub bytes: i64,
    pub resident_kib: i64,
    pub tasks: i64,
    pub threads: i64,
    pub descriptors: i64,
}

impl Sample {
    pub fn take(world: &World, second: u64, at_rest: bool) -> Sample {
        // Before anything is allocated here.
        let (blocks, bytes) = heap::live();
        let ended = |kind: &crate::traffic::Kind| {
            kind.tally.good.load(Relaxed) + kind.tally.bad.load(Relaxed) + kind.tally.left.load(Relaxed)
        };
        let snapshots = apiguard::registry().snapshots();
        let passing = NEVER_FAILING.iter().map(|policy| policy.snapshot().keys).sum::<usize>() + world.parts.keys();
        let failing: usize = SOMETIMES_FAILING.iter().map(|(policy, _)| policy.snapshot().keys).sum();
        let (resident_kib, threads) = heap::resident_and_threads();
        Sample {
            second,
            at_rest,
            calls: KINDS.iter().map(ended).sum::<u64>() as i64,
            running: KINDS.iter().map(|kind| kind.tally.running.load(Relaxed)).sum(),
            requests: world.server.requests() as i64,
            waiting: (snapshots.iter().map(|one| one.waiting).sum::<usize>() + world.parts.waiting()) as i64,
            in_flight: snapshots.iter().filter_map(|one| one.in_flight).map(i64::from).sum(),
            passing_keys: passing as i64,
            failing_keys: failing as i64,
            blocks,
            bytes,
            resident_kib,
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as i64,
            threads,
            descriptors: heap::descriptors(),
        }
    }
}

pub const HEAD: &str = "    second     calls  running  requests  waiting  in flight    keys  failing     blocks       KiB   RSS KiB  tasks  threads  files";

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:>5} {:>9} {:>8} {:>9} {:>8} {:>10} {:>7} {:>8} {:>10} {:>9} {:>9} {:>6} {:>8} {:>6}",
            if self.at_rest { "rest" } else { "    " },
            self.second,
            self.calls,
            self.running,
            self.requests,
            self.waiting,
            self.in_flight,
            self.passing_keys,
            self.failing_keys,
            self.blocks,
            self.bytes / 1_024,
            self.resident_kib,
            self.tasks,
            self.threads,
            self.descriptors
        )
    }
}
