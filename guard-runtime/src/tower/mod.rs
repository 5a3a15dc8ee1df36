//! A tower layer: any service under a policy, for clients (hyper, tonic) and servers (axum).
//!
//! | you have | write |
//! |---|---|
//! | a client, each request sent once | `GuardLayer::new(&POLICY)` |
//! | a client whose requests are `Clone` | `GuardLayer::new(&POLICY).retrying()` |
//! | an axum router | `GuardLayer::server(&POLICY)` |
//! | the same, a limit for each client | `GuardLayer::server(&POLICY).keyed_by(client_of)` |
//!
//! Limits, breaker, timeouts and retries are those of the [`Policy`](crate::Policy), as with `#[guarded]`; what runs inside can
//! ask for its [`attempt`](crate::attempt) and say what it has [observed](crate::observe).

mod future;
mod layer;
pub mod options;
mod service;

pub use future::{GuardFuture, SharedGuardFuture};
pub use layer::GuardLayer;
pub use service::{Guard, Holds};
