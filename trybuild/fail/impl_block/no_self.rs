//! What a block says of `self`, and a method that has none.

use std::io;

use apiguard::{Error, guarded};

type Answer = Result<u32, Error<io::Error>>;

use apiguard::Policy;

struct Client {
    policy: Policy,
}

#[guarded(policy = self.policy)]
impl Client {
    async fn connect(policy: Policy) -> Result<Client, Error<io::Error>> {
        Ok(Client { policy })
    }

    async fn lookup(&self) -> Answer {
        Ok(1)
    }
}

fn main() {}
