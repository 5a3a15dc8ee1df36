//! The service that a layer makes.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::future::{GuardFuture, SharedGuardFuture};
use super::options::{Answer, AsError, ByType, Judge, Keying, Once, Repeat, Unkeyed};
use crate::Policy;

/// Where a layer has its policy: a `&'static Policy`, or an `Arc<Policy>` for one that is made at run time.
#[diagnostic::on_unimplemented(
    message = "a layer cannot hold a `{Self}`",
    label = "neither a `&'static Policy` nor an `Arc<Policy>`",
    note = "declare the policy with `apiguard::policy!` and write `&POLICY`, or put it in an `Arc`"
)]
pub trait Holds: Deref<Target = Policy> + Clone + sealed::Sealed {}

impl Holds for &Policy {}
impl Holds for Arc<Policy> {}

/// A service under a policy, made by a [`GuardLayer`](super::GuardLayer).
///
/// # Readiness
///
/// It is ready when the inner service is, and takes nothing by that: the limits are asked when the future of a call is first
/// polled, and the call waits in that future. So a clone that is ready and never called keeps nobody waiting.
///
/// The service that was ready is the one that is called; its place is taken by a clone. While the call waits for its turn the
/// ready service is kept, with what it may have reserved: put limits of other layers outside this one.
#[derive(Clone)]
pub struct Guard<S, P = &'static Policy, K = Unkeyed, J = ByType, R = Once, A = AsError> {
    pub(super) inner: S,
    pub(super) policy: P,
    pub(super) keying: K,
    pub(super) judge: J,
    pub(super) repeat: R,
    pub(super) answer: A,
}

impl<S, P: Holds, K, J, R, A> Guard<S, P, K, J, R, A> {
    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The service that it guards. What is called through it is not guarded.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The service without its guard.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, P, K, J, R, A> Guard<S, P, K, J, R, A> {
    /// The service that was ready; a clone of it gets ready next.
    fn take_ready(&mut self) -> S {
        let next = self.inner.clone();
        std::mem::replace(&mut self.inner, next)
    }
}

impl<'p, S, Req, K, J, R, A> Service<Req> for Guard<S, &'p Policy, K, J, R, A>
where
    S: Service<Req> + Clone,
    K: Keying<Req>,
    J: Judge<S::Response, A::Kept, A>,
    R: Repeat<S, Req>,
    A: Answer<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = A::Error;
    type Future = GuardFuture<'p, S, Req, K, J, R, A>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), A::Error>> {
        self.inner.poll_ready(cx).map_err(|error| A::failed(A::keep(error), 0))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let ready = self.take_ready();
        let (judge, repeat, answer) = (self.judge.clone(), self.repeat.clone(), self.answer.clone());
        GuardFuture::new(self.policy, ready, request, &self.keying, judge, repeat, answer)
    }
}

impl<S, Req, K, J, R, A> Service<Req> for Guard<S, Arc<Policy>, K, J, R, A>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    Req: Send + 'static,
    K: Keying<Req> + Send + 'static,
    J: Judge<S::Response, A::Kept, A> + Send + 'static,
    R: Repeat<S, Req> + Send + 'static,
    R::Spare: Send,
    A: Answer<S::Response, S::Error> + Send + 'static,
{
    type Response = S::Response;
    type Error = A::Error;
    type Future = SharedGuardFuture<S::Response, A::Error>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), A::Error>> {
        self.inner.poll_ready(cx).map_err(|error| A::failed(A::keep(error), 0))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let ready = self.take_ready();
        let Guard { policy, keying, judge, repeat, answer, .. } = self;
        let (policy, keying) = (Arc::clone(policy), keying.clone());
        let (judge, repeat, answer) = (judge.clone(), repeat.clone(), answer.clone());
        // The call borrows the policy, so it cannot hold it, too.
        SharedGuardFuture(Box::pin(shared(policy, ready, request, keying, judge, repeat, answer)))
    }
}

async fn shared<S, Req, K, J, R, A>(
    policy: Arc<Policy>,
    ready: S,
    request: Req,
    keying: K,
    judge: J,
    repeat: R,
    answer: A,
) -> <GuardFuture<'static, S, Req, K, J, R, A> as Future>::Output
where
    S: Service<Req>,
    K: Keying<Req>,
    J: Judge<S::Response, A::Kept, A>,
    R: Repeat<S, Req>,
    A: Answer<S::Response, S::Error>,
{
    GuardFuture::new(&policy, ready, request, &keying, judge, repeat, answer).await
}

impl<S: fmt::Debug, P: Holds, K, J, R, A> fmt::Debug for Guard<S, P, K, J, R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("inner", &self.inner).field("policy", &self.policy.name()).finish_non_exhaustive()
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for &super::Policy {}
    impl Sealed for std::sync::Arc<super::Policy> {}
}
