//! What is retried, by the type of the outcome, with nothing said about it.

#![allow(clippy::panic, clippy::unwrap_used)] // in helpers, which are not tests themselves

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use apiguard::http::StatusError;
use apiguard::{Classify, Error, Rejected, Verdict, guarded};
use http::StatusCode;

/// How many attempts a function makes whose body always returns this.
macro_rules! attempts {
    ($output:ty, $value:expr) => {{
        static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

        #[guarded(retries(2, base = "1ms"))]
        #[allow(clippy::unused_async)]
        async fn always() -> $output {
            ATTEMPTS.fetch_add(1, Relaxed);
            $value
        }
        let _ = always().await;
        ATTEMPTS.load(Relaxed)
    }};
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn rejected() -> Rejected {
    #[guarded(breaker = 1)]
    #[allow(clippy::unused_async)]
    async fn fails() -> Result<(), Error<io::Error>> {
        Err(reset())
    }
    let mut outcomes = (0..2).map(|_| {
        let mut call = std::pin::pin!(fails());
        match Future::poll(call.as_mut(), &mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => panic!("it does not wait"),
        }
    });
    match outcomes.find_map(|outcome| match outcome {
        Err(Error::Rejected(rejected)) => Some(rejected),
        _ => None,
    }) {
        Some(rejected) => rejected,
        None => panic!("the breaker is open"),
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("guard")]
    Guard(#[from] Rejected),
    #[error("status")]
    Status(#[from] StatusError),
    #[error("io")]
    Io(#[from] io::Error),
    #[error("own")]
    Own,
}

#[derive(Debug)]
struct OwnVerdict(Verdict);

impl From<Rejected> for OwnVerdict {
    fn from(_: Rejected) -> OwnVerdict {
        OwnVerdict(Verdict::Permanent)
    }
}

impl Classify for OwnVerdict {
    fn classify(&self) -> Verdict {
        self.0
    }
}

/// Not an error at all.
struct Opaque;

impl From<Rejected> for Opaque {
    fn from(_: Rejected) -> Opaque {
        Opaque
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

fn status(status: u16) -> StatusError {
    StatusError::new(StatusCode::from_u16(status).unwrap(), None)
}

#[tokio::test(start_paused = true)]
async fn io_errors_are_judged_by_their_kind() {
    assert_eq!(attempts!(Result<(), Error<io::Error>>, Err(reset())), 3);
    assert_eq!(attempts!(Result<(), Error<io::Error>>, Err(not_found())), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_enum_is_judged_by_what_it_holds() {
    assert_eq!(attempts!(Result<(), AppError>, Err(reset().into())), 3);
    assert_eq!(attempts!(Result<(), AppError>, Err(not_found().into())), 1);
    assert_eq!(attempts!(Result<(), AppError>, Err(status(503).into())), 3);
    assert_eq!(attempts!(Result<(), AppError>, Err(status(404).into())), 1);
    assert_eq!(attempts!(Result<(), AppError>, Err(AppError::Own)), 3);
}

#[tokio::test(start_paused = true)]
async fn boxed_errors_are_judged_by_what_is_in_the_box() {
    assert_eq!(attempts!(Result<(), Boxed>, Err(status(503).into())), 3);
    assert_eq!(attempts!(Result<(), Boxed>, Err(status(400).into())), 1);
    assert_eq!(attempts!(Result<(), Boxed>, Err(AppError::from(status(400)).into())), 1);
    assert_eq!(attempts!(Result<(), Boxed>, Err("a text".into())), 3);
    assert_eq!(attempts!(Result<(), anyhow::Error>, Err(status(400).into())), 1);
    assert_eq!(attempts!(Result<(), anyhow::Error>, Err(anyhow::Error::from(status(400)).context("while paying"))), 1);
    assert_eq!(attempts!(anyhow::Result<()>, Err(anyhow::anyhow!("a text"))), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_an_inner_guard_is_not_retried_by_an_outer_one() {
    assert_eq!(attempts!(Result<(), Rejected>, Err(rejected())), 1);
    assert_eq!(attempts!(Result<(), AppError>, Err(rejected().into())), 1);
    assert_eq!(attempts!(Result<(), Boxed>, Err(rejected().into())), 1);
    assert_eq!(attempts!(Result<(), anyhow::Error>, Err(rejected().into())), 1);
    assert_eq!(attempts!(Result<(), Error<Error<io::Error>>>, Err(Error::Rejected(rejected()))), 1);
    assert_eq!(attempts!(Result<(), Error<Error<io::Error>>>, Err(Error::Call { source: reset(), attempts: 4 })), 1);
}

#[tokio::test(start_paused = true)]
async fn responses_and_statuses_are_judged_when_they_are_the_good_part_too() {
    assert_eq!(attempts!(Result<StatusCode, Opaque>, Ok(StatusCode::SERVICE_UNAVAILABLE)), 3);
    assert_eq!(attempts!(Result<StatusCode, Opaque>, Ok(StatusCode::NOT_FOUND)), 1);
    assert_eq!(attempts!(Result<StatusCode, Opaque>, Ok(StatusCode::OK)), 1);
    assert_eq!(attempts!(Result<http::Response<()>, Opaque>, Ok(busy())), 3);
}

static ASKED: AtomicU32 = AtomicU32::new(0);

/// Until the result is there the answer is 202.
#[guarded(retries(5, base = "1ms", statuses = [202]))]
#[allow(clippy::unused_async)]
async fn result() -> Result<http::Response<()>, Opaque> {
    let status = if ASKED.fetch_add(1, Relaxed) < 2 { 202 } else { 200 };
    Ok(http::Response::builder().status(status).body(()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_good_status_is_retried_where_the_policy_says_so() {
    assert!(result().await.is_ok_and(|response| response.status() == 200));
    assert_eq!(ASKED.load(Relaxed), 3);
}

fn busy() -> http::Response<()> {
    http::Response::builder().status(429).body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_type_may_have_its_own_verdict_and_any_other_error_is_transient() {
    assert_eq!(attempts!(Result<(), OwnVerdict>, Err(OwnVerdict(Verdict::TRANSIENT))), 3);
    assert_eq!(attempts!(Result<(), OwnVerdict>, Err(OwnVerdict(Verdict::Failure))), 1);
    assert_eq!(attempts!(Result<(), OwnVerdict>, Err(OwnVerdict(Verdict::Permanent))), 1);
    assert_eq!(attempts!(Result<OwnVerdict, Opaque>, Ok(OwnVerdict(Verdict::TRANSIENT))), 3);
    assert_eq!(attempts!(Result<(), Opaque>, Err(Opaque)), 3);
    assert_eq!(attempts!(Result<(), Opaque>, Ok(())), 1);
}

static GENERIC: AtomicU32 = AtomicU32::new(0);

#[guarded(retries(2, base = "1ms"))]
#[allow(clippy::unused_async)]
async fn generic<E: From<Rejected> + std::error::Error + 'static>(make: impl Fn() -> E) -> Result<(), E> {
    GENERIC.fetch_add(1, Relaxed);
    Err(make())
}

#[tokio::test(start_paused = true)]
async fn a_generic_error_is_judged_when_it_is_known_to_be_an_error() {
    generic(|| AppError::from(status(404))).await.unwrap_err();
    assert_eq!(GENERIC.swap(0, Relaxed), 1);
    generic(|| AppError::from(rejected())).await.unwrap_err();
    assert_eq!(GENERIC.swap(0, Relaxed), 1);
    generic(|| AppError::from(status(503))).await.unwrap_err();
    assert_eq!(GENERIC.swap(0, Relaxed), 3);
}
