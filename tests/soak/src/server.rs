//! A real HTTP server on loopback that misbehaves: 429 with and without `Retry-After`, 500, 503, connections that are reset, answers
//! that are slow, stop in the middle or never come; and outages, in which nothing listens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::random::Random;

/// What the server is like at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Every answer is good.
    Well,
    /// One in fifty is not.
    Fair,
    /// Most are not.
    Foul,
    /// Nothing listens, and every connection is reset.
    Outage,
}

const ALL: [Weather; 4] = [Weather::Well, Weather::Fair, Weather::Foul, Weather::Outage];

pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

struct Shared {
    weather: AtomicU8,
    changed: watch::Sender<()>,
    requests: AtomicU64,
}

impl Server {
    /// Listens on so many ports: each is a host for a client.
    pub async fn start(hosts: usize) -> io::Result<Server> {
        let (weather, changed) = (AtomicU8::new(Weather::Well as u8), watch::Sender::new(()));
        let shared = Arc::new(Shared { weather, changed, requests: AtomicU64::new(0) });
        let mut addresses = Vec::new();
        for host in 0..hosts {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            tokio::spawn(listen(Arc::clone(&shared), listener, host as u64));
        }
        Ok(Server { shared, addresses })
    }

    pub fn url(&self, host: usize) -> String {
        format!("http://{}/", self.addresses[host % self.addresses.len()])
    }

    pub fn set(&self, weather: Weather) {
        self.shared.weather.store(weather as u8, Relaxed);
        self.shared.changed.send_replace(());
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// Changes the weather for ever.
    pub async fn make_weather(&self, mut random: Random) {
        loop {
            for (weather, from, to) in
                [(Weather::Fair, 300, 2_000), (Weather::Foul, 300, 2_000), (Weather::Outage, 200, 2_500)]
            {
                self.set(weather);
                tokio::time::sleep(random.millis(from, to)).await;
            }
        }
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        ALL[usize::from(self.weather.load(Relaxed))]
    }
}

async fn listen(shared: Arc<Shared>, first: TcpListener, seed: u64) {
    let (mut changed, mut random) = (shared.changed.subscribe(), Random::new(seed));
    let Ok(address) = first.local_addr() else { return };
    let mut listener = Some(first);
    loop {
        if shared.weather() == Weather::Outage {
            listener = None;
            if changed.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(open) = &listener else {
            // The port may be that of an outgoing connection for a moment.
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            continue;
        };
        tokio::select! {
            accepted = open.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(serve(stream, Arc::clone(&shared), Random::new(random.next())));
            },
            _ = changed.changed() => {}
        }
    }
}

/// The requests of one connection, one after the other; `None` ends it.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>, mut random: Random) -> Option<()> {
    let mut changed = shared.changed.subscribe();
    loop {
        tokio::select! {
            is_whole = read(&mut stream) => is_whole?,
            () = outage(&shared, &mut changed) => return None,
        }
        shared.requests.fetch_add(1, Relaxed);
        answer(&mut stream, shared.weather(), &mut random).await?;
    }
}

async fn outage(shared: &Shared, changed: &mut watch::Receiver<()>) {
    while shared.weather() != Weather::Outage && changed.changed().await.is_ok() {}
}

/// A request: none has a body.
async fn read(stream: &mut TcpStream) -> Option<()> {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

async fn answer(stream: &mut TcpStream, weather: Weather, random: &mut Random) -> Option<()> {
    let misbehaves = match weather {
        Weather::Well => false,
        Weather::Fair => random.chance(2),
        Weather::Foul => random.chance(70),
        Weather::Outage => return None,
    };
    if !misbehaves {
        return write(stream, "200 OK").await;
    }
    match random.below(16) {
        0 | 1 => write(stream, "429 Too Many Requests\r\nretry-after: 1").await,
        2 => write(stream, "429 Too Many Requests").await,
        3 => write(stream, "200 OK\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1").await,
        4..=6 => write(stream, "500 Internal Server Error").await,
        7 | 8 => write(stream, "503 Service Unavailable\r\nretry-after: 0").await,
        9 => write(stream, "404 Not Found").await,
        10 => None,
        11 => {
            // In the middle of the head.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.ok()?;
            None
        }
        12 => {
            // In the middle of the body.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").await.ok()?;
            None
        }
        13 | 14 => {
            tokio::time::sleep(random.millis(20, 400)).await;
            write(stream, "200 OK").await
        }
        _ => {
            // Hangs, until the caller has left or for a while.
            let mut byte = [0];
            tokio::time::timeout(Duration::from_secs(3), stream.read(&mut byte)).await.ok()?.ok()?;
            None
        }
    }
}

async fn write(stream: &mut TcpStream, head: &str) -> Option<()> {
    stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 5\r\n\r\nhello").as_bytes()).await.ok()
}
