//! One error type for a whole function that calls an API through reqwest.
//!
//! ```no_run
//! use apiguard::http::ResponseExt;
//!
//! async fn greeting(client: &reqwest::Client) -> Result<String, apiguard::reqwest::Error> {
//!     Ok(client.get("https://api.example.com/greeting").send().await?.checked()?.text().await?)
//! }
//! ```
//!
//! reqwest can retry by itself (`ClientBuilder::retry`): leave that off below a guard that retries, or the attempts
//! multiply and the inner ones are not counted.

mod error;

pub use error::Error;
