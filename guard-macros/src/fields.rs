//! Which tokens of the attribute set which field of the settings: where a problem is reported, and what `const` evaluation judges.

use guard_spec::{Concurrency, Field, Quota, Rate, Retry, Settings};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Expr;

use crate::draft::{Draft, Literal, Value};

/// The settings as far as literals tell; constants are left at values that suit the rest.
pub(crate) fn known_settings(draft: &Draft) -> Settings {
    let mut settings = Settings::new();
    for draft in &draft.rates {
        let mut rate = draft.rate.known().unwrap_or(Rate::per_second(1));
        if let Some(burst) = draft.burst.as_ref().and_then(Value::known) {
            rate = rate.burst(burst);
        }
        if let Some(max_wait) = draft.max_wait.as_ref().and_then(Value::known) {
            rate = rate.max_wait(max_wait);
        }
        settings = settings.and_rate(rate);
    }
    for draft in &draft.quotas {
        let mut quota = draft.quota.known().unwrap_or(Quota::per_second(1));
        if let Some(max_wait) = draft.max_wait.as_ref().and_then(Value::known) {
            quota = quota.max_wait(max_wait);
        }
        settings = settings.and_quota(quota);
    }
    if let Some(draft) = &draft.concurrency {
        let mut concurrency = Concurrency::new(draft.limit.known().unwrap_or(1));
        if let Some(max_wait) = draft.max_wait.as_ref().and_then(Value::known) {
            concurrency = concurrency.max_wait(max_wait);
        }
        settings = settings.concurrency(concurrency);
    }
    if let Some(draft) = &draft.breaker {
        settings = settings.breaker(draft.known());
    }
    if let Some(draft) = &draft.retries {
        let mut retry = Retry::new(draft.max.known().unwrap_or(0));
        if let Some(base) = draft.base.as_ref().and_then(Value::known) {
            retry = retry.base(base);
        }
        if let Some(factor) = draft.factor.as_ref().and_then(Value::known) {
            retry = retry.factor_ratio(factor);
        }
        if let Some(cap) = draft.cap.as_ref().and_then(Value::known) {
            retry = retry.cap(cap);
        }
        if let Some(jitter) = draft.jitter.as_ref().and_then(Value::known) {
            retry = retry.jitter(jitter);
        }
        if let Some(budget) = draft.budget.as_ref().and_then(Value::known) {
            retry = retry.budget(budget);
        }
        if let Some(statuses) = draft.statuses.as_ref().and_then(Value::known) {
            retry = retry.statuses(statuses);
        }
        settings = settings.retries(retry);
    }
    if let Some(timeout) = draft.timeout.as_ref().and_then(Value::known) {
        settings = settings.timeout(timeout);
    }
    if let Some(timeout) = draft.attempt_timeout.as_ref().and_then(Value::known) {
        settings = settings.attempt_timeout(timeout);
    }
    if let Some(pause) = draft.max_pause.as_ref().and_then(Value::known) {
        settings = settings.max_pause(pause);
    }
    if let Some(after) = draft.abandoned.as_ref().and_then(Value::known) {
        settings = settings.abandoned(after);
    }
    settings
}

/// Whether a constant that is not known here has a say in this: then `const` evaluation judges.
pub(crate) fn may_change(draft: &Draft, field: Field, index: usize) -> bool {
    fn open<T>(value: Option<&Value<T>>) -> bool {
        matches!(value, Some(Value::Const(_)))
    }
    let (breaker, retries) = (draft.breaker.as_ref(), draft.retries.as_ref());
    match field {
        Field::BreakerMinCalls => breaker.is_some_and(|breaker| open(breaker.window.as_ref())),
        Field::BreakerRecoveryCap => {
            breaker.is_some_and(|breaker| open(breaker.recovery.as_ref()) || open(breaker.failures.as_ref()))
        }
        Field::RateBurst => draft.rates.get(index).is_some_and(|rate| rate.rate.is_const()),
        Field::RetriesBase => retries.is_some_and(|retries| {
            open(Some(&retries.max)) || open(retries.base.as_ref()) || open(retries.cap.as_ref())
        }),
        Field::Timeout => retries.is_some_and(|retries| {
            open(Some(&retries.max)) || open(retries.base.as_ref()) || open(retries.jitter.as_ref())
        }),
        Field::AttemptTimeout => open(draft.timeout.as_ref()),
        _ => false,
    }
}

