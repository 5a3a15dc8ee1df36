//! What the attribute says: settings with their spans, as far as they could be read.

use std::time::Duration;

use guard_spec::{Breaker, Budget, Jitter, Quota, Rate, Ratio, Statuses};
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::Expr;

use crate::keys::Key;
use crate::tokens::boxed_self;

/// A value and where it stands: read here when it is a literal, left to `const` evaluation when it is an expression.
#[derive(Clone)]
pub(crate) enum Value<T> {
    Known(T, Literal),
    Const(Expr),
}

/// A literal as it was typed.
#[derive(Clone)]
pub(crate) struct Literal {
    pub(crate) tokens: TokenStream,
    pub(crate) text: String,
}

impl<T: Copy> Value<T> {
    pub(crate) fn known(&self) -> Option<T> {
        match self {
            Value::Known(value, _) => Some(*value),
            Value::Const(_) => None,
        }
    }
}

impl<T> Value<T> {
    pub(crate) fn is_const(&self) -> bool {
        matches!(self, Value::Const(_))
    }
}

/// What the attribute says.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    pub(crate) name: Option<Expr>,
    pub(crate) policy: Option<Expr>,
    pub(crate) rates: Vec<RateDraft>,
    pub(crate) quotas: Vec<QuotaDraft>,
    pub(crate) concurrency: Option<ConcurrencyDraft>,
    pub(crate) breaker: Option<BreakerDraft>,
    pub(crate) retries: Option<RetryDraft>,
    pub(crate) timeout: Option<Value<Duration>>,
    pub(crate) attempt_timeout: Option<Value<Duration>>,
    pub(crate) max_pause: Option<Value<Duration>>,
    pub(crate) abandoned: Option<Value<Duration>>,
    pub(crate) shadow: Option<bool>,
    pub(crate) key: Option<Expr>,
    pub(crate) cost: Option<Expr>,
    pub(crate) settle: Option<Expr>,
    pub(crate) classify: Option<Expr>,
    pub(crate) fallback: Option<Expr>,
    pub(crate) clone: Vec<Ident>,
    /// Whether the policy in words ends the function's docs.
    pub(crate) doc: Option<bool>,
    pub(crate) skip: bool,
    /// Whether this is a method's, completed by what its guarded `impl` says.
    pub(crate) in_block: bool,
    pub(crate) krate: Option<syn::Path>,
    /// The keys that were given, in order.
    pub(crate) keys: Vec<(&'static Key, Span)>,
}

impl Draft {
    /// Whether the body may run again: the policy's own retries are not known here.
    pub(crate) fn may_retry(&self) -> bool {
        match &self.retries {
            Some(retries) => retries.max.known() != Some(0),
            None => self.policy.is_some(),
        }
    }

    /// Whether the arguments are needed after the body ran.
    pub(crate) fn keeps_arguments(&self) -> bool {
        self.may_retry() || self.fallback.is_some()
    }

    /// A method's settings: its own, and the rest from its guarded `impl`.
    pub(crate) fn within(&self, block: &Draft) -> Draft {
        let own = self.clone();
        let block = block.clone();
        Draft {
            name: block.name,
            policy: block.policy,
            rates: block.rates,
            quotas: block.quotas,
            concurrency: block.concurrency,
            breaker: block.breaker,
            retries: own.retries.or(block.retries),
            timeout: own.timeout.or(block.timeout),
            attempt_timeout: own.attempt_timeout.or(block.attempt_timeout),
            max_pause: block.max_pause,
            abandoned: block.abandoned,
            shadow: block.shadow,
            key: own.key.or(block.key),
            cost: own.cost.or(block.cost),
            settle: own.settle.or(block.settle),
            classify: own.classify.or(block.classify),
            fallback: own.fallback,
            clone: own.clone,
            doc: own.doc.or(block.doc),
            skip: own.skip,
            in_block: true,
            krate: own.krate.or(block.krate),
            keys: own.keys,
        }
    }

    /// For a body that `#[async_trait]` has put into a box, where `self` has another name.
    pub(crate) fn with_boxed_self(&self) -> Draft {
        let rename = |value: &Option<Expr>| {
            value
                .as_ref()
                .map(|value| syn::parse2(boxed_self(value.to_token_stream())).unwrap_or_else(|_| value.clone()))
        };
        Draft { policy: rename(&self.policy), key: rename(&self.key), cost: rename(&self.cost), ..self.clone() }
    }

