//! Mistakes in lists of limits, each where it is.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate = ["10/s", "0/s", rate("5/m", burst = 0)], quota = ["5/h", "x/h", quota("5/s", max_wait = "1")])]
async fn each() -> Answer {
    Ok(1)
}

#[guarded(rate = [])]
async fn empty() -> Answer {
    Ok(1)
}

#[guarded(quota = ["1/s", "2/s", "3/s", "4/s", "5/s"])]
async fn five() -> Answer {
    Ok(1)
}

#[guarded(quota = [["1/s"], "2/s"])]
async fn nested() -> Answer {
    Ok(1)
}

const NONE: u32 = 0;

#[guarded(rate = ["10/s", rate("5/s", burst = NONE)])]
async fn constant() -> Answer {
    Ok(1)
}

#[guarded(quota = ["10/s", NONE])]
async fn other_type() -> Answer {
    Ok(1)
}

fn main() {}
