//! What a [`GuardLayer`](super::GuardLayer) can be told: by which key and at what cost, what outcomes mean, what is sent again, and how a
//! rejection is passed on. Its methods make these types; their names are needed where a layer is stored.
//!
//! | parameter | default | others |
//! |---|---|---|
//! | [`Keying`] | [`Unkeyed`] | [`KeyedBy`], [`Costing`] |
//! | [`Judge`] | [`ByType`] | [`ErrorsOnly`], [`ByFunction`], [`OwnAnswers`] |
//! | [`Repeat`] | [`Once`] | [`Idempotent`], [`When`] |
//! | [`Answer`] | [`AsError`] | [`AsBoxError`], [`AsResponse`], [`AsResponseOf`] |

use std::error::Error as StdError;
use std::fmt;
use std::hash::Hash;

use ::http::{Request, Response};

use crate::call::{Call, Key, Part, Whole};
use crate::http::may_repeat;
use crate::verdict::{Judged, judge_chain};
use crate::{Classify, Error, Policy, Rejected, Verdict};

/// The error type that tower's own layers share.
pub type BoxError = Box<dyn StdError + Send + Sync>;

// ---- keys

/// Under which part of the policy a request is, and what it costs.
pub trait Keying<Req>: Clone + sealed::Sealed {
    #[doc(hidden)]
    type Part: for<'p> Part<'p> + 'static;

    #[doc(hidden)]
    fn call<'p>(&self, policy: &'p Policy, request: &Req) -> Call<'p, Self::Part>;
}

/// All requests share the policy's limits and breaker.
#[derive(Clone, Copy, Debug)]
pub struct Unkeyed;

impl<Req> Keying<Req> for Unkeyed {
    type Part = Whole;

    #[inline]
    fn call<'p>(&self, policy: &'p Policy, _: &Req) -> Call<'p, Whole> {
        Call::new(policy, None)
    }
}

/// A function says by which key a request is told apart.
#[derive(Clone, Copy)]
pub struct KeyedBy<F>(pub(super) F);

impl<Req, K: Hash, F: Fn(&Req) -> K + Clone> Keying<Req> for KeyedBy<F> {
    type Part = Key;

    #[inline]
    fn call<'p>(&self, policy: &'p Policy, request: &Req) -> Call<'p, Key> {
        Call::keyed(policy, None, &(self.0)(request))
    }
}

/// A function says what each attempt of a request takes of the limits, beside what `K` says of keys.
#[derive(Clone, Copy)]
pub struct Costing<K, F> {
    pub(super) keying: K,
    pub(super) cost: F,
}

impl<Req, K: Keying<Req>, F: Fn(&Req) -> u32 + Clone> Keying<Req> for Costing<K, F> {
    type Part = K::Part;

    #[inline]
    fn call<'p>(&self, policy: &'p Policy, request: &Req) -> Call<'p, K::Part> {
        self.keying.call(policy, request).costing((self.cost)(request))
    }
}

impl<K: fmt::Debug, F> fmt::Debug for Costing<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Costing").field(&self.keying).finish()
    }
}

// ---- verdicts

/// What an outcome means.
#[diagnostic::on_unimplemented(
    message = "the guard does not know what a `Result<{Res}, {E}>` means",
    label = "cannot be judged by its type",
    note = "the response has to be `apiguard::Classify`, as those of HTTP are; for others write `.errors_only()`",
    note = "the error has to be a `std::error::Error`; for boxed ones (tower's `BoxError`) write `.box_errors()`",
    note = "a function can judge anything: `.classify(|outcome: &Result<_, _>| …)`"
)]
pub trait Judge<Res, E, A>: Clone + sealed::Sealed {
    #[doc(hidden)]
    fn judge(&self, outcome: &Result<Res, E>) -> Judged;
}

/// Responses as [`Classify`] says; errors by the first in their chain of sources that is known, else transient.
#[derive(Clone, Copy, Debug)]
pub struct ByType;

/// Every response is a success, of whatever type it is; errors as [`ByType`].
#[derive(Clone, Copy, Debug)]
pub struct ErrorsOnly;

/// A function says what an outcome means.
#[derive(Clone, Copy)]
pub struct ByFunction<F>(pub(super) F);

/// The answers of a server that guards itself: its own 5xx and errors are failures, its own 4xx are the caller's fault, as is a
/// rejection by an inner guard, and what its headers say of limits is said to others.
#[derive(Clone, Copy, Debug)]
pub struct OwnAnswers;