    /// What a function may set for its calls beside a policy that it shares.
    pub(crate) fn of_calls(&self) -> Draft {
        Draft {
            retries: self.retries.clone(),
            timeout: self.timeout.clone(),
            attempt_timeout: self.attempt_timeout.clone(),
            ..Draft::default()
        }
    }
}

#[derive(Clone)]
pub(crate) struct RateDraft {
    pub(crate) rate: Value<Rate>,
    pub(crate) burst: Option<Value<u32>>,
    pub(crate) max_wait: Option<Value<Duration>>,
}

#[derive(Clone)]
pub(crate) struct QuotaDraft {
    pub(crate) quota: Value<Quota>,
    pub(crate) max_wait: Option<Value<Duration>>,
}

#[derive(Clone)]
pub(crate) struct ConcurrencyDraft {
    pub(crate) limit: Value<u32>,
    pub(crate) max_wait: Option<Value<Duration>>,
}

#[derive(Clone, Default)]
pub(crate) struct BreakerDraft {
    /// `None` for a windowed one.
    pub(crate) failures: Option<Value<u32>>,
    pub(crate) failure_rate: Option<Value<Ratio>>,
    pub(crate) window: Option<Value<Window>>,
    pub(crate) min_calls: Option<Value<u32>>,
    pub(crate) slow_call: Option<Value<Duration>>,
    pub(crate) slow_rate: Option<Value<Ratio>>,
    pub(crate) recovery: Option<Value<Duration>>,
    pub(crate) recovery_jitter: Option<Value<Ratio>>,
    pub(crate) recovery_cap: Option<Value<Duration>>,
    pub(crate) successes: Option<Value<u32>>,
    pub(crate) probes: Option<Value<u32>>,
}

/// What a breaker looks back on.
#[derive(Clone, Copy)]
pub(crate) enum Window {
    Time(Duration),
    Calls(u32),
}

impl BreakerDraft {
    /// The breaker as far as literals tell; constants are left at values that suit the rest.
    pub(crate) fn known(&self) -> Breaker {
        fn set<T: Copy>(breaker: &mut Breaker, value: Option<&Value<T>>, set: fn(Breaker, T) -> Breaker) {
            if let Some(value) = value.and_then(Value::known) {
                *breaker = set(*breaker, value);
            }
        }
        let mut known = match (&self.failures, &self.failure_rate) {
            (Some(failures), _) => Breaker::consecutive(failures.known().unwrap_or(1)),
            (None, Some(rate)) => Breaker::failure_rate_ratio(rate.known().unwrap_or(Ratio::ONE)),
            (None, None) => Breaker::slow_calls(Duration::from_secs(1)),
        };
        if self.slow_call.as_ref().is_some_and(Value::is_const) {
            known = known.slow_call(Duration::from_secs(1));
        }
        let breaker = &mut known;
        set(breaker, self.window.as_ref(), |breaker, window| match window {
            Window::Time(time) => breaker.window(time),
            Window::Calls(calls) => breaker.window_calls(calls),
        });
        set(breaker, self.min_calls.as_ref(), Breaker::min_calls);
        set(breaker, self.slow_call.as_ref(), Breaker::slow_call);
        set(breaker, self.slow_rate.as_ref(), Breaker::slow_rate_ratio);
        set(breaker, self.recovery.as_ref(), Breaker::recovery);
        set(breaker, self.recovery_jitter.as_ref(), Breaker::recovery_jitter_ratio);
        set(breaker, self.recovery_cap.as_ref(), Breaker::recovery_cap);
        set(breaker, self.successes.as_ref(), Breaker::successes);
        set(breaker, self.probes.as_ref(), Breaker::probes);
        known
    }
}

#[derive(Clone)]
pub(crate) struct RetryDraft {
    pub(crate) max: Value<u32>,
    pub(crate) base: Option<Value<Duration>>,
    pub(crate) factor: Option<Value<Ratio>>,
    pub(crate) cap: Option<Value<Duration>>,
    pub(crate) jitter: Option<Value<Jitter>>,
    pub(crate) budget: Option<Value<Budget>>,
    pub(crate) statuses: Option<Value<Statuses>>,
    /// The keys inside the parentheses.
    pub(crate) inner: Vec<Ident>,
}
