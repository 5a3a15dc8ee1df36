//! What an outcome means to the guard: retry it, count it against the service, slow down.
//!
//! The choice by type, for a function that returns `Result<T, E>`:
//!
//! | outcome | verdict |
//! |---|---|
//! | `Ok` of a type that is [`Classify`] (a response, a status) | its own |
//! | any other `Ok` | `Success` |
//! | `Err` of a type that is [`Classify`] | its own |
//! | `Err` of another error type, boxed ones and `anyhow::Error` included | the first in its chain of sources that is known, else `Transient` |
//! | any other `Err` | `Transient` |
//!
//! In a generic function the choice sees the declared bounds only: an error type parameter `E: From<Rejected>` is any
//! other `Err`. With `E: std::error::Error + 'static` beside it the chain is walked, with `E: Classify` it is asked.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, Rejected};

/// What an outcome means.
///
/// | verdict | retried | to the breaker |
/// |---|---|---|
/// | `Success` | no | good |
/// | `Permanent` | no | ends a row of failures; a probe that returns it decides nothing |
/// | `Failure` | no | failed |
/// | `Transient` | yes | failed |
/// | `Throttled` | yes | nothing |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It worked.
    Success,
    /// The caller's fault: another attempt would fail the same way, and the service is well.
    Permanent,
    /// The service's fault, and not to be repeated.
    Failure,
    /// The service's fault, and may pass.
    Transient {
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// The service works and asks for fewer requests.
    Throttled {
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
}

impl Verdict {
    /// Transient, with no word from the service.
    pub const TRANSIENT: Verdict = Verdict::Transient { retry_after: None };

    /// What an HTTP status means when the statuses in `retried` are retried: a 429 in the list is throttled, others in it are
    /// transient, 5xx outside it are failures, 4xx are permanent, the rest are successes.
    pub fn of_status(status: u16, retry_after: Option<Duration>, retried: &guard_spec::Statuses) -> Verdict {
        match (status, retried.contains(status)) {
            (429, true) => Verdict::Throttled { retry_after },
            (_, true) => Verdict::Transient { retry_after },
            (500.., false) => Verdict::Failure,
            (400..500, false) => Verdict::Permanent,
            (..400, false) => Verdict::Success,
        }
    }

    /// Its name: `success`, `permanent`, `failure`, `transient` or `throttled`.
    pub const fn name(&self) -> &'static str {
        match self {
            Verdict::Success => "success",
            Verdict::Permanent => "permanent",
            Verdict::Failure => "failure",
            Verdict::Transient { .. } => "transient",
            Verdict::Throttled { .. } => "throttled",
        }
    }

    /// How long the service asks to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Verdict::Transient { retry_after } | Verdict::Throttled { retry_after } => *retry_after,
            Verdict::Success | Verdict::Permanent | Verdict::Failure => None,
        }
    }
}

/// A type that knows what it means to the guard.
///
/// ```
/// use apiguard::{Classify, Verdict};
///
/// enum PayError { Declined, Busy }
///
/// impl Classify for PayError {
///     fn classify(&self) -> Verdict {
///         match self {
///             PayError::Declined => Verdict::Permanent,
///             PayError::Busy => Verdict::TRANSIENT,
///         }
///     }
/// }
/// ```
pub trait Classify {
    /// What this outcome means.
    fn classify(&self) -> Verdict;

    /// The HTTP status, when this is an HTTP server's answer: then the policy's `statuses` decide instead of
    /// [`classify`](Classify::classify), with the wait of [`retry_after`](Classify::retry_after).
    fn status(&self) -> Option<u16> {
        None
    }

    /// How long the service asks to wait, whatever the verdict: a policy's `statuses` can retry what is permanent
    /// elsewhere. That of the verdict unless overridden; used only beside a [`status`](Classify::status).
    fn retry_after(&self) -> Option<Duration> {
        self.classify().retry_after()
    }