#[diagnostic::do_not_recommend]
impl<Res: Classify, E, A: Shows<E>> Judge<Res, E, A> for ByType {
    fn judge(&self, outcome: &Result<Res, E>) -> Judged {
        match outcome {
            Ok(response) => Judged::of(response),
            Err(error) => judge_chain(A::shown(error)),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<Res, E, A: Shows<E>> Judge<Res, E, A> for ErrorsOnly {
    fn judge(&self, outcome: &Result<Res, E>) -> Judged {
        outcome.as_ref().map_or_else(|error| judge_chain(A::shown(error)), |_| Judged::SUCCESS)
    }
}

impl<Res, E, A, F: Fn(&Result<Res, E>) -> Verdict + Clone> Judge<Res, E, A> for ByFunction<F> {
    fn judge(&self, outcome: &Result<Res, E>) -> Judged {
        Judged::by((self.0)(outcome))
    }
}

impl<B, E, A> Judge<Response<B>, E, A> for OwnAnswers {
    fn judge(&self, outcome: &Result<Response<B>, E>) -> Judged {
        let Ok(response) = outcome else { return Judged::by(Verdict::Failure) };
        Judged::by(match response.status().as_u16() {
            _ if response.extensions().get::<Rejected>().is_some() => Verdict::Permanent,
            ..400 => Verdict::Success,
            400..500 => Verdict::Permanent,
            500.. => Verdict::Failure,
        })
    }
}

/// How the chain of an error's sources is found, by which it is judged.
pub trait Shows<E>: sealed::Sealed {
    #[doc(hidden)]
    fn shown(error: &E) -> &(dyn StdError + 'static);
}

impl<E: StdError + 'static> Shows<E> for AsError {
    fn shown(error: &E) -> &(dyn StdError + 'static) {
        error
    }
}

impl<E: StdError + 'static> Shows<E> for AsResponse {
    fn shown(error: &E) -> &(dyn StdError + 'static) {
        error
    }
}

impl<E: StdError + 'static, F> Shows<E> for AsResponseOf<F> {
    fn shown(error: &E) -> &(dyn StdError + 'static) {
        error
    }
}

impl Shows<BoxError> for AsBoxError {
    fn shown(error: &BoxError) -> &(dyn StdError + 'static) {
        error.as_ref()
    }
}

// ---- retries

/// Which requests are sent again.
#[diagnostic::on_unimplemented(
    message = "requests of type `{Req}` cannot be sent again",
    label = "retries need a copy of the request",
    note = "`.retrying()` is for `http::Request` with a body that is `Clone`, `.retrying_if(|request: &_| …)` for any other \
            request that is `Clone`; a streaming body is sent once: leave both away"
)]
pub trait Repeat<S, Req>: Clone + sealed::Sealed {
    /// What the next attempt needs.
    #[doc(hidden)]
    type Spare: Default;

    #[doc(hidden)]
    fn spare(&self, policy: &Policy, attempts: u32, service: &S, request: &Req) -> Self::Spare;

    #[doc(hidden)]
    fn is_there(spare: &Self::Spare) -> bool;

    #[doc(hidden)]
    fn take(spare: &mut Self::Spare) -> Option<(S, Req)>;
}

/// No request is sent again, whatever the policy's retries are.
#[derive(Clone, Copy, Debug)]
pub struct Once;

/// HTTP requests with an idempotent method or an `Idempotency-Key` are sent again.
#[derive(Clone, Copy, Debug)]
pub struct Idempotent;

/// Requests of which a function says so are sent again.
#[derive(Clone, Copy)]
pub struct When<F>(pub(super) F);

impl<S, Req> Repeat<S, Req> for Once {
    type Spare = ();

    #[inline]
    fn spare(&self, _: &Policy, _: u32, _: &S, _: &Req) {}

    #[inline]
    fn is_there((): &()) -> bool {
        false
    }

    #[inline]
    fn take((): &mut ()) -> Option<(S, Req)> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<S: Clone, B: Clone> Repeat<S, Request<B>> for Idempotent {
    type Spare = Option<(S, Request<B>)>;

    fn spare(&self, policy: &Policy, attempts: u32, service: &S, request: &Request<B>) -> Self::Spare {
        let is_wanted = has_more(policy, attempts) && may_repeat(None, request.method(), request.headers());
        is_wanted.then(|| (service.clone(), request.clone()))
    }

    fn is_there(spare: &Self::Spare) -> bool {
        spare.is_some()
    }

    fn take(spare: &mut Self::Spare) -> Option<(S, Request<B>)> {
        spare.take()
    }
}

#[diagnostic::do_not_recommend]
impl<S: Clone, Req: Clone, F: Fn(&Req) -> bool + Clone> Repeat<S, Req> for When<F> {
    type Spare = Option<(S, Req)>;

