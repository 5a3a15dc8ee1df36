//! apiguard under another name.

#![deny(warnings)]

mod inner {
    pub use apiguard as guard;
}

// Whoever writes `::apiguard` in here gets nothing useful.
mod user {
    use std::io;

    use crate::inner::guard::{Error, guarded, policy};

    policy! {
        pub static SHARED = (rate = "10/s", crate = crate::inner::guard);
    }

    #[guarded(rate = "10/s", retries = 3, timeout = "10s", crate = crate::inner::guard)]
    pub async fn own(order: String) -> Result<String, Error<io::Error>> {
        Ok(order)
    }

    #[guarded(policy = SHARED, retries = TIMES, crate = crate::inner::guard)]
    pub async fn shared(order: String) -> Result<String, Error<io::Error>> {
        Ok(order)
    }

    const TIMES: u32 = 2;

    pub struct Client;

    #[guarded(rate("10/s", burst = TIMES), retries = TIMES, key = 1, crate = crate::inner::guard)]
    impl Client {
        #[guarded(retries = 0, fallback = Self::none)]
        pub async fn get(&self, order: String) -> Result<String, Error<io::Error>> {
            Ok(order)
        }

        fn none(&self, _: String, error: Error<io::Error>) -> Result<String, Error<io::Error>> {
            Err(error)
        }
    }
}

/// A macro of another crate would write functions like this.
macro_rules! wrapped {
    ($name:ident, $times:expr, $output:ty) => {
        #[$crate::inner::guard::guarded(retries = $times, rate = "10/s", crate = $crate::inner::guard)]
        async fn $name(order: String) -> $output {
            Ok(order)
        }
    };
}

wrapped!(from_a_macro, 3, Result<String, apiguard::Error<std::io::Error>>);

fn main() {
    drop(user::Client.get(String::new()));
    drop(user::own(String::new()));
    drop(user::shared(String::new()));
    drop(from_a_macro(String::new()));
}