    /// How long the service's limits have nothing left, whatever the verdict: a good answer with a remaining count of 0 holds back
    /// the calls of the policy until the limit is reset. None unless overridden.
    fn pause(&self) -> Option<Duration> {
        None
    }

    /// The name of the header which says how long to wait, for those who watch. None unless overridden.
    fn header(&self) -> Option<&'static str> {
        None
    }

    /// All of these at once, for those who read them from one place.
    #[doc(hidden)]
    fn __judged(&self) -> Judged {
        let status = self.status();
        let retry_after = status.and_then(|_| self.retry_after());
        Judged { verdict: self.classify(), status, retry_after, pause: self.pause(), header: self.header() }
    }
}

impl<T: Classify + ?Sized> Classify for &T {
    fn classify(&self) -> Verdict {
        T::classify(self)
    }

    fn status(&self) -> Option<u16> {
        T::status(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        T::retry_after(self)
    }

    fn pause(&self) -> Option<Duration> {
        T::pause(self)
    }

    fn header(&self) -> Option<&'static str> {
        T::header(self)
    }

    fn __judged(&self) -> Judged {
        T::__judged(self)
    }
}

/// A rejection by an inner guard is permanent to an outer one, so that nested guards do not multiply their attempts.
impl Classify for Rejected {
    fn classify(&self) -> Verdict {
        Verdict::Permanent
    }
}

/// An inner guard's failed call was retried there and is not retried again; it counts against the service.
impl<E> Classify for Error<E> {
    fn classify(&self) -> Verdict {
        match self {
            Error::Rejected(rejected) => rejected.classify(),
            Error::Call { .. } => Verdict::Failure,
        }
    }
}

/// Errors of the connection are transient; what the local machine refuses is permanent.
impl Classify for io::Error {
    fn classify(&self) -> Verdict {
        use io::ErrorKind as Kind;
        match self.kind() {
            Kind::NotFound
            | Kind::PermissionDenied
            | Kind::AlreadyExists
            | Kind::InvalidInput
            | Kind::Unsupported
            | Kind::AddrInUse
            | Kind::AddrNotAvailable
            | Kind::OutOfMemory => Verdict::Permanent,
            _ => Verdict::TRANSIENT,
        }
    }
}

/// What a classified outcome said: its verdict, and its status when `statuses` decide instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) pause: Option<Duration>,
    pub(crate) header: Option<&'static str>,
}

impl Judged {
    pub(crate) const SUCCESS: Judged = Judged::by(Verdict::Success);
    pub(crate) const UNKNOWN: Judged = Judged::by(Verdict::TRANSIENT);

    /// Whatever the policy's statuses are.
    pub(crate) const fn by(verdict: Verdict) -> Judged {
        Judged { verdict, status: None, retry_after: None, pause: None, header: None }
    }

    /// A success whatever the policy's statuses are.
    #[inline]
    pub(crate) fn is_plain_success(&self) -> bool {
        matches!(self, Judged { verdict: Verdict::Success, status: None, pause: None, .. })
    }

    /// An answer of HTTP that is good unless the policy's statuses say otherwise.
    #[inline]
    pub(crate) fn is_good_answer(&self) -> bool {
        self.pause.is_none() && self.status.is_some_and(|status| status < 400)
    }

    pub(crate) fn of<T: Classify + ?Sized>(outcome: &T) -> Judged {
        outcome.__judged()
    }

    /// For how long no call is wanted: a limit has nothing left, or it is a 429 or a 403 that says how long to wait, which is its word
    /// to all calls even where this one is not repeated. (A 403 with a wait is what GitHub's secondary limits answer.)
    pub(crate) fn asked_of_all(&self) -> Option<Duration> {
        self.pause.or_else(|| self.retry_after.filter(|_| matches!(self.status, Some(403 | 429))))
    }

