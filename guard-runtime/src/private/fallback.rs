//! Fallbacks, async ones and plain ones: whether what one returned is a future is found by its type.
//!
//! As in the module `judge`: two traits with one method name, of which the compiler takes the one that needs fewer
//! references.

use std::future::{Future, Pending};

/// How to come from what a fallback returned to a future.
pub trait IsFuture {
    fn __apiguard_kind(&self) -> Async;
}

impl<F: Future> IsFuture for F {
    #[inline]
    fn __apiguard_kind(&self) -> Async {
        Async
    }
}

/// As [`IsFuture`], for what is none.
pub trait IsPlain {
    fn __apiguard_kind(&self) -> Plain;
}

impl<T> IsPlain for &T {
    #[inline]
    fn __apiguard_kind(&self) -> Plain {
        Plain
    }
}

/// What a fallback returned: the value, or a future of it.
#[derive(Debug)]
pub enum Split<T, F> {
    Now(T),
    Later(F),
}

/// The fallback is an `async fn`.
#[derive(Clone, Copy, Debug)]
pub struct Async;

impl Async {
    #[inline]
    pub fn split<F: Future>(self, future: F) -> Split<F::Output, F> {
        Split::Later(future)
    }
}

/// The fallback is a plain `fn`.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Plain {
    /// (The future is never made; it is `Send` whatever the value is.)
    #[inline]
    pub fn split<T>(self, value: T) -> Split<T, Pending<T>> {
        Split::Now(value)
    }
}

/// What a fallback returned, which has to be what the function returns. (By a trait, of which the compiler says of another
/// type that it is not the declared one, and proposes nothing.)
pub trait Returns<Declared> {
    fn returned(self) -> Declared;
}

impl<T> Returns<T> for T {
    #[inline]
    fn returned(self) -> T {
        self
    }
}
