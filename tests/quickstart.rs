//! The example `quickstart` as a stranger runs it: a child process, judged by what it prints and how it ends.

// Its helpers are not tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program. Cargo builds examples for a plain `cargo test` only and tells nobody where they are; asked again it
/// builds what is missing or stale, for this test's own profile and target directory.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // <target>/<profile>/deps/quickstart-<hash>
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let program = profile.join("examples").join(format!("quickstart{}", std::env::consts::EXE_SUFFIX));
        let named = profile.file_name().unwrap().to_str().unwrap();
        let built = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--quiet", "--example", "quickstart"])
            .args(["--profile", if named == "debug" { "dev" } else { named }])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .status();
        assert!(built.unwrap().success());
        program
    })
}

/// What it printed and its exit code.
fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let Output { status, stdout, stderr } = Command::new(program()).args(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout, stderr, status.code())
}

/// The guarded and the unguarded figure of a row of the table.
fn row(printed: &str, label: &str) -> (u64, u64) {
    let line = printed.lines().find(|line| line.trim_start().starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no row `{label}` in\n{printed}"));
    let mut figures = line.split_whitespace().rev();
    let unguarded = figures.next().unwrap();
    (figures.next().unwrap().parse().unwrap(), unguarded.parse().unwrap_or(0))
}

#[test]
fn it_tells_the_story_of_a_bad_day_and_compares() {
    let (printed, errors, code) = run(&[]);
    assert_eq!((errors.as_str(), code), ("", Some(0)), "{printed}");
    let mut rest = printed.as_str();
    // In this order, whatever is between them.
    for milestone in [
        "-- all is well",
        "admitted",
        "-- a rush",
        "after a wait of ",
        "rate limited: come back in ",
        "-- the server lowers its limit",
        "as the server asked",
        "-- the server is down",
        "closed -> open",
        "circuit open: come back in ",
        "-- the server hangs",
        "open -> half-open",
        "half-open -> open",
        "-- the server is well again",
        "open -> half-open",
        "half-open -> closed",
        "admitted",
        "guarded   unguarded",
        "most requests in any one second",
        "quickstart: ",
    ] {
        let found = rest.find(milestone).unwrap_or_else(|| panic!("no `{milestone}` in its place in\n{printed}"));
        rest = &rest[found + milestone.len()..];
    }
    assert!(!printed.contains('\u{1b}'), "colours although nobody looks at a terminal");

    let figures = |label| row(&printed, label);
    let (calls, calls_unguarded) = figures("calls");
    assert_eq!(calls, calls_unguarded, "the same traffic on both sides");
    let (attempts, requests) = (figures("attempts"), figures("requests"));
    // An attempt can time out on its way, on a machine that stalls; most do arrive.
    for (attempts, requests) in [(attempts.0, requests.0), (attempts.1, requests.1)] {
        assert!(requests <= attempts && requests * 10 >= attempts * 9, "attempts are what the server saw\n{printed}");
    }
    let ends = ["succeeded", "rejected: rate limited", "rejected: circuit open", "timed out", "failed"].map(figures);
    assert_eq!(ends.iter().map(|end| end.0).sum::<u64>(), calls, "every call ends in one way\n{printed}");
    assert_eq!(ends.iter().map(|end| end.1).sum::<u64>(), calls, "every call ends in one way\n{printed}");

    let (most, most_unguarded) = figures("most requests in any one second");
    assert!(most <= 50 && most_unguarded > 50, "the limit is kept by one side only\n{printed}");
    for worse in ["refused: 429", "sent while it was down: 503", "sent while it hung"].map(figures) {
        assert!(worse.0 < worse.1, "{printed}");
    }
    assert!(printed.contains(&format!("quickstart: {calls} calls, ")), "the registry agrees\n{printed}");
}

#[test]
fn help_is_not_an_error() {
    let (printed, errors, code) = run(&["--help"]);
    assert!(printed.contains("usage:") && printed.contains("--url"), "{printed}");
    assert_eq!((errors.as_str(), code), ("", Some(0)));
}

#[test]
fn a_command_line_that_means_nothing_ends_with_2_and_says_why() {
    for (arguments, complaint) in [
        (&["--fast"][..], "unknown argument `--fast`"),
        (&["--help", "me"], "unexpected argument `me`"),
        (&["--url"], "`--url` needs an address"),
        (&["--url", "example"], "`--url`: not an address"),
        (&["--url=ftp://example.com/"], "`ftp` is not http or https"),
    ] {
        let (printed, errors, code) = run(arguments);
        assert!(errors.contains(complaint) && errors.contains("usage:"), "{arguments:?}: {errors}");
        assert_eq!((printed.as_str(), code), ("", Some(2)), "{arguments:?}");
    }
}

#[test]
fn an_address_where_nobody_answers_ends_with_1_and_says_so() {
    // Bound and closed: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (printed, errors, code) = run(&["--url", &format!("http://user:secret@{free}/secret?token=secret")]);
    assert!(errors.contains(&format!("no call to http://{free} succeeded: cannot connect")), "{errors}");
    assert!(printed.contains("closed -> open") && printed.contains("0 of 5 calls succeeded"), "{printed}");
    assert!(printed.contains("quickstart.url: 5 calls"), "{printed}");
    assert!(!(printed + &errors).contains("secret"), "the address is not shown");
    assert_eq!(code, Some(1));
}

#[test]
fn an_address_that_answers_ends_with_0() {
    use std::io::{BufRead, BufReader, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let mut line = String::new();
            while connection.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwell";
            connection.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    let (printed, errors, code) = run(&["--url", &url]);
    assert!(printed.contains("200 OK, 4 bytes in ") && printed.contains("5 of 5 calls succeeded"), "{printed}");
    assert_eq!((errors.as_str(), code), ("", Some(0)));
}
