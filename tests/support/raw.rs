//! A server of bytes, for answers that are no good HTTP, and for what a request looks like on its way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Reads each request whole, answers with bytes, and closes the connection.
#[derive(Clone)]
pub struct Raw {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    pub const OK: &'static [u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

    /// Gives these answers in turn, and `otherwise` after them.
    pub async fn scripted(script: impl IntoIterator<Item = &'static [u8]>, otherwise: &'static [u8]) -> Raw {
        Raw::start(script.into_iter().collect(), otherwise, None).await
    }

    /// Answers at once, with a body that comes later.
    pub async fn late(body_after: Duration) -> Raw {
        Raw::start(VecDeque::new(), Raw::OK, Some(body_after)).await
    }

    async fn start(mut script: VecDeque<&'static [u8]>, otherwise: &'static [u8], late: Option<Duration>) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let raw = Raw { url, seen: Arc::default() };
        let seen = raw.seen.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let answer = script.pop_front().unwrap_or(otherwise);
                let seen = seen.clone();
                tokio::spawn(async move {
                    let request = read(&mut connection).await;
                    seen.lock().unwrap().push(request);
                    let split = late.map_or(answer.len(), |_| answer.len() - 2);
                    let _ = connection.write_all(&answer[..split]).await;
                    if let Some(late) = late {
                        tokio::time::sleep(late).await;
                        let _ = connection.write_all(&answer[split..]).await;
                    }
                });
            }
        });
        raw
    }

    /// Accepts nothing: who connects waits for ever.
    pub async fn silent() -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let _listener = listener;
            std::future::pending::<()>().await;
        });
        Raw { url, seen: Arc::default() }
    }

    /// The requests, as they came.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A request with its body, by its `content-length`.
async fn read(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return String::from_utf8_lossy(&request).into_owned(),
        }
    }
    let mut head = String::from_utf8_lossy(&request).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    head.push_str(&String::from_utf8_lossy(&body));
    head
}

/// The URL of a port of loopback on which nobody listens.
pub async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}
