//! A GET by reqwest on loopback: instructions, by callgrind, and allocations beside those of the plain client.
//!
//! This program starts itself again: as the server, which is not counted, and as the client, under valgrind and without. The client
//! has one thread, so that what its connection does is counted with the call.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use apiguard::reqwest::Guard;
use apiguard::{Breaker, Policy, Rate, Retry, Settings};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};

use crate::measure::allocations_so_far;
use crate::table::{APIGUARD, REQWEST_RETRY, Table};

const WARMING_UP: u32 = 100;
const CALLS: u32 = 500;

/// What a child is told to be.
const SERVER: &str = "--server";
const CLIENT: &str = "--client";

/// Who sends: `plain` is what the others are compared with.
const SHARED: &str = "shared";
const PER_HOST: &str = "per-host";
const MIDDLEWARE: &str = "middleware";
const PLAIN: &str = "plain";
const RETRY: &str = "reqwest-retry";

/// Whether this process is one of those that [`rows`] starts; then it has done its work.
pub fn is_child() -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVER] => serve(),
        [CLIENT, who, url] => println!("{}", send(who, url)),
        _ => return false,
    }
    true
}

pub fn rows(table: &mut Table) {
    let (mut server, url) = start_server();
    let counts = [PLAIN, SHARED, PER_HOST, MIDDLEWARE, RETRY].map(|who| (instructions(who, &url), child(who, &url)));
    let _ = server.kill();
    let _ = server.wait();
    let [plain, shared, per_host, middleware, retry] = counts;
    let allocations = |ours: u64| format!("{:+.1}", (ours as f64 - plain.1 as f64) / f64::from(CALLS));
    let Some(base) = plain.0 else {
        table.row("a reqwest GET: without valgrind no instructions", []);
        return;
    };
    let more = |ours: Option<u64>| ours.map(|ours| format!("{:+.1}", (ours as f64 / base as f64 - 1.0) * 100.0));
    let cell = |library, cell: Option<String>| cell.map(|cell| (library, cell));
    let name = format!("a reqwest GET ({} instructions): % more", base / u64::from(CALLS));
    table.row(name, [cell(APIGUARD, more(shared.0)), cell(REQWEST_RETRY, more(retry.0))].into_iter().flatten());
    table.row("... more allocations", [(APIGUARD, allocations(shared.1)), (REQWEST_RETRY, allocations(retry.1))]);
    table.row("... a policy per host: % more", cell(APIGUARD, more(per_host.0)));
    table.row("... more allocations", [(APIGUARD, allocations(per_host.1))]);
    table.row("... as reqwest-middleware: % more", cell(APIGUARD, more(middleware.0)));
    table.row("... more allocations", [(APIGUARD, allocations(middleware.1))]);
}

// ---- the server

fn start_server() -> (Child, String) {
    let program = std::env::current_exe().expect("a program");
    let mut server = Command::new(program).arg(SERVER).stdout(Stdio::piped()).spawn().expect("a server");
    let mut port = Vec::new();
    let mut output = server.stdout.take().expect("its output");
    let mut byte = [0];
    while output.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        port.extend(byte);
    }
    (server, format!("http://127.0.0.1:{}/", String::from_utf8_lossy(&port)))
}

/// Answers whatever ends in an empty line, on as many connections as come, until it is killed.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("its address").port());
    for connection in listener.incoming().flatten() {
        std::thread::spawn(move || answer(connection));
    }
}

fn answer(mut connection: TcpStream) {
    let mut buffer = [0; 4096];
    let mut request = Vec::new();
    while let Ok(read @ 1..) = connection.read(&mut buffer) {
        request.extend(&buffer[..read]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
            if connection.write_all(answer).is_err() {
                return;
            }
        }
    }
}

// ---- the client

/// Sends all requests, and says how many allocations the counted ones made.
fn send(who: &str, url: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = Client::new();
    let settings = Settings::new()
        .rate(Rate::per_second(1_000_000).burst(1_000_000))
        .breaker(Breaker::consecutive(5))
        .retries(Retry::new(3));
    let policy = Policy::builder("client").settings(settings).build().expect("settings");
    let sender = match who {
        PLAIN => Sender::Plain(client),
        SHARED => Sender::Guarded(apiguard::reqwest::Client::guarded(client, Guard::shared(policy))),
        PER_HOST => Sender::Guarded(apiguard::reqwest::Client::guarded(client, Guard::per_host(policy))),
        MIDDLEWARE => Sender::Middleware(ClientBuilder::new(client).with(Guard::shared(policy)).build()),
        _ => {
            let policy = ExponentialBackoff::builder().build_with_max_retries(3);
            let retry = RetryTransientMiddleware::new_with_policy(policy);
            Sender::Middleware(ClientBuilder::new(client).with(retry).build())
        }
    };
    runtime.block_on(async {
        for _ in 0..WARMING_UP {
            sender.get(url).await;
        }
    });
    let before = allocations_so_far();
    measured(&runtime, &sender, url);
    allocations_so_far() - before
}

enum Sender {
    Plain(Client),
    Guarded(apiguard::reqwest::Client),
    Middleware(ClientWithMiddleware),
}

impl Sender {
    async fn get(&self, url: &str) {
        let response = match self {
            Sender::Plain(client) => client.get(url).send().await.expect("an answer"),
            Sender::Guarded(client) => client.get(url).send().await.expect("an answer"),
            Sender::Middleware(client) => client.get(url).send().await.expect("an answer"),
        };
        assert_eq!(response.bytes().await.expect("its body"), "ok");
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured(runtime: &tokio::runtime::Runtime, sender: &Sender, url: &str) {
    runtime.block_on(async {
        for _ in 0..CALLS {
            sender.get(url).await;
        }
    });
}

/// The allocations of a client that runs at full speed.
fn child(who: &str, url: &str) -> u64 {
    let program = std::env::current_exe().expect("a program");
    let output = Command::new(program).args([CLIENT, who, url]).output().expect("a client");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of allocations")
}

/// The instructions of all calls; nothing where valgrind is not there.
fn instructions(who: &str, url: &str) -> Option<u64> {
    let program = std::env::current_exe().expect("a program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=apiguard_peers::client::measured"])
        .arg(program)
        .args([CLIENT, who, url])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    Some(collected.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or_else(|| panic!("no count:\n{said}")))
}
