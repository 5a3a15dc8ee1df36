//! What a running body can know of the call that it runs for: the number of the attempt, when it has to end, and a way to tell the
//! guard what the server has said.
//!
//! While a body is polled these are in thread-local cells, which its future sets before and restores after. So they hold for what
//! runs in the body's own task, inner guarded calls included, and not for tasks that it spawns.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

thread_local! {
    static DEADLINE: Cell<u64> = const { Cell::new(u64::MAX) };
    static ATTEMPT: Cell<u32> = const { Cell::new(0) };
    static HEARD: Cell<u64> = const { Cell::new(0) };
}

/// Sets a cell until it is dropped, by a panic, too.
struct Restore<T: Copy + 'static> {
    cell: &'static std::thread::LocalKey<Cell<T>>,
    before: T,
}

impl<T: Copy> Restore<T> {
    fn setting(cell: &'static std::thread::LocalKey<Cell<T>>, value: T) -> Restore<T> {
        Restore { cell, before: cell.replace(value) }
    }
}

impl<T: Copy> Drop for Restore<T> {
    fn drop(&mut self) {
        self.cell.set(self.before);
    }
}

/// By when everything that runs now has to end; `u64::MAX` for never.
pub(crate) fn deadline() -> u64 {
    DEADLINE.get()
}

/// Runs something that has to end by an instant, and by when everything around it has to.
pub(crate) fn until<T>(instant: u64, run: impl FnOnce() -> T) -> T {
    let _restore = Restore::setting(&DEADLINE, instant.min(DEADLINE.get()));
    run()
}

/// The number of the attempt whose body asks for it, from 1; 0 where none runs.
///
/// For an idempotency key, a log line, a different server for each attempt. It is known in the body of a guarded function that calls
/// it there (`attempt()` or `apiguard::attempt()`; not behind another name), and in closures that [`Policy::call`](crate::Policy::call)
/// runs; what the body calls in turn sees it, too, what it spawns does not. Functions that do not use it pay nothing for it.
///
/// ```
/// use apiguard::{Error, attempt, guarded};
///
/// #[guarded(retries(2, base = "1ms"))]
/// async fn charge() -> Result<u32, Error<std::io::Error>> {
///     if attempt() < 3 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(attempt()) }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// assert_eq!(charge().await.unwrap(), 3);
/// assert_eq!(attempt(), 0, "no attempt runs here");
/// # }
/// ```
pub fn attempt() -> u32 {
    ATTEMPT.get()
}

/// Tells the attempt that runs that the server wants to be left alone for a time, in nanoseconds.
#[cfg(feature = "http")]
pub(crate) fn hear(wait: u64) {
    HEARD.set(HEARD.get().max(wait));
}

/// What an attempt has heard while it ran: the longest wait, in nanoseconds.
#[derive(Debug, Default)]
pub struct Heard(AtomicU64);

impl Heard {
    pub(crate) fn wait(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

pin_project! {
    /// A body that may ask for its attempt's number and say what it has heard.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Watched<'h, F> {
        #[pin]
        pub(crate) body: F,
        pub(crate) attempt: u32,
        pub(crate) heard: &'h Heard,
    }
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _attempt = Restore::setting(&ATTEMPT, *this.attempt);
        let _heard = Restore::setting(&HEARD, 0);
        let polled = this.body.poll(cx);
        let heard = HEARD.get();
        if heard > 0 {
            this.heard.0.fetch_max(heard, Relaxed);
        }
        polled
    }
}
