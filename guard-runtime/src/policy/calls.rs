//! Calls of closures under a policy: what the attribute writes into a function, as functions.

use std::hash::Hash;

use super::Policy;
use crate::Error;
use crate::call::{Call, Part};
use crate::context::Heard;
use crate::verdict::{self, Judged};

impl Policy {
    /// Calls an async closure under this policy: limits, breaker, retries and timeouts as with the attribute.
    ///
    /// It judges errors alone, by those in their chain of sources that are known: an `Ok` is a success, whatever its status, and an
    /// error's own [`Classify`](crate::Classify) is not asked; [`call_with`](Policy::call_with) judges otherwise.
    ///
    /// The closure runs once per attempt, so it borrows what it needs or clones it inside. (In a task that is spawned write
    /// `async move ||` and clone inside: the compiler does not yet see that a borrowing async closure is `Send`.) Known are I/O,
    /// reqwest and status errors and rejections by another guard; any other error is transient.
    ///
    /// ```
    /// # use apiguard::{Policy, Settings, Retry};
    /// static FLAKY: Policy = Policy::new("flaky", Settings::new().retries(Retry::new(3)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let answer = FLAKY.call(async || Ok::<_, std::io::Error>(42)).await;
    /// assert_eq!(answer.unwrap(), 42);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Rejected`] when the guard did not run the call or gave up on it; [`Error::Call`] with the last attempt's
    /// error and the number of attempts.
    ///
    /// # Panics
    /// When it has to wait in a tokio runtime without timers (`enable_time`). What the closure panics with goes on to the caller.
    ///
    /// # Cancel safety
    /// Dropping the future at any point gives back what it holds: a place among the waiters, tokens whose attempt has
    /// not begun, a probe's place.
    pub async fn call<T, E, F>(&self, attempt: F) -> Result<T, Error<E>>
    where
        F: AsyncFnMut() -> Result<T, E>,
        E: std::error::Error + 'static,
    {
        let judge = |outcome: &Result<T, E>| match outcome {
            Ok(_) => Judged::SUCCESS,
            Err(error) => verdict::judge_chain(error),
        };
        self.run(Call::new(self, None), attempt, judge).await
    }

    /// Calls an async closure under the limits and the breaker that this policy has for a key: each key has its own, and one
    /// that is idle costs nothing. (As `key = …` in the attribute; [`Keyed`](crate::Keyed) says more.)
    ///
    /// # Errors
    /// As [`call`](Policy::call).
    ///
    /// # Cancel safety
    /// As [`call`](Policy::call).
    pub async fn call_keyed<Q, T, E, F>(&self, key: &Q, attempt: F) -> Result<T, Error<E>>
    where
        Q: Hash + ?Sized,
        F: AsyncFnMut() -> Result<T, E>,
        E: std::error::Error + 'static,
    {
        let judge = |outcome: &Result<T, E>| match outcome {
            Ok(_) => Judged::SUCCESS,
            Err(error) => verdict::judge_chain(error),
        };
        self.run(Call::keyed(self, None, key), attempt, judge).await
    }

    /// Calls an async closure under this policy and judges its outcomes by a function.
    ///
    /// # Errors
    /// As [`call`](Policy::call).
    ///
    /// # Cancel safety
    /// As [`call`](Policy::call).
    pub async fn call_with<T, E, F, C>(&self, classify: C, attempt: F) -> Result<T, Error<E>>
    where
        F: AsyncFnMut() -> Result<T, E>,
        C: Fn(&Result<T, E>) -> crate::Verdict,
    {
        self.run(Call::new(self, None), attempt, |outcome| Judged::by(classify(outcome))).await
    }

    async fn run<'p, S, T, E, F, J>(&'p self, mut call: Call<'p, S>, mut attempt: F, judge: J) -> Result<T, Error<E>>
    where
        S: Part<'p>,
        F: AsyncFnMut() -> Result<T, E>,
        J: Fn(&Result<T, E>) -> Judged,
    {
        loop {
            call.admitted().await.map_err(Error::Rejected)?;
            let heard = Heard::default();
            let ended = call.maybe_timed(call.watched(&heard, attempt())).await;
            call.heard(&heard);
            let pause = match ended {
                Ok(outcome) => {
                    let judged = judge(&outcome);
                    let pause = if call.succeeded(&judged) { None } else { call.settle(&judged) };
                    match pause {
                        Some(pause) => pause,
                        None => return outcome.map_err(|source| Error::Call { source, attempts: call.attempts() }),
                    }
                }
                Err(timed_out) => call.settle_timed_out(timed_out).map_err(Error::Rejected)?,
            };
            pause.await;
        }
    }
}
