//! A method of a trait that has no body.

use std::io;

use apiguard::{Error, guarded};

#[allow(async_fn_in_trait)]
pub trait Api {
    #[guarded(rate = "10/s")]
    async fn charge(&self) -> Result<(), Error<io::Error>>;
}

struct Client;

impl Api for Client {
    async fn charge(&self) -> Result<(), Error<io::Error>> {
        Ok(())
    }
}

fn main() {
    let _ = Client.charge();
}
