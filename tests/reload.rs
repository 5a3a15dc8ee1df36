//! A file of settings that changes while calls run: its changes take effect, nothing that was taken is lost or given twice,
//! and a bad or half-written file changes nothing.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apiguard::config::{Config, ConfigError, Report, Watch};
use apiguard::{BreakerState, Error, Rejected, guarded, registry};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

type Outcome<T> = Result<T, Error<std::io::Error>>;

/// The registry is one for all tests of this program, and each looks for its own policy in a file of its own: they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A file that goes away with it.
struct File(PathBuf);

impl File {
    fn new(content: &str) -> File {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("apiguard-reload-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = File(std::env::temp_dir().join(name));
        file.write(content);
        file
    }

    fn write(&self, content: &str) {
        fs::write(&self.0, content).unwrap();
    }

    fn watch(&self) -> Watch {
        registry().watch(&self.0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What is reported within a while.
async fn next(watch: &mut Watch, within: Duration) -> Option<Result<Report, ConfigError>> {
    timeout(within, watch.next()).await.ok()
}

#[guarded(rate("1/h", burst = 10, max_wait = "0s"), breaker = 3, timeout = "20s", name = "limited")]
async fn limited(fails: bool) -> Outcome<()> {
    if fails { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
}

#[tokio::test(start_paused = true)]
async fn a_change_takes_effect_and_loses_neither_tokens_nor_the_breaker() {
    let _turn = TURN.lock().await;
    let policy = registry().get("limited").unwrap();
    let file = File::new("# nothing yet\n");
    let mut watch = file.watch();
    assert_eq!(watch.next().await.unwrap().to_string(), "no setting changed");
    assert!(format!("{watch:?}").contains("reported: Some(14 bytes)"), "{watch:?}");
    for _ in 0..4 {
        limited(false).await.unwrap();
    }
    for _ in 0..2 {
        limited(true).await.unwrap_err();
    }
    assert_eq!((policy.snapshot().tokens, policy.snapshot().failures_in_a_row), (Some(4), 2));

    let start = Instant::now();
    file.write("[policies.limited]\nrate = { rate = '1/h', burst = 7, max_wait = '0s' }\ntimeout = '5s'\n");
    let report = watch.next().await.unwrap();
    assert_eq!(
        report.to_string(),
        "limited.rate: { rate = \"1/h\", burst = 10, max_wait = \"0s\" } -> { rate = \"1/h\", burst = 7, max_wait = \"0s\" }\n\
         limited.timeout: \"20s\" -> \"5s\""
    );
    assert!(start.elapsed() <= ms(6_100), "5 s to the next look and 1 s to stand still: {:?}", start.elapsed());
    let snapshot = policy.snapshot();
    assert_eq!((snapshot.tokens, snapshot.failures_in_a_row), (Some(4), 2), "tokens and the row of failures stay");
    for _ in 0..4 {
        limited(false).await.unwrap();
    }
    let refused = limited(false).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected(Rejected::RateLimited { .. })), "{refused}");

    // Trips the breaker, then changes what is not the breaker's.
    file.write("[policies.limited]\nrate = { rate = '1000/s', burst = 100, max_wait = '0s' }\n");
    let _ = watch.next().await.unwrap();
    tokio::time::advance(ms(1_000)).await;
    for _ in 0..3 {
        limited(true).await.unwrap_err();
    }
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open));
    file.write("[policies.limited]\nrate = '2/s'\n");
    let _ = watch.next().await.unwrap();
    assert_eq!(policy.snapshot().breaker, Some(BreakerState::Open), "a reload is no reset");
    assert_eq!(policy.settings().call_timeout(), Some(ms(20_000)), "the key is gone: as the code declares");
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
    policy.reset();
}

#[guarded(rate("5/s", max_wait = "0s"), name = "steady")]
async fn steady() -> Outcome<()> {
    Ok(())
}

type Spoil = fn(&Path);

#[tokio::test(start_paused = true)]
async fn a_bad_file_changes_nothing_and_is_reported_once() {
    let _turn = TURN.lock().await;
    let policy = registry().get("steady").unwrap();
    let file = File::new("[policies.steady]\nrate = '7/s'\n");
    let mut watch = file.watch();
    assert_eq!(watch.next().await.unwrap().changes().len(), 1);
    let good = policy.settings();
    let hour = Duration::from_secs(3_600);
    let bad: [(Spoil, &str); 5] = [
        (|path| fs::write(path, "[policies.steady]\nrate = '0/s'\nretires = 1").unwrap(), ":2:8: policies.steady.rate"),
        (|path| fs::write(path, "[policies.steady]\nrate = '9/s").unwrap(), "is no TOML"),
        (|path| fs::write(path, b"rate = '\xff'").unwrap(), "is not UTF-8"),
        (|path| fs::write(path, "").unwrap(), "is empty"),
        (|path| fs::remove_file(path).unwrap(), "cannot be read"),
    ];
    for (spoil, expected) in bad {
        spoil(&file.0);
        let error = next(&mut watch, ms(7_000)).await.expect(expected).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(next(&mut watch, hour).await.is_none(), "once, and not at every look: {expected}");
        assert_eq!(policy.settings(), good);
    }
    file.write("[policies.steady]\nrate = '8/s'\n");
    let report = next(&mut watch, ms(7_000)).await.unwrap().unwrap();
    assert_eq!(report.to_string(), "steady.rate: \"7/s\" -> \"8/s\"");
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_written_slowly_is_applied_when_it_is_whole() {
    let _turn = TURN.lock().await;
    let file = File::new("[policies.steady]\nrate = '7/s'\nquota = '100/m'\n");
    let mut watch = file.watch().every(ms(300)).settle(ms(1_000));
    let _ = watch.next().await.unwrap();
    let after = "[policies.steady]\nrate = '9/s'\nquota = '50/m'\nmax_pause = '1m'\n";
    let path = file.0.clone();
    let writer = tokio::spawn(async move {
        // Truncates, then writes in steps of 700 ms. After some of them it is a whole file of fewer settings.
        for end in (0..=after.len()).step_by(5).chain([after.len()]) {
            fs::write(&path, &after[..end]).unwrap();
            tokio::time::sleep(ms(700)).await;
        }
    });
    let report = next(&mut watch, ms(60_000)).await.unwrap().unwrap();
    assert_eq!(report.changes().len(), 3, "{report}");
    assert!(next(&mut watch, ms(60_000)).await.is_none());
    writer.await.unwrap();
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rename_is_followed_and_the_same_content_is_no_change() {
    let _turn = TURN.lock().await;
    let file = File::new("[policies.steady]\nrate = '7/s'\n");
    let mut watch = file.watch().every(ms(1)).settle(ms(1));
    let _ = watch.next().await.unwrap();
    file.write("[policies.steady]\nrate = '7/s'\n");
    assert!(next(&mut watch, ms(1_000)).await.is_none());
    // As an editor saves, and as a volume of secrets is swapped.
    let other = File::new("[policies.steady]\nrate = '6/s'\n");
    fs::rename(&other.0, &file.0).unwrap();
    let report = next(&mut watch, ms(1_000)).await.unwrap().unwrap();
    assert_eq!(report.to_string(), "steady.rate: \"7/s\" -> \"6/s\"");
    // A comment is another content: it is applied, and changes no setting.
    file.write("[policies.steady]\nrate = '6/s' # still\n");
    assert!(next(&mut watch, ms(1_000)).await.unwrap().unwrap().changes().is_empty());
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

/// As Kubernetes mounts a `ConfigMap`: the file is a link through a link, and that one is swapped.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_is_swapped_is_followed_also_when_it_was_gone() {
    use std::os::unix::fs::symlink;

    let _turn = TURN.lock().await;
    let folder = std::env::temp_dir().join(format!("apiguard-reload-{}-links", std::process::id()));
    for (version, rate) in [("..1", 6), ("..2", 7)] {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("a.toml"), format!("[policies.steady]\nrate = '{rate}/s'\n")).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/a.toml", folder.join("a.toml")).unwrap();
    let mut watch = registry().watch(folder.join("a.toml"));
    let _ = watch.next().await.unwrap();
    symlink("..2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    let report = next(&mut watch, ms(7_000)).await.unwrap().unwrap();
    assert_eq!(report.to_string(), "steady.rate: \"6/s\" -> \"7/s\"");
    // Gone for less time than a change must stand still, then for longer.
    fs::remove_file(folder.join("..data")).unwrap();
    assert!(next(&mut watch, ms(5_500)).await.is_none());
    symlink("..2", folder.join("..data")).unwrap();
    assert!(next(&mut watch, ms(60_000)).await.is_none());
    fs::remove_file(folder.join("..data")).unwrap();
    let error = next(&mut watch, ms(7_000)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    symlink("..1", folder.join("..data")).unwrap();
    let report = next(&mut watch, ms(7_000)).await.unwrap().unwrap();
    assert_eq!(report.to_string(), "steady.rate: \"7/s\" -> \"6/s\"");
    fs::remove_dir_all(&folder).unwrap();
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_heard_of_is_found_by_the_next_call() {
    let _turn = TURN.lock().await;
    let file = File::new("[policies.steady]\nrate = '7/s'\n");
    let mut watch = file.watch();
    let _ = watch.next().await.unwrap();
    file.write("[policies.steady]\nrate = '6/s'\n");
    // Dropped while it waits for the next look, and while the file has to stand still.
    for wait in [100, 4_950, 500] {
        assert!(next(&mut watch, ms(wait)).await.is_none());
    }
    assert_eq!(next(&mut watch, ms(2_000)).await.unwrap().unwrap().changes().len(), 1);
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

static SENT: AtomicU32 = AtomicU32::new(0);

#[guarded(rate("10/s", burst = 10, max_wait = "0s"), name = "counted")]
async fn counted() -> Outcome<()> {
    SENT.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_thousand_reloads_grant_no_token_twice_and_lose_none() {
    let _turn = TURN.lock().await;
    let file = File::new("# nothing yet\n");
    let mut watch = file.watch().every(ms(10)).settle(ms(10));
    let _ = watch.next().await.unwrap();
    let start = Instant::now();
    for round in 0..1_000 {
        // With the highest burst that the code has, and one less; every third time the code's own.
        let burst = 10 - round % 2;
        file.write(&match round % 3 {
            0 => format!("# nothing {round}\n"),
            _ => {
                format!("[policies.counted]\nrate = {{ rate = '10/s', burst = {burst}, max_wait = '0s' }} # {round}\n")
            }
        });
        let _ = watch.next().await.unwrap();
        for _ in 0..3 {
            let _ = counted().await;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let sent = f64::from(SENT.load(Ordering::Relaxed));
    assert!(seconds > 10.0, "{seconds}");
    assert!(sent <= 10.0 + 10.0 * seconds, "{sent} in {seconds} s");
    assert!(sent >= 10.0 * seconds * 0.98, "{sent} in {seconds} s");
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

#[test]
fn a_file_is_watched_without_a_runtime() {
    use std::future::Future as _;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake};

    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _turn = TURN.blocking_lock();
    let file = File::new("[policies.steady]\nrate = '3/s'\n");
    // Real waits, of some milliseconds: there is no paused clock without a runtime.
    let mut watch = file.watch().every(ms(10)).settle(ms(10));
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut next = std::pin::pin!(watch.next());
    let report = loop {
        match next.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(report) => break report.unwrap(),
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(report.to_string(), "steady.rate: { rate = \"5/s\", max_wait = \"0s\" } -> \"3/s\"");
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}

/// A waker that applies a configuration itself, as the code of an executor that runs woken tasks at once would.
struct Meddler(AtomicU32);

impl std::task::Wake for Meddler {
    fn wake(self: std::sync::Arc<Self>) {
        let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[guarded(rate("1/h", max_wait = "10h"), name = "slow")]
async fn slow() -> Outcome<()> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_by_a_reload_may_apply_another_one() {
    use std::future::Future as _;

    let _turn = TURN.lock().await;
    slow().await.unwrap();
    let mut waiting = Box::pin(slow());
    let meddler = std::sync::Arc::new(Meddler(AtomicU32::new(0)));
    let waker = meddler.clone().into();
    assert!(waiting.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    let config: Config = "[policies.slow]\nrate = { rate = '1000000/s', burst = 5 }".parse().unwrap();
    assert_eq!(registry().apply(config).unwrap().changes().len(), 1);
    assert!(meddler.0.load(Ordering::Relaxed) > 0, "it was woken");
    drop(waiting);
    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
}
