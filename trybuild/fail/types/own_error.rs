//! An error enum of one's own without a place for a rejection.

use apiguard::guarded;

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("io")]
    Io(#[from] std::io::Error),
}

struct Shop;

impl Shop {
    #[guarded(retries = 3, attempt_timeout = "1s")]
    async fn order(&mut self, item: String) -> Result<usize, ShopError> {
        let text = std::fs::read_to_string(&item)?;
        if text.is_empty() {
            return Err(std::io::Error::other("empty").into());
        }
        Ok(text.len())
    }
}

#[guarded(rate = "10/s")]
async fn generic<E>() -> Result<usize, E> {
    Ok(5)
}

async fn all() -> Result<(), ShopError> {
    Shop.order("tea".into()).await?;
    generic::<ShopError>().await?;
    Ok(())
}

fn main() {
    let _ = all();
}
