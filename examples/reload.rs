//! A limit is changed in production, without a restart: a program calls a server as fast as its policy lets it, while somebody
//! edits `apiguard.toml`. One of the edits is a mistake, and changes nothing.
//!
//! ```text
//! cargo run --example reload
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::{guarded, registry};

/// What the code declares.
#[guarded(name = "shop.orders", rate = "20/s", retries = 2, breaker = 5, timeout = "4s")]
async fn order(client: &reqwest::Client, url: &str) -> Result<String, apiguard::reqwest::Error> {
    Ok(client.get(url).send().await?.checked()?.text().await?)
}

const EDITS: [(&str, &str); 4] = [
    ("nothing yet: the code's word holds", "# settings of this program\n"),
    ("the vendor allows more", "[policies.\"shop.orders\"]\nrate = { rate = \"80/s\", burst = 5 }\n"),
    ("two mistakes", "[policies.\"shop.orders\"]\nrate = { rate = \"80/sec\", bursts = 5 }\n"),
    (
        "less, and what another program uses",
        "[policies.\"shop.orders\"]\nrate = \"40/s\"\n[policies.\"shop.order\"]\nrate = \"1/s\"\n",
    ),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let requests = Arc::new(AtomicU32::new(0));
    let url = serve(requests.clone()).await?;
    let path = File(std::env::temp_dir().join(format!("apiguard-{}.toml", std::process::id())));
    std::fs::write(&path.0, EDITS[0].1)?;

    // What a program adds to be configured while it runs.
    let mut watch = registry().watch(&path.0).every(Duration::from_millis(100)).settle(Duration::from_millis(100));
    tokio::spawn(async move {
        loop {
            match watch.next().await {
                Ok(report) => println!("  applied: {report}"),
                Err(error) => println!("  refused, the settings stay:\n{error}"),
            }
        }
    });

    let client = reqwest::Client::new();
    for _ in 0..8 {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            loop {
                // Waits for its turn: the rate is the policy's, however many ask.
                if let Err(error) = order(&client, &url).await {
                    println!("  {error}");
                }
            }
        });
    }
    for (what, content) in EDITS {
        println!("edit: {what}");
        std::fs::write(&path.0, content)?;
        // Until it is seen and applied; then half a second to count in.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let before = requests.load(Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
        println!("  the server sees {} requests per second", 2 * (requests.load(Relaxed) - before));
    }
    println!("\n{}\n\n{}", registry(), registry().check());
    Ok(())
}

async fn serve(requests: Arc<AtomicU32>) -> Result<String, Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = axum::Router::new().fallback(move || {
        requests.fetch_add(1, Relaxed);
        async { "ordered" }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// It goes away with the program.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
