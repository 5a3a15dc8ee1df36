//! A function that returns nothing.

use apiguard::guarded;

#[guarded(rate = "10/s")]
async fn nothing() {}

#[guarded(rate = "10/s", retries = 3)]
async fn with_arguments<'a>(text: &'a str)
where
    'a: 'static,
{
    let _ = text;
}

async fn all() {
    nothing().await;
    with_arguments("text").await;
}

fn main() {
    let _ = all();
}
