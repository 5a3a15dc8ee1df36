//! For tests of code that is guarded: fresh policies for each test, scripted outcomes, a record of what the guard did, no chance.
//!
//! | | |
//! |---|---|
//! | [`isolated`] | every policy is as new within a future, whatever other tests do; [`spawn`] and [`inherit`] for its tasks |
//! | [`Script`], [`Fault`] | outcomes in turn, as the body of a guarded function or as a service |
//! | [`record`] | attempts, delays, waits, rejections, changes of the breaker, to be asserted |
//! | [`seed`], [`no_jitter`] | delays that are the same in each run |
//!
//! With this feature policies follow tokio's clock. A test that is paused (`#[tokio::test(start_paused = true)]`) ends at once,
//! however long it waits, and what it waits is exact. tokio's timers have a resolution of a millisecond: a wait ends at the first
//! millisecond, counted from the runtime's start, at which it is over. The delays that [`Recording`] tells are those that were
//! planned, to the nanosecond.
//!
//! ```
//! use std::time::Duration;
//! use apiguard::testing::{self, Fault, Script};
//! use apiguard::{Error, guarded};
//!
//! apiguard::policy! {
//!     static PAYMENTS = (rate("100/s", burst = 20), retries = 3, breaker = 5, name = "payments");
//! }
//!
//! #[guarded(policy = PAYMENTS)]
//! async fn charge(service: &Script<u32>) -> Result<u32, Error<Fault>> {
//!     service.call().await
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! testing::isolated(async {
//!     testing::no_jitter();
//!     let seen = testing::record(&PAYMENTS);
//!     let service = Script::new().fail(1).throttled(Duration::from_secs(3)).ok(42);
//!
//!     assert_eq!(charge(&service).await.unwrap(), 42);
//!     assert_eq!(seen.delays(), [1, 3].map(Duration::from_secs));
//!     assert_eq!(seen.attempts(), 3);
//! })
//! .await;
//! # }
//! ```

mod fault;
mod record;
mod scope;
mod script;
pub(crate) mod simulation;

pub use self::fault::Fault;
pub(crate) use self::record::Recorders;
pub use self::record::{Recording, record};
pub use self::scope::{Inherited, Isolated, inherit, isolated, no_jitter, seed, spawn};
pub(crate) use self::scope::{forget, is_without_jitter, random, scope};
pub use self::script::Script;
