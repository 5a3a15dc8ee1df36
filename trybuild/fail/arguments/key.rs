//! Keys that cannot be told apart.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

struct Tenant;

#[guarded(rate = "10/s", key = tenant)]
async fn own_type(tenant: Tenant) -> Answer {
    let Tenant = tenant;
    Ok(1)
}

#[guarded(rate = "10/s", key = (id, share))]
async fn float(id: u32, share: f64) -> Answer {
    Ok(id + share as u32)
}

fn main() {}
