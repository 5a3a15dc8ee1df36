//! Expressions over what is no argument.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate = "10/s", key = tenants)]
async fn key(tenant: u32) -> Answer {
    Ok(tenant)
}

#[guarded(rate("10/s", burst = 5), cost = size(tenant))]
async fn cost(tenant: u32) -> Answer {
    Ok(tenant)
}

fn main() {}
