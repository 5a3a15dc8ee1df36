//! Things after `policy =` that are no policy.

use std::io;
use std::sync::Arc;

use apiguard::{Error, Policy, Rate, Settings, guarded};

static SETTINGS: Settings = Settings::new().rate(Rate::per_second(10));

#[guarded(policy = SETTINGS)]
async fn settings() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[guarded(policy = SETTINGS, retries = 3, timeout = "10s")]
async fn with_settings_of_its_own(order: String) -> Result<String, Error<io::Error>> {
    Ok(order)
}

struct Client {
    id: u32,
    policy: Option<Arc<Policy>>,
}

impl Client {
    #[guarded(policy = self.id)]
    async fn number(&self) -> Result<(), Error<io::Error>> {
        Ok(())
    }

    #[guarded(policy = self.policy)]
    async fn option(&mut self) -> Result<(), Error<io::Error>> {
        self.id += 1;
        Ok(())
    }

    #[guarded(policy = self.polcy)]
    async fn field(&self) -> Result<(), Error<io::Error>> {
        Ok(())
    }
}

#[guarded(policy = Policy)]
async fn type_name() -> Result<(), Error<io::Error>> {
    Ok(())
}

async fn all() -> Result<(), Error<io::Error>> {
    settings().await?;
    with_settings_of_its_own("tea".into()).await?;
    let mut client = Client { id: 5, policy: None };
    client.number().await?;
    client.option().await?;
    client.field().await?;
    type_name().await
}

fn main() {
    let _ = all();
}
