//! What a guarded function returns, and what its body is written as if it returned.

use crate::{Error, Rejected};

/// A `Result` that can hold a rejection: the return type of a guarded function.
///
/// | declared | the body is written as if it returned |
/// |---|---|
/// | `Result<T, E>` with `E: From<Rejected>` | `Result<T, E>` |
/// | `Result<T, apiguard::Error<E>>` | `Result<T, E>` |
///
/// A guarded function that calls another one with `?` holds its error: an enum of your own with `#[from] Rejected`, or
/// `Result<T, apiguard::Error<apiguard::Error<E>>>`. It does not retry what the inner guard rejected or gave up on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold a rejection by the guard",
    label = "a guarded function cannot return this",
    note = "return a `Result` whose error type can be made from `apiguard::Rejected`: \
            add `#[from] apiguard::Rejected` to your error enum, or return `Result<T, apiguard::Error<E>>` for any `E`; \
            a generic `E` needs the bound `E: From<apiguard::Rejected>`; \
            a method of a guarded `impl` is left out with `#[guarded(skip)]`"
)]
pub trait Guarded: Sized {
    /// What the body returns.
    type Body;
    /// The good part of it.
    type Ok;
    /// The error of the body.
    type Err;

    /// The two parts of what the body returned.
    ///
    /// # Errors
    /// The error of the body.
    fn outcome(body: &Self::Body) -> Result<&Self::Ok, &Self::Err>;

    /// The function's result for what the last attempt returned.
    fn from_body(body: Self::Body, attempts: u32) -> Self;

    /// The function's result when the guard did not run the call or gave up on it.
    fn from_rejected(rejected: Rejected) -> Self;
}

// Not recommended: what is reported is `Result<T, E>: Guarded`, with the words above, and not `E: From<Rejected>`.
#[diagnostic::do_not_recommend]
impl<T, E: From<Rejected>> Guarded for Result<T, E> {
    type Body = Result<T, E>;
    type Ok = T;
    type Err = E;

    #[inline]
    fn outcome(body: &Result<T, E>) -> Result<&T, &E> {
        body.as_ref()
    }

    #[inline]
    fn from_body(body: Result<T, E>, _: u32) -> Self {
        body
    }

    #[cold]
    fn from_rejected(rejected: Rejected) -> Self {
        Err(E::from(rejected))
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> Guarded for Result<T, Error<E>> {
    type Body = Result<T, E>;
    type Ok = T;
    type Err = E;

    #[inline]
    fn outcome(body: &Result<T, E>) -> Result<&T, &E> {
        body.as_ref()
    }

    #[inline]
    fn from_body(body: Result<T, E>, attempts: u32) -> Self {
        body.map_err(|source| Error::Call { source, attempts })
    }

    #[cold]
    fn from_rejected(rejected: Rejected) -> Self {
        Err(Error::Rejected(rejected))
    }
}
