//! Items that are no functions.

use apiguard::guarded;

#[guarded(rate = "10/s")]
struct Client {
    id: u32,
}

#[guarded(rate = "10/s")]
pub(crate) enum Kind {
    One,
}

#[guarded(rate = "10/s")]
trait Api {
    fn id(&self) -> u32;
}

#[guarded(rate = "10/s")]
const LIMIT: u32 = 5;

#[guarded(rate = "10/s")]
static NAME: &str = "stripe";

#[guarded(rate = "10/s")]
mod inner {
    pub fn here() {}
}

#[guarded(rate = "10/s")]
use std::time::Duration;

impl Api for Client {
    fn id(&self) -> u32 {
        self.id
    }
}

fn main() {
    let _ = (Client { id: LIMIT }.id(), Kind::One, NAME, Duration::ZERO);
    inner::here();
}
