//! What happened, in order: a hash of all of it, and the last of it to be read when something went wrong.

use std::collections::VecDeque;
use std::fmt;

#[derive(Clone, Copy, Debug)]
pub enum What {
    Comes,
    Begins { number: u32 },
    Answers { status: u16 },
    TimesOut,
    Leaves,
    Returns { reason: &'static str },
    Event { name: &'static str, shadow: bool, nanos: u64 },
    Configured { shadow: bool },
    Restart,
}

#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Nanoseconds since the beginning.
    pub at: u64,
    pub policy: usize,
    pub call: u32,
    pub what: What,
}

pub struct Trace {
    hash: u64,
    lines: u64,
    last: VecDeque<Line>,
    /// As many lines are kept.
    kept: usize,
}

impl Trace {
    pub fn new(kept: usize) -> Trace {
        Trace { hash: 0, lines: 0, last: VecDeque::with_capacity(kept), kept }
    }

    pub fn add(&mut self, line: Line) {
        let (kind, number) = match line.what {
            What::Comes => (1, 0),
            What::Begins { number } => (2, u64::from(number)),
            What::Answers { status } => (3, u64::from(status)),
            What::TimesOut => (4, 0),
            What::Leaves => (5, 0),
            What::Returns { reason } => (6, reason.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte))),
            What::Event { name, shadow, nanos } => {
                (7, nanos ^ name.bytes().fold(u64::from(shadow), |sum, byte| sum * 31 + u64::from(byte)))
            }
            What::Configured { shadow } => (8, u64::from(shadow)),
            What::Restart => (9, 0),
        };
        for word in [line.at, line.policy as u64, u64::from(line.call), kind, number] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        self.lines += 1;
        if self.last.len() == self.kept {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { at, policy, call, what } in &self.last {
            writeln!(f, "{:>14.6} ms  policy {policy}, call {call:>5}  {what:?}", *at as f64 / 1e6)?;
        }
        Ok(())
    }
}
