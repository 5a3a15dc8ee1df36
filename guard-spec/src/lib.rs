//! What an apiguard policy may say, and what is wrong with it when it says something else.
//!
//! One grammar and one set of checks serve the attribute at compile time, constants in `const` evaluation and
//! configuration at run time. Everything here is plain data: integers (nanoseconds, counts, millionths), no clock, no
//! float that could be `NaN`, no dependencies.
//!
//! [`Settings`] holds what was declared, [`Settings::problems`] says what is wrong with it, [`parse`] reads the text forms.

#![forbid(unsafe_code)]

mod breaker;
mod check;
mod concurrency;
pub mod parse;
pub mod presets;
mod problem;
mod quota;
mod rate;
mod ratio;
mod retry;
mod settings;
mod suggest;
mod synonyms;
mod text;
#[cfg(feature = "serde")]
pub mod words;

pub use breaker::Breaker;
pub use concurrency::Concurrency;
pub use problem::{Field, InvalidSettings, Problem, Problems, Value};
pub use quota::Quota;
pub use rate::Rate;
pub use ratio::Ratio;
pub use retry::{Budget, Jitter, Retry, Statuses};
pub use settings::Settings;
pub use suggest::{meant, nearest};
pub use synonyms::{names_with_synonyms, synonyms};
pub use text::InWords;

/// The longest duration that a setting may have: 365 days.
pub const LONGEST: core::time::Duration = core::time::Duration::from_secs(365 * 24 * 60 * 60);
