//! Outcomes in the order in which a test wants them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Fault;
use crate::clock::{self, Timer};

/// The outcomes that a service has, one for each call of it: the body of a guarded function, or what it calls.
///
/// Clones are the same script, so that one can go into a task or a service and the other one be asked what it saw.
///
/// ```
/// use std::time::Duration;
/// use apiguard::testing::{Fault, Script};
/// use apiguard::{Error, guarded};
///
/// #[guarded(retries(3, base = "1ms"))]
/// async fn charge(service: &Script<u32>) -> Result<u32, Error<Fault>> {
///     service.call().await
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = Script::new().fail(2).ok(42).after(Duration::from_millis(5));
/// assert_eq!(charge(&service).await.unwrap(), 42);
/// assert_eq!((service.calls(), service.remaining()), (3, 0));
/// # }
/// ```
///
/// Any types will do: `.ok(value)`, `.err(error)` and `.times(n, || outcome)`. Without an error type of one's own there is [`Fault`], of
/// which `.fail(n)`, `.throttled(time)` and `.permanent()` are made; with the feature `http` there are `.response(status, headers)`
/// and `.status(status, headers)`.
///
/// Who calls a script that is over is told so by a panic, with the number of the call: one attempt too many is what a test wants to
/// know of. `.otherwise(|| outcome)` goes on instead.
pub struct Script<T, E = Fault>(Arc<Shared<T, E>>);

type Make<T, E> = Arc<dyn Fn() -> Result<T, E> + Send + Sync>;

struct Shared<T, E>(Mutex<State<T, E>>);

struct State<T, E> {
    steps: VecDeque<Step<T, E>>,
    /// What comes when there are no steps any more, and how long it takes.
    otherwise: Option<(Make<T, E>, Duration)>,
    /// Whether that was said last.
    otherwise_is_last: bool,
    /// When each call came.
    arrivals: Vec<u64>,
}

struct Step<T, E> {
    takes: Duration,
    ends: End<T, E>,
}

enum End<T, E> {
    Outcome(Result<T, E>),
    Made(Make<T, E>),
    Never,
    Panic(String),
}

impl<T, E> Script<T, E> {
    /// No outcomes yet.
    #[must_use]
    pub fn new() -> Script<T, E> {
        let (steps, arrivals) = (VecDeque::new(), Vec::new());
        Script(Arc::new(Shared(Mutex::new(State { steps, otherwise: None, otherwise_is_last: false, arrivals }))))
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        // No code of the user's runs under it.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn then(self, ends: End<T, E>) -> Script<T, E> {
        let mut state = self.state();
        state.steps.push_back(Step { takes: Duration::ZERO, ends });
        state.otherwise_is_last = false;
        drop(state);
        self
    }

    /// Then it works.
    #[must_use]
    pub fn ok(self, value: T) -> Script<T, E> {
        self.then(End::Outcome(Ok(value)))
    }

    /// Then it fails.
    #[must_use]
    pub fn err(self, error: E) -> Script<T, E> {
        self.then(End::Outcome(Err(error)))
    }

    /// Then this outcome comes, `n` times. (They are made now.)
    #[must_use]
    pub fn times(mut self, n: usize, mut outcome: impl FnMut() -> Result<T, E>) -> Script<T, E> {
        for _ in 0..n {
            self = self.then(End::Outcome(outcome()));
        }
        self
    }

    /// Then it never answers.
    #[must_use]
    pub fn hang(self) -> Script<T, E> {
        self.then(End::Never)
    }

    /// Then it panics, with this message.
    #[must_use]
    pub fn panic(self, message: impl Into<String>) -> Script<T, E> {
        self.then(End::Panic(message.into()))
    }

    /// What was said last takes this long: `.ok(42).after(…)`. Of `times` and `fail`, it is the last one alone, of `otherwise` each. At
    /// once unless told.
    ///
    /// # Panics
    /// When nothing was said before.
    #[must_use]
    #[track_caller]
    pub fn after(self, time: Duration) -> Script<T, E> {
        let mut state = self.state();
        let last = if state.otherwise_is_last {
            state.otherwise.as_mut().map(|(_, takes)| takes)
        } else {
            state.steps.back_mut().map(|step| &mut step.takes)
        };
        let is_there = last.map(|takes| *takes = time).is_some();
        drop(state);
        assert!(is_there, "`after` says how long the outcome before it takes, and there is none");
        self
    }