    fn spare(&self, policy: &Policy, attempts: u32, service: &S, request: &Req) -> Self::Spare {
        let is_wanted = has_more(policy, attempts) && (self.0)(request);
        is_wanted.then(|| (service.clone(), request.clone()))
    }

    fn is_there(spare: &Self::Spare) -> bool {
        spare.is_some()
    }

    fn take(spare: &mut Self::Spare) -> Option<(S, Req)> {
        spare.take()
    }
}

/// Whether the policy has another attempt after so many: else nothing is cloned.
fn has_more(policy: &Policy, attempts: u32) -> bool {
    policy.with_settings(|settings| settings.retry().is_some_and(|retry| attempts <= retry.max()))
}

// ---- rejections

/// How a rejection is passed on, and with which error type.
pub trait Answer<Res, E>: Clone + sealed::Sealed {
    /// What an attempt's error becomes before it is judged.
    type Kept;
    /// The error of the guarded service.
    type Error;

    #[doc(hidden)]
    fn keep(error: E) -> Self::Kept;

    #[doc(hidden)]
    fn rejected(&self, rejected: Rejected) -> Result<Res, Self::Error>;

    #[doc(hidden)]
    fn failed(source: Self::Kept, attempts: u32) -> Self::Error;
}

/// As [`Error`], beside the inner service's own.
#[derive(Clone, Copy, Debug)]
pub struct AsError;

/// As a boxed [`Rejected`]; the inner service's error is boxed, too, unless it is already.
#[derive(Clone, Copy, Debug)]
pub struct AsBoxError;

/// As a response: 429, 503, 504 or 413 with `Retry-After`; the error stays that of the inner service.
#[derive(Clone, Copy, Debug)]
pub struct AsResponse;

/// As the response that a function makes of it, with the [`Rejected`] in its extensions; the error stays that of the inner service.
#[derive(Clone, Copy)]
pub struct AsResponseOf<F>(pub(super) F);

impl<Res, E> Answer<Res, E> for AsError {
    type Kept = E;
    type Error = Error<E>;

    fn keep(error: E) -> E {
        error
    }

    fn rejected(&self, rejected: Rejected) -> Result<Res, Error<E>> {
        Err(Error::Rejected(rejected))
    }

    fn failed(source: E, attempts: u32) -> Error<E> {
        Error::Call { source, attempts }
    }
}

impl<Res, E: Into<BoxError>> Answer<Res, E> for AsBoxError {
    type Kept = BoxError;
    type Error = BoxError;

    fn keep(error: E) -> BoxError {
        error.into()
    }

    fn rejected(&self, rejected: Rejected) -> Result<Res, BoxError> {
        Err(rejected.into())
    }

    fn failed(source: BoxError, _: u32) -> BoxError {
        source
    }
}

impl<B: Default, E> Answer<Response<B>, E> for AsResponse {
    type Kept = E;
    type Error = E;

    fn keep(error: E) -> E {
        error
    }

    fn rejected(&self, rejected: Rejected) -> Result<Response<B>, E> {
        Ok(rejected.into())
    }

    fn failed(source: E, _: u32) -> E {
        source
    }
}

impl<B, E, F: Fn(&Rejected) -> Response<B> + Clone> Answer<Response<B>, E> for AsResponseOf<F> {
    type Kept = E;
    type Error = E;

    fn keep(error: E) -> E {
        error
    }

    fn rejected(&self, rejected: Rejected) -> Result<Response<B>, E> {
        let mut response = (self.0)(&rejected);
        response.extensions_mut().insert(rejected);
        Ok(response)
    }

    fn failed(source: E, _: u32) -> E {
        source
    }
}

// ---- what can be printed whatever it holds

macro_rules! of_functions {
    ($($name:ident)*) => {$(
        impl<F> sealed::Sealed for $name<F> {}

        impl<F> fmt::Debug for $name<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

of_functions!(KeyedBy ByFunction When AsResponseOf);

mod sealed {
    pub trait Sealed {}

    impl<K, F> Sealed for super::Costing<K, F> {}
    impl Sealed for super::Unkeyed {}
    impl Sealed for super::ByType {}
    impl Sealed for super::ErrorsOnly {}
    impl Sealed for super::OwnAnswers {}
    impl Sealed for super::Once {}
    impl Sealed for super::Idempotent {}
    impl Sealed for super::AsError {}
    impl Sealed for super::AsBoxError {}
    impl Sealed for super::AsResponse {}
}