    /// The verdict under a policy's list of retried statuses.
    pub(crate) fn under(self, retried: &guard_spec::Statuses) -> Verdict {
        match self.status {
            Some(status) => Verdict::of_status(status, self.retry_after, retried),
            None => self.verdict,
        }
    }
}

/// The longest chain of sources that is walked: a chain can be a ring.
const DEEPEST: usize = 64;

/// The first known error in a chain of sources.
pub(crate) fn judge_chain(error: &(dyn StdError + 'static)) -> Judged {
    judge_known(error).unwrap_or(Judged::UNKNOWN)
}

pub(crate) fn judge_known(error: &(dyn StdError + 'static)) -> Option<Judged> {
    chain(error).find_map(judge_one)
}

/// `error` and its sources.
pub(crate) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(DEEPEST)
}

/// Whether there is a rejection in a chain of sources: what carries it is no failure of the service either.
#[cfg(feature = "reqwest")]
pub(crate) fn holds_rejection(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        // It may only carry another error, which its `source` would skip.
        Some(carried) => Some(carried as &(dyn StdError + 'static)),
        None => error.source(),
    })
    .take(DEEPEST)
    .any(<dyn StdError>::is::<Rejected>)
}

fn judge_one(error: &(dyn StdError + 'static)) -> Option<Judged> {
    if let Some(judged) = known::<Rejected>(error) {
        return Some(judged);
    }
    #[cfg(feature = "testing")]
    if let Some(judged) = known::<crate::testing::Fault>(error) {
        return Some(judged);
    }
    #[cfg(feature = "reqwest")]
    if let Some(judged) = known::<crate::reqwest::Error>(error).or_else(|| known::<::reqwest::Error>(error)) {
        return Some(judged);
    }
    // The `source` of this one is that of what it holds.
    #[cfg(feature = "reqwest-middleware")]
    if let Some(judged) = known::<::reqwest_middleware::Error>(error) {
        return Some(judged);
    }
    #[cfg(feature = "http")]
    if let Some(judged) = known::<crate::http::StatusError>(error) {
        return Some(judged);
    }
    match error.downcast_ref::<io::Error>().map(|io| (io.kind(), io.get_ref())) {
        // It only carries another error, which its `source` would skip.
        Some((io::ErrorKind::Other, Some(inner))) => judge_one(inner),
        _ => known::<io::Error>(error),
    }
}

/// The judgement of `error` if it is a `T`, or a `T` behind a pointer: the `source` of a `Box` or an `Arc` is that of
/// what it holds, so a walk does not come to the `T` itself.
fn known<T: Classify + StdError + 'static>(error: &(dyn StdError + 'static)) -> Option<Judged> {
    let error = error
        .downcast_ref::<T>()
        .or_else(|| error.downcast_ref::<Box<T>>().map(AsRef::as_ref))
        .or_else(|| error.downcast_ref::<Arc<T>>().map(AsRef::as_ref))?;
    Some(Judged::of(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Outcome;

    impl Classify for Outcome {
        fn classify(&self) -> Verdict {
            Verdict::Throttled { retry_after: Some(Duration::from_secs(3)) }
        }

        fn status(&self) -> Option<u16> {
            Some(429)
        }

        fn pause(&self) -> Option<Duration> {
            Some(Duration::from_secs(5))
        }

        fn header(&self) -> Option<&'static str> {
            Some("retry-after")
        }
    }

    #[test]
    fn a_reference_says_what_it_refers_to() {
        let says = |outcome: &dyn Classify| {
            let waits = (outcome.retry_after(), outcome.pause());
            (outcome.classify(), outcome.status(), waits, outcome.header())
        };
        let (verdict, waits) = (Outcome.classify(), (Some(Duration::from_secs(3)), Some(Duration::from_secs(5))));
        for outcome in [&Outcome as &dyn Classify, &&Outcome] {
            assert_eq!(says(outcome), (verdict, Some(429), waits, Some("retry-after")));
        }
    }
}
