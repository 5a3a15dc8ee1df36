//! An error with a verdict, for scripts whose service has no error type of its own.

use std::fmt;
use std::time::Duration;

use crate::{Classify, Verdict};

/// An error that means to the guard what a test wants it to mean, alone or as the source of another error.
///
/// ```
/// use apiguard::testing::Fault;
/// use apiguard::{Classify, Verdict};
///
/// assert_eq!(Fault::TRANSIENT.classify(), Verdict::TRANSIENT);
/// assert_eq!(Fault::PERMANENT.to_string(), "scripted fault (permanent)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault(Verdict);

impl Fault {
    /// May pass: retried.
    pub const TRANSIENT: Fault = Fault(Verdict::TRANSIENT);
    /// The caller's fault: not retried, and the service is well.
    pub const PERMANENT: Fault = Fault(Verdict::Permanent);
    /// The service's fault, and not to be repeated.
    pub const FAILURE: Fault = Fault(Verdict::Failure);

    /// The service wants fewer requests, from this time on.
    #[must_use]
    pub const fn throttled(retry_after: Duration) -> Fault {
        Fault(Verdict::Throttled { retry_after: Some(retry_after) })
    }

    /// Any verdict.
    #[must_use]
    pub const fn new(verdict: Verdict) -> Fault {
        Fault(verdict)
    }
}

impl Classify for Fault {
    fn classify(&self) -> Verdict {
        self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scripted fault ({})", self.0.name())
    }
}

impl std::error::Error for Fault {}
