//! Settings of functions in `policy!`.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

fn verdict(_: &Answer) -> apiguard::Verdict {
    apiguard::Verdict::Success
}

apiguard::policy! {
    static ONE = (rate = "10/s", classify = verdict, fallback = cached, cost = 1, key = tenant);
    static TWO = (rate = "10/s", policy = ONE, clone(order), skip);
}

#[guarded(policy = ONE)]
async fn lookup() -> Answer {
    let _ = &TWO;
    Ok(1)
}

fn main() {}
