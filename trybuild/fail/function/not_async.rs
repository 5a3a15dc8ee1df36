//! A function that is not async.

use std::io;

use apiguard::{Error, guarded};

#[guarded(rate = "10/s")]
fn blocking() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(rate = "10/s")]
pub fn returns_a_future() -> impl Future<Output = Result<(), Error<io::Error>>> {
    async { Ok(()) }
}

struct Client;

impl Client {
    #[guarded(rate = "0/s")]
    fn method(&self) -> Result<(), Error<io::Error>> {
        Ok(())
    }
}

async fn all() -> Result<(), Error<io::Error>> {
    blocking()?;
    returns_a_future().await?;
    Client.method()
}

fn main() {
    let _ = all();
}
