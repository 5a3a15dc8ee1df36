//! Return types that cannot hold a rejection.

use std::fmt::Display;
use std::io;

use apiguard::guarded;

#[guarded(rate = "10/s")]
async fn number() -> u32 {
    5
}

#[guarded(retries = 3, timeout = "10s", breaker = 5)]
async fn option(id: u32) -> Option<u32> {
    Some(id)
}

#[guarded(retries = 3)]
async fn io_error() -> Result<u32, io::Error> {
    Ok(5)
}

#[guarded(rate = "10/s")]
async fn alias() -> io::Result<u32> {
    let text = std::fs::read_to_string("number")?;
    text.trim().parse().map_err(io::Error::other)
}

#[guarded(retries = 3)]
async fn text() -> Result<u32, String> {
    Err("no")?
}

#[guarded(retries = 3)]
async fn unit() -> Result<u32, ()> {
    return Err(());
}

#[guarded(rate = "10/s", timeout = "10s")]
async fn opaque() -> impl Display {
    "text"
}

#[guarded(rate = "10/s")]
async fn never() -> ! {
    loop {}
}

async fn all() {
    let _ = number().await;
    let _ = option(5).await;
    let _ = io_error().await;
    let _ = alias().await;
    let _ = text().await;
    let _ = unit().await;
    let _ = opaque().await;
    let _ = never().await;
}

fn main() {
    let _ = all();
}
