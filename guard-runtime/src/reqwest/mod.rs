//! A client with the policies built in, and one error type for a whole function that calls an API through reqwest.
//!
//! | item | what |
//! |---|---|
//! | [`Client`] | a `reqwest::Client` whose requests are guarded: for each host, or all of them together |
//! | [`Guard`] | the policy that they come under; a middleware of `reqwest-middleware`, too |
//! | [`Error`] | a rejection, a failing status or reqwest's error, without URLs |
//! | [`Idempotent`] | marks a request that may be sent again |
//!
//! ```no_run
//! use apiguard::http::ResponseExt;
//!
//! async fn greeting(client: &apiguard::reqwest::Client) -> Result<String, apiguard::reqwest::Error> {
//!     Ok(client.get("https://api.example.com/greeting").send().await?.checked()?.text().await?)
//! }
//! # let client = apiguard::reqwest::Client::new(reqwest::Client::new());
//! # let _ = greeting(&client);
//! ```
//!
//! reqwest can retry by itself (`ClientBuilder::retry`): leave that off below a guard that retries, or the attempts
//! multiply and the inner ones are not counted. So do a guarded function that retries around a [`Client`] that retries: let
//! one of them.

mod client;
mod error;
mod guard;
mod repeat;
mod request;
mod run;

pub use client::Client;
pub use error::Error;
pub use guard::{Guard, PolicyRef};
pub use repeat::Idempotent;
pub use request::RequestBuilder;
#[cfg(feature = "reqwest-middleware")]
pub(crate) use run::{Failure, Transport, run};
