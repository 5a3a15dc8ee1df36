//! The mechanisms of apiguard. Use the crate `apiguard`, which re-exports what is public here.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod breaker;
mod budget;
mod call;
mod clock;
mod context;
mod counters;
#[cfg(test)]
mod dice;
mod event;
mod keyed;
mod keys;
mod limiter;
mod name;
mod output;
mod policy;
mod random;
mod registry;
mod rejected;
#[cfg(feature = "serde")]
mod serialize;
mod sync;
mod telemetry;
mod verdict;

#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub mod config;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod http;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub mod reqwest_middleware;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub mod tower;

#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use telemetry::metrics;

#[doc(hidden)]
#[allow(missing_docs)]
pub mod private;

pub use backoff::Backoff;
pub use breaker::{BreakerState, CircuitBreaker, CircuitOpen, Permit};
pub use budget::RetryBudget;
pub use context::attempt;
pub use event::{Event, EventKind, Events};
pub use guard_spec::{
    Breaker, Budget, Concurrency, InvalidSettings, Jitter, Problem, Problems, Quota, Rate, Ratio, Retry, Settings,
    Statuses, presets,
};
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use http::observe;
pub use keyed::{Idle, Keyed};
pub use limiter::{Refused, TokenBucket, Window};
pub use name::PolicyName;
pub use output::Guarded;
pub use policy::{InWindow, Outcomes, Policy, PolicyBuilder, Rejections, Snapshot, Transition, Unenforced};
pub use registry::{Registry, registry};
pub use rejected::{Error, Rejected};
pub use verdict::{Classify, Verdict};
