//! A real HTTP server on loopback that answers what it was told to and remembers when it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The first answers of each path; every later one is a 200.
const ANSWERS: [(&str, &str); 2] =
    [("/unavailable", "503 Service Unavailable"), ("/throttled", "429 Too Many Requests\r\nretry-after: 1")];

type Requests = Arc<Mutex<HashMap<String, Vec<Instant>>>>;

/// The server, running until the program ends.
pub struct Server {
    address: SocketAddr,
    requests: Requests,
}

impl Server {
    /// Listens on a free port.
    pub async fn start() -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, requests) = (listener.local_addr()?, Requests::default());
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen)));
            }
        });
        Ok(Server { address, requests })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// When a path was asked for.
    pub fn requests(&self, path: &str) -> Vec<Instant> {
        let requests = self.requests.lock().expect("no request panics");
        requests.get(path).cloned().unwrap_or_default()
    }
}

/// The requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, requests: Requests) -> std::io::Result<()> {
    let mut received = Vec::new();
    loop {
        while !received.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
        let now = Instant::now();
        // A GET has no body: what was received is one request.
        let head = String::from_utf8_lossy(&received).into_owned();
        received.clear();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let count = {
            let mut requests = requests.lock().expect("no request panics");
            let times = requests.entry(path.clone()).or_default();
            times.push(now);
            times.len()
        };
        let first = ANSWERS.iter().find(|(of, _)| *of == path).filter(|_| count == 1);
        let status = first.map_or("200 OK", |(_, status)| status);
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nhello").as_bytes()).await?;
    }
}
