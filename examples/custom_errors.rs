//! An error type of your own: it holds what the guard says, tells the guard what its errors mean, and has a way out.
//!
//! ```text
//! cargo run --example custom_errors
//! ```

use std::time::Duration;

use apiguard::{Rejected, Verdict, attempt, guarded};
use tokio::time::sleep;

/// What can go wrong when a price is asked for. `#[from] Rejected` is all that `#[guarded]` needs.
#[derive(Debug, thiserror::Error)]
enum PriceError {
    #[error("not asked")]
    Guard(#[from] Rejected),
    #[error("there is no such thing as `{0}`")]
    Unknown(String),
    #[error("the price list is being written")]
    Busy { wait: Duration },
    #[error("the price list is broken")]
    Broken,
}

/// What each of them means. Without it all but rejections would be transient.
fn verdict(outcome: &Result<u32, PriceError>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Success,
        Err(PriceError::Guard(_) | PriceError::Unknown(_)) => Verdict::Permanent, // asking again changes nothing
        Err(PriceError::Busy { wait }) => Verdict::Transient { retry_after: Some(*wait) },
        Err(PriceError::Broken) => Verdict::Failure, // counts for the breaker, and is not asked for again
    }
}

/// What is returned in place of an error: yesterday's price, where that helps.
async fn yesterdays(item: &str, error: PriceError) -> Result<u32, PriceError> {
    match error {
        PriceError::Unknown(_) => Err(error),
        error => {
            println!("    ({item}: {error}; yesterday's price will do)");
            Ok(99)
        }
    }
}

#[guarded(
    name = "prices",
    retries(2, base = "50ms"),
    breaker(2, recovery = "1m"),
    classify = verdict,
    fallback = yesterdays
)]
async fn price(item: &str) -> Result<u32, PriceError> {
    println!("    attempt {}", attempt());
    sleep(Duration::from_millis(5)).await;
    match item {
        "apple" => Ok(120),
        "pear" if attempt() == 1 => Err(PriceError::Busy { wait: Duration::from_millis(300) }),
        "pear" => Ok(140),
        "plum" => Err(PriceError::Broken),
        other => Err(PriceError::Unknown(other.to_owned())),
    }
}

#[tokio::main]
async fn main() {
    // The first plum is asked for and broken, the second opens the breaker, the third is not asked for at all.
    for item in ["apple", "pear", "stone", "plum", "plum", "plum"] {
        println!("{item}");
        match price(item).await {
            Ok(cents) => println!("  costs {cents}"),
            Err(error) => println!("  error: {error}"),
        }
    }
}
