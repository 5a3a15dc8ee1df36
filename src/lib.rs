//! apiguard guards calls to APIs that will fail: it keeps your side of a rate limit, stops calling a service that is
//! down, and retries without making an outage worse. One attribute above an ordinary async function:
//!
//! ```
//! use apiguard::{Error, guarded};
//!
//! #[guarded(rate = "100/s", retries = 3, breaker = 5, timeout = "10s")]
//! async fn lookup(id: u32) -> Result<String, Error<std::io::Error>> {
//!     // call the service here; `?`, `return`, `&self` and generics work as in any async function
//!     Ok(format!("user {id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! assert_eq!(lookup(7).await.unwrap(), "user 7");
//! # }
//! ```
//!
//! New here? [A first call in five minutes](guide::start); [all pages](guide).
//!
//! - [`guarded`] is the attribute ([what it writes](guide::expansion)), [`policy!`] declares a policy that several functions share.
//! - [`Policy`] holds the settings and the state; [`registry()`] lists every policy of the program.
//! - [`Rejected`] and [`Error`] say why a call did not run and when to come back.
//! - [`Verdict`] and [`Classify`] say what an outcome means.
//! - [`presets`] has limits that vendors publish, and retries and breakers that other libraries make.
//! - [`Keyed`] has a state for each key ([what limits promise](guide::limits)); [`TokenBucket`], [`Window`], [`CircuitBreaker`]
//!   ([what opens it](guide::breaker)), [`Backoff`] and [`RetryBudget`] work alone.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use guard_macros::{guarded, policy};
pub use guard_runtime::{
    Backoff, Breaker, BreakerState, Budget, CircuitBreaker, CircuitOpen, Classify, Concurrency, Error, Event,
    EventKind, Events, Guarded, Idle, InWindow, InvalidSettings, Jitter, Keyed, Outcomes, Permit, Policy,
    PolicyBuilder, PolicyName, Problem, Problems, Quota, Rate, Ratio, Refused, Registry, Rejected, Rejections, Retry,
    RetryBudget, Settings, Snapshot, Statuses, TokenBucket, Transition, Unenforced, Verdict, Window, attempt, registry,
};

pub use guard_runtime::presets;

#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub use guard_runtime::config;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use guard_runtime::metrics;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use guard_runtime::reqwest;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub use guard_runtime::reqwest_middleware;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use guard_runtime::testing;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use guard_runtime::tower;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use guard_runtime::{http, observe};

#[doc(hidden)]
pub use guard_runtime::private as __private;

/// Long pages, in the order in which to read them: [`start`](guide::start), [`retries`](guide::retries), [`breaker`](guide::breaker),
/// [`limits`](guide::limits), [`composition`](guide::composition), [`choosing`](guide::choosing), [`feedback`](guide::feedback),
/// [`telemetry`](guide::telemetry), [`configuration`](guide::configuration), [`clients`](guide::clients), [`tower`](guide::tower),
/// [`testing`](guide::testing), [`migration`](guide::migration), [`expansion`](guide::expansion), [`faults`](guide::faults),
/// [`faq`](guide::faq).
#[cfg(any(doc, doctest))]
pub mod guide {
    #[doc = include_str!("../docs/start.md")]
    pub mod start {}

    #[doc = include_str!("../docs/retries.md")]
    pub mod retries {}

    #[doc = include_str!("../docs/breaker.md")]
    pub mod breaker {}

    #[doc = include_str!("../docs/limits.md")]
    pub mod limits {}

    #[doc = include_str!("../docs/composition.md")]
    pub mod composition {}

    #[doc = include_str!("../docs/choosing.md")]
    pub mod choosing {}

    #[doc = include_str!("../docs/feedback.md")]
    pub mod feedback {}

    #[doc = include_str!("../docs/telemetry.md")]
    pub mod telemetry {}

    #[doc = include_str!("../docs/configuration.md")]
    pub mod configuration {}

    #[doc = include_str!("../docs/tower.md")]
    pub mod tower {}

    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    #[doc = include_str!("../docs/migration.md")]
    pub mod migration {}

    #[cfg(feature = "reqwest-middleware")]
    #[doc = include_str!("../docs/clients.md")]
    pub mod clients {}

    #[doc = include_str!("../docs/expansion.md")]
    pub mod expansion {}

    #[doc = include_str!("../docs/faults.md")]
    pub mod faults {}

    #[doc = include_str!("../docs/faq.md")]
    pub mod faq {}
}

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