/// The value that set a field; for one that was left at its default, the value that it has to go with.
pub(crate) fn place(draft: &Draft, field: Field, index: usize) -> Option<Setter<'_>> {
    fn setter<T>(value: &Value<T>) -> Setter<'_> {
        match value {
            Value::Known(_, literal) => Setter::Literal(literal),
            Value::Const(value) => Setter::Const(value),
        }
    }
    fn inner<T>(value: Option<&Value<T>>) -> Option<Setter<'_>> {
        value.map(setter)
    }
    let (rate, quota) = (draft.rates.get(index), draft.quotas.get(index));
    let (breaker, retries) = (draft.breaker.as_ref(), draft.retries.as_ref());
    match field {
        Field::Rate => Some(setter(&rate?.rate)),
        Field::RateBurst => inner(rate?.burst.as_ref()),
        Field::RateMaxWait => inner(rate?.max_wait.as_ref()),
        Field::Quota => Some(setter(&quota?.quota)),
        Field::QuotaMaxWait => inner(quota?.max_wait.as_ref()),
        Field::Concurrency => Some(setter(&draft.concurrency.as_ref()?.limit)),
        Field::ConcurrencyMaxWait => inner(draft.concurrency.as_ref()?.max_wait.as_ref()),
        Field::Breaker => inner(breaker?.failures.as_ref()),
        Field::BreakerFailureRate => inner(breaker?.failure_rate.as_ref()),
        Field::BreakerWindow => inner(breaker?.window.as_ref()),
        Field::BreakerMinCalls => inner(breaker?.min_calls.as_ref()),
        Field::BreakerSlowCall => inner(breaker?.slow_call.as_ref()),
        Field::BreakerSlowRate => inner(breaker?.slow_rate.as_ref()),
        Field::BreakerRecovery => inner(breaker?.recovery.as_ref()),
        Field::BreakerRecoveryJitter => inner(breaker?.recovery_jitter.as_ref()),
        Field::BreakerRecoveryCap => inner(breaker?.recovery_cap.as_ref()),
        Field::BreakerSuccesses => inner(breaker?.successes.as_ref()),
        Field::BreakerProbes => inner(breaker?.probes.as_ref()),
        Field::Retries => Some(setter(&retries?.max)),
        Field::RetriesBase => inner(retries?.base.as_ref()),
        Field::RetriesFactor => inner(retries?.factor.as_ref()),
        Field::RetriesCap => inner(retries?.cap.as_ref()),
        Field::RetriesJitter => inner(retries?.jitter.as_ref()),
        Field::RetriesBudget => inner(retries?.budget.as_ref()),
        Field::RetriesStatuses => inner(retries?.statuses.as_ref()),
        Field::Timeout => inner(draft.timeout.as_ref()),
        Field::AttemptTimeout => inner(draft.attempt_timeout.as_ref()),
        Field::MaxPause => inner(draft.max_pause.as_ref()),
        Field::Abandoned => inner(draft.abandoned.as_ref()),
        _ => None,
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Setter<'a> {
    Literal(&'a Literal),
    Const(&'a Expr),
}

impl Setter<'_> {
    fn tokens(self) -> TokenStream {
        match self {
            Setter::Literal(literal) => literal.tokens.clone(),
            Setter::Const(value) => value.to_token_stream(),
        }
    }
}

const FIELDS: [Field; 29] = [
    Field::Rate,
    Field::RateBurst,
    Field::RateMaxWait,
    Field::Quota,
    Field::QuotaMaxWait,
    Field::Concurrency,
    Field::ConcurrencyMaxWait,
    Field::Breaker,
    Field::BreakerFailureRate,
    Field::BreakerWindow,
    Field::BreakerMinCalls,
    Field::BreakerSlowCall,
    Field::BreakerSlowRate,
    Field::BreakerRecovery,
    Field::BreakerRecoveryJitter,
    Field::BreakerRecoveryCap,
    Field::BreakerSuccesses,
    Field::BreakerProbes,
    Field::Retries,
    Field::RetriesBase,
    Field::RetriesFactor,
    Field::RetriesCap,
    Field::RetriesJitter,
    Field::RetriesBudget,
    Field::RetriesStatuses,
    Field::Timeout,
    Field::AttemptTimeout,
    Field::MaxPause,
    Field::Abandoned,
];

/// Each field, with the number that it has among the limits of its kind.
pub(crate) fn fields() -> impl Iterator<Item = (Field, usize)> {
    FIELDS.into_iter().flat_map(|field| {
        let is_list =
            matches!(field, Field::Rate | Field::RateBurst | Field::RateMaxWait | Field::Quota | Field::QuotaMaxWait);
        (0..if is_list { Settings::MOST_LIMITS } else { 1 }).map(move |index| (field, index))
    })
}

/// What `const` evaluation has to judge: each field with the tokens that a problem with it is reported at. Nothing when
/// every value is known here.
pub(crate) fn left_to_const(draft: &Draft) -> Vec<(Field, usize, TokenStream)> {
    if !fields().any(|(field, index)| matches!(place(draft, field, index), Some(Setter::Const(_)))) {
        return Vec::new();
    }
    // A constant limit brings a burst and a longest wait, and a short cap goes with the default base.
    let or = |field, index| match field {
        Field::RateBurst | Field::RateMaxWait => place(draft, Field::Rate, index),
        Field::QuotaMaxWait => place(draft, Field::Quota, index),
        Field::RetriesBase => place(draft, Field::RetriesCap, index).or_else(|| place(draft, Field::Retries, index)),
        // One constant may be the whole of them.
        Field::RetriesFactor
        | Field::RetriesCap
        | Field::RetriesJitter
        | Field::RetriesBudget
        | Field::RetriesStatuses => place(draft, Field::Retries, index),
        Field::BreakerFailureRate
        | Field::BreakerWindow
        | Field::BreakerMinCalls
        | Field::BreakerSlowCall
        | Field::BreakerSlowRate
        | Field::BreakerRecovery
        | Field::BreakerRecoveryJitter
        | Field::BreakerRecoveryCap
        | Field::BreakerSuccesses
        | Field::BreakerProbes => place(draft, Field::Breaker, index),
        Field::ConcurrencyMaxWait => place(draft, Field::Concurrency, index),
        _ => None,
    };
    let at = |(field, index)| Some((field, index, place(draft, field, index).or_else(|| or(field, index))?.tokens()));
    fields().filter_map(at).collect()
}
