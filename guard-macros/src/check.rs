//! What is wrong with settings that were read one by one: guard-spec's problems, each at the token that it is about.

use guard_spec::{Breaker, Field, Problem, Rate, Retry, Settings, nearest};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Expr, FnArg, Pat, ReceiverKind};

use crate::diag::Diagnostics;
use crate::function::Function;
use crate::parse::{Draft, Literal, Value};

/// Where the attribute stands decides what it may say.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Function,
    Policy,
}

/// Whether every name in `clone(…)` is an argument's.
pub(crate) fn check_clone(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    let arguments = function.arguments();
    for name in draft.clone.iter().filter(|name| arguments.iter().all(|argument| argument.name != **name)) {
        let names: Vec<_> = arguments.iter().map(|argument| argument.name.to_string()).collect();
        let advice = match nearest(&name.to_string(), names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if names.is_empty() => "the function has none; remove `clone`".into(),
            None => format!("the arguments are `{}`", names.join("`, `")),
        };
        diag.error(name.span(), format!("`{name}` is not an argument of this function; {advice}"));
    }
}

/// What cannot start anew with each attempt: the value is gone, or changed, after the first one.
pub(crate) fn check_anew(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    if !draft.may_retry() || function.boxed.is_some() {
        return;
    }
    for input in &function.signature.inputs {
        match input {
            FnArg::Receiver(receiver) if !is_pin(&receiver.kind) => {
                if let Some(word) = &receiver.mutability {
                    diag.error(
                        word.span,
                        "a retried call cannot start each attempt with the original `self`; \
                         write `self` and in the body `let mut this = self.clone()`, or `retries = 0`",
                    );
                }
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(argument) => check_ref_mut(&argument.pat, diag),
        }
    }
}

/// `self: Pin<&mut Self>` is a borrow, whatever `mut` says.
fn is_pin(kind: &ReceiverKind) -> bool {
    matches!(kind, ReceiverKind::Typed(_, ty) if ty.to_token_stream().to_string().contains("Pin"))
}

fn check_ref_mut(pattern: &Pat, diag: &mut Diagnostics) {
    match pattern {
        Pat::Ident(ident) => {
            if let (Some(word), Some(_)) = (&ident.by_ref, &ident.mutability) {
                diag.error(
                    word.span,
                    format!(
                        "a retried call cannot start each attempt with the original of `ref mut {0}`; write `mut {0}`",
                        ident.ident
                    ),
                );
            }
        }
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|element| check_ref_mut(element, diag)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|element| check_ref_mut(element, diag)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|field| check_ref_mut(&field.pat, diag)),
        Pat::Slice(slice) => slice.elems.iter().for_each(|element| check_ref_mut(element, diag)),
        _ => {}
    }
}

pub(crate) fn check(draft: &Draft, place: Place, diag: &mut Diagnostics) {
    if place == Place::Policy {
        for (key, span) in &draft.keys {
            if matches!(key.name, "policy" | "clone") {
                diag.error(*span, format!("`{}` belongs above a function, not in `policy!`", key.name));
            }
        }
    } else if draft.policy.is_some() {
        for (key, span) in draft.keys.iter().filter(|(key, _)| !key.per_call) {
            diag.error(
                *span,
                format!("`{0}` belongs to the shared policy; set it there, or remove `policy`", key.name),
            );
        }
    }
    if let Some(retries) = draft.retries.as_ref().filter(|retries| retries.max.known() == Some(0)) {
        for inner in &retries.inner {
            diag.error(
                inner.span(),
                format!("`{inner}` has no effect with `retries = 0`; remove it, or allow a retry"),
            );
        }
    }
    for problem in known_settings(draft).problems().iter() {
        if may_change(draft, problem.field()) {
            continue;
        }
        report(draft, &problem, diag);
    }
}