    /// What comes when all else has come: any number of times.
    #[must_use]
    pub fn otherwise(self, outcome: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Script<T, E> {
        let outcome: Make<T, E> = Arc::new(outcome);
        let mut state = self.state();
        let before = state.otherwise.replace((outcome, Duration::ZERO));
        state.otherwise_is_last = true;
        drop(state);
        // A closure of the user's, without the lock.
        drop(before);
        self
    }

    /// How many calls there were, those that were dropped included.
    pub fn calls(&self) -> usize {
        self.state().arrivals.len()
    }

    /// How many outcomes have not come yet.
    pub fn remaining(&self) -> usize {
        self.state().steps.len()
    }

    /// When each call came, counted from the first one, by tokio's clock. (Under a paused clock, to the millisecond at which a timer
    /// ended.)
    pub fn arrivals(&self) -> Vec<Duration> {
        let state = self.state();
        let first = state.arrivals.first().copied().unwrap_or(0);
        state.arrivals.iter().map(|at| Duration::from_nanos(at.saturating_sub(first))).collect()
    }

    /// The next outcome.
    ///
    /// # Errors
    /// As the script says.
    ///
    /// # Panics
    /// As the script says, and when it is over (unless there is [`otherwise`](Script::otherwise)).
    ///
    /// # Cancel safety
    /// The outcome of a call that is dropped is lost, as that of a request that was sent.
    pub async fn call(&self) -> Result<T, E> {
        let came = clock::now();
        let step = {
            let mut state = self.state();
            state.arrivals.push(came);
            let step = state.steps.pop_front();
            step.or_else(|| state.otherwise.clone().map(|(make, takes)| Step { takes, ends: End::Made(make) }))
        };
        let Some(Step { takes, ends }) = step else { return self.is_over() };
        if !takes.is_zero() {
            let until = came.saturating_add(clock::nanos(takes));
            let mut timer = pin!(Timer::at(until));
            poll_fn(|cx| timer.as_mut().poll_end(until, cx)).await;
        }
        match ends {
            End::Outcome(outcome) => outcome,
            End::Made(make) => make(),
            End::Never => std::future::pending().await,
            #[allow(clippy::panic)] // the script says so
            End::Panic(message) => panic!("{message}"),
        }
    }

    #[allow(clippy::panic)] // for the test, which is wrong about the number of calls
    #[cold]
    fn is_over(&self) -> Result<T, E> {
        let call = self.calls();
        panic!("the script is over: call {call} came after its last outcome; add one, or say `.otherwise(|| …)`")
    }
}

/// Without an error type of one's own.
impl<T> Script<T, Fault> {
    /// Then it fails `n` times in a way that may pass.
    #[must_use]
    pub fn fail(self, n: usize) -> Script<T, Fault> {
        self.times(n, || Err(Fault::TRANSIENT))
    }

    /// Then it asks not to be called for this time.
    #[must_use]
    pub fn throttled(self, retry_after: Duration) -> Script<T, Fault> {
        self.err(Fault::throttled(retry_after))
    }

    /// Then it fails by the caller's fault: that is not retried.
    #[must_use]
    pub fn permanent(self) -> Script<T, Fault> {
        self.err(Fault::PERMANENT)
    }
}

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl<B: Default, E> Script<::http::Response<B>, E> {
    /// Then a server answers with this status and these headers: a response, whatever its status.
    ///
    /// ```
    /// use apiguard::http::{ResponseExt, StatusError};
    /// use apiguard::testing::Script;
    /// use apiguard::{Error, guarded};
    ///
    /// #[guarded(retries = 1)]
    /// async fn fetch(service: &Script<http::Response<String>, StatusError>) -> Result<u16, Error<StatusError>> {
    ///     Ok(service.call().await?.checked()?.status().as_u16())
    /// }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let service = Script::new().response(503, &[("retry-after", "7")]).response(200, &[]);
    /// assert_eq!(fetch(&service).await.unwrap(), 200);
    /// assert!(service.arrivals()[1].as_secs() >= 7);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When that is no status (100 to 999), or not the name or the value of a header.
    #[must_use]
    #[track_caller]
    pub fn response(self, status: u16, headers: &[(&str, &str)]) -> Script<::http::Response<B>, E> {
        let (status, headers) = head(status, headers);
        let mut response = ::http::Response::new(B::default());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        self.ok(response)
    }
}

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl<T> Script<T, crate::http::StatusError> {
    /// Then a server answers with this failing status and these headers: an error.
    ///
    /// # Panics
    /// As [`response`](Script::response).
    #[must_use]
    #[track_caller]
    pub fn status(self, status: u16, headers: &[(&str, &str)]) -> Script<T, crate::http::StatusError> {
        let (status, headers) = head(status, headers);
        self.err(crate::http::StatusError::from_headers(status, &headers))
    }
}

/// What a response begins with.
#[cfg(feature = "http")]
#[track_caller]
fn head(status: u16, headers: &[(&str, &str)]) -> (::http::StatusCode, ::http::HeaderMap) {
    use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    let read = StatusCode::from_u16(status);
    assert!(read.is_ok(), "{status} is no status");
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = HeaderName::try_from(*name).ok().zip(HeaderValue::try_from(*value).ok());
        assert!(header.is_some(), "`{name}: {value}` is no header");
        map.extend(header);
    }
    (read.unwrap_or_default(), map)
}

impl<T, E> Clone for Script<T, E> {
    fn clone(&self) -> Script<T, E> {
        Script(Arc::clone(&self.0))
    }
}

impl<T, E> Default for Script<T, E> {
    fn default() -> Script<T, E> {
        Script::new()
    }
}

impl<T, E> fmt::Debug for Script<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("calls", &self.calls())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
