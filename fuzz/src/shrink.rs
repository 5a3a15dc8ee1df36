//! A failing input, made as small as it can be: pieces are left out, from large to small, then bytes are made plain.

use std::time::{Duration, Instant};

use crate::driver::{Seen, run};
use crate::targets::Target;

const TIME: Duration = Duration::from_secs(20);
/// Where chance plays a part an input fails now and then.
const TRIES: usize = 3;

pub(crate) fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let start = Instant::now();
    let fails = |input: &[u8]| (0..TRIES).any(|_| run(target, input, &mut Seen::default()).is_err());
    let mut smallest = input.to_vec();
    let mut size = smallest.len().next_power_of_two();
    while size > 0 && start.elapsed() < TIME {
        let (mut at, before) = (0, smallest.len());
        while at < smallest.len() && start.elapsed() < TIME {
            let mut candidate = smallest.clone();
            candidate.drain(at..(at + size).min(smallest.len()));
            if fails(&candidate) {
                smallest = candidate;
            } else {
                at += size;
            }
        }
        // What was left out may let more be left out of what came before.
        if size > 1 || smallest.len() == before {
            size /= 2;
        }
    }
    for at in 0..smallest.len() {
        for plain in [0, b'0', b'a'] {
            let mut candidate = smallest.clone();
            candidate[at] = plain;
            if start.elapsed() < TIME && candidate[at] != smallest[at] && fails(&candidate) {
                smallest = candidate;
                break;
            }
        }
    }
    smallest
}