/// The settings as far as literals tell; constants are left at values that suit the rest.
fn known_settings(draft: &Draft) -> Settings {
    let mut settings = Settings::new();
    if let Some(draft) = &draft.rate {
        let mut rate = draft.rate.known().unwrap_or(Rate::per_second(1));
        if let Some(burst) = draft.burst.as_ref().and_then(Value::known) {
            rate = rate.burst(burst);
        }
        if let Some(max_wait) = draft.max_wait.as_ref().and_then(Value::known) {
            rate = rate.max_wait(max_wait);
        }
        settings = settings.rate(rate);
    }
    if let Some(draft) = &draft.breaker {
        let mut breaker = Breaker::consecutive(draft.failures.known().unwrap_or(1));
        if let Some(recovery) = draft.recovery.as_ref().and_then(Value::known) {
            breaker = breaker.recovery(recovery);
        }
        if let Some(successes) = draft.successes.as_ref().and_then(Value::known) {
            breaker = breaker.successes(successes);
        }
        if let Some(probes) = draft.probes.as_ref().and_then(Value::known) {
            breaker = breaker.probes(probes);
        }
        settings = settings.breaker(breaker);
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
    settings
}

/// Whether a constant that is not known here has a say in this: then `const` evaluation judges.
fn may_change(draft: &Draft, field: Field) -> bool {
    fn open<T>(value: Option<&Value<T>>) -> bool {
        matches!(value, Some(Value::Const(_)))
    }
    let retries = draft.retries.as_ref();
    match field {
        Field::RateBurst => draft.rate.as_ref().is_some_and(|rate| rate.rate.is_const()),
        Field::RetriesBase => retries.is_some_and(|retries| open(retries.base.as_ref()) || open(retries.cap.as_ref())),
        Field::Timeout => retries.is_some_and(|retries| {
            open(Some(&retries.max)) || open(retries.base.as_ref()) || open(retries.jitter.as_ref())
        }),
        Field::AttemptTimeout => open(draft.timeout.as_ref()),
        _ => false,
    }
}

/// The value that set a field; for one that was left at its default, the value that it has to go with.
fn place(draft: &Draft, field: Field) -> Option<Setter<'_>> {
    fn setter<T>(value: &Value<T>) -> Setter<'_> {
        match value {
            Value::Known(_, literal) => Setter::Literal(literal),
            Value::Const(value) => Setter::Const(value),
        }
    }
    fn inner<T>(value: Option<&Value<T>>) -> Option<Setter<'_>> {
        value.map(setter)
    }
    let (rate, breaker, retries) = (draft.rate.as_ref(), draft.breaker.as_ref(), draft.retries.as_ref());
    match field {
        Field::Rate => Some(setter(&rate?.rate)),
        Field::RateBurst => inner(rate?.burst.as_ref()),
        Field::RateMaxWait => inner(rate?.max_wait.as_ref()),
        Field::Breaker => Some(setter(&breaker?.failures)),
        Field::BreakerRecovery => inner(breaker?.recovery.as_ref()),
        Field::BreakerSuccesses => inner(breaker?.successes.as_ref()),
        Field::BreakerProbes => inner(breaker?.probes.as_ref()),
        Field::Retries => Some(setter(&retries?.max)),
        Field::RetriesBase => inner(retries?.base.as_ref()),
        Field::RetriesFactor => inner(retries?.factor.as_ref()),
        Field::RetriesCap => inner(retries?.cap.as_ref()),
        Field::RetriesJitter => inner(retries?.jitter.as_ref()),
        Field::RetriesStatuses => inner(retries?.statuses.as_ref()),
        Field::Timeout => inner(draft.timeout.as_ref()),
        Field::AttemptTimeout => inner(draft.attempt_timeout.as_ref()),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Setter<'a> {
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

const FIELDS: [Field; 15] = [
    Field::Rate,
    Field::RateBurst,
    Field::RateMaxWait,
    Field::Breaker,
    Field::BreakerRecovery,
    Field::BreakerSuccesses,
    Field::BreakerProbes,
    Field::Retries,
    Field::RetriesBase,
    Field::RetriesFactor,
    Field::RetriesCap,
    Field::RetriesJitter,
    Field::RetriesStatuses,
    Field::Timeout,
    Field::AttemptTimeout,
];

/// What `const` evaluation has to judge: each field with the tokens that a problem with it is reported at. Nothing when
/// every value is known here.
pub(crate) fn left_to_const(draft: &Draft) -> Vec<(Field, TokenStream)> {
    if !FIELDS.iter().any(|field| matches!(place(draft, *field), Some(Setter::Const(_)))) {
        return Vec::new();
    }
    // A constant rate brings a burst and a longest wait, and a short cap goes with the default base.
    let or = |field| match field {
        Field::RateBurst | Field::RateMaxWait => place(draft, Field::Rate),
        Field::RetriesBase => place(draft, Field::RetriesCap),
        _ => None,
    };
    let at = |field| Some((field, place(draft, field).or_else(|| or(field))?.tokens()));
    FIELDS.into_iter().filter_map(at).collect()
}

fn report(draft: &Draft, problem: &Problem, diag: &mut Diagnostics) {
    let field = problem.field();
    let name = field.name().rsplit('.').next().unwrap_or(field.name());
    if let Some(Setter::Literal(literal)) = place(draft, field) {
        return diag.error_at(&literal.tokens, format!("`{name} = {}` {}", literal.text, problem.advice()));
    }
    // A default that does not go with what was typed: the `base` with a short `cap`.
    match place(draft, Field::RetriesCap) {
        Some(Setter::Literal(cap)) if field == Field::RetriesBase => diag.error_at(
            &cap.tokens,
            format!(
                "`cap = {}` is shorter than the default `base` of `1s`; set `base` too, or write at least `1s`",
                cap.text
            ),
        ),
        _ => diag.error(Span::call_site(), problem),
    }
}
