//! Values that end too early.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

#[guarded(rate =)]
async fn nothing() -> Answer {
    Ok(1)
}

#[guarded(retries = 3, breaker = ,)]
async fn comma() -> Answer {
    Ok(1)
}

#[guarded(retries(3, base =))]
async fn inside() -> Answer {
    Ok(1)
}

#[guarded(policy = self.)]
async fn path() -> Answer {
    Ok(1)
}

#[guarded(rate("10/s", ))]
async fn good() -> Answer {
    Ok(1)
}

async fn all() -> Answer {
    nothing().await?;
    comma().await?;
    inside().await?;
    path().await?;
    good().await
}

fn main() {
    let _ = all();
}
