//! What is wrong with settings that were read one by one: guard-spec's problems, each at the token that it is about.

use guard_spec::{Concurrency, Field, Problem, Quota, Rate, Retry, Settings, nearest};
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Expr, ExprLit, FnArg, Lit, Pat, ReceiverKind};

use crate::arguments::{mentions, uses};
use crate::diag::Diagnostics;
use crate::draft::{Draft, Literal, Value};
use crate::expand::fallback;
use crate::function::Function;
use crate::keys::{Key, Scope};
use crate::tokens::typed;

/// Where the attribute stands decides what it may say.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// Above a function.
    Function,
    /// In `policy!`.
    Policy,
    /// Above an `impl`.
    Block,
    /// Above a method of a guarded `impl`.
    Method,
}

/// What is wrong between the settings and the function.
pub(crate) fn check_function(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    check_clone(draft, function, diag);
    check_anew(draft, function, diag);
    check_effect(draft, diag);
    check_constants(draft, function, diag);
    check_functions(draft, function, diag);
    if draft.fallback.is_some() {
        fallback::check(function, diag);
    }
}

/// Whether every name in `clone(…)` is an argument's.
fn check_clone(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
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
fn check_anew(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    if !draft.keeps_arguments() || function.boxed.is_some() {
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
    for (key, span) in &draft.keys {
        if let Some(mistake) = misplaced(key, draft, place) {
            diag.error(*span, mistake);
        } else if place == Place::Method && draft.skip && key.scope != Scope::Method {
            diag.error(*span, format!("`skip` leaves the method unguarded; remove `{}`, or `skip`", key.name));
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
    let word = Ident::new("Self", Span::call_site());
    for (value, text) in constants(draft).filter(|(value, _)| mentions(value, &word)) {
        diag.error_at(
            value,
            format!("`{text}` cannot be a setting, which is a static's; write the type's name instead of `Self`"),
        );
    }
    for problem in known_settings(draft).problems().iter() {
        if may_change(draft, problem.field(), problem.index()) {
            continue;
        }
        report(draft, &problem, diag);
    }
}

/// What is wrong with a setting where it stands.
fn misplaced(key: &Key, draft: &Draft, place: Place) -> Option<String> {
    let name = key.name;
    let belongs = match (place, key.scope) {
        (_, Scope::Macro | Scope::Call) | (Place::Policy, Scope::Policy) => return None,
        (Place::Policy, _) => format!("`{name}` belongs above a function, not in `policy!`"),
        (Place::Function | Place::Block, Scope::Policy) if draft.policy.is_some() => {
            format!("`{name}` belongs to the shared policy; set it there, or remove `policy`")
        }
        (Place::Function, Scope::Method) => {
            "`skip` is for a method of an `impl` below `#[guarded(…)]`; remove the attribute instead".into()
        }
        (Place::Block, Scope::Method) => {
            "`skip` would leave every method unguarded; write it above a method, or remove the attribute".into()
        }
        (Place::Block, Scope::Arguments) => {
            format!(
                "`{name}` is about the arguments of one function; write `#[guarded({})]` above the method",
                key.form
            )
        }
        (Place::Method, Scope::Policy | Scope::Choice) => format!(
            "`{name}` is the same for the whole `impl`; set it there, or put the method into an `impl` of its own, with a \
             `name`"
        ),
        _ => return None,
    };
    Some(belongs)
}

/// In the function an argument hides a function of its name.
fn check_functions(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    let arguments = function.arguments();
    for (name, value) in [("classify", &draft.classify), ("settle", &draft.settle), ("fallback", &draft.fallback)] {
        let Some(Expr::Path(path)) = value else { continue };
        let hidden = path.path.get_ident().filter(|path| arguments.iter().any(|argument| argument.name == **path));
        if let Some(hidden) = hidden {
            diag.error_at(
                hidden,
                format!("`{hidden}` is an argument of this function; write `{name} = self::{hidden}` for a function beside it"),
            );
        }
    }
}

/// What a function knows only while it runs cannot be a setting.
fn check_constants(draft: &Draft, function: &Function, diag: &mut Diagnostics) {
    let generics = &function.signature.generics;
    let mut names: Vec<Ident> = function.arguments().into_iter().map(|argument| argument.name).collect();
    names.extend(generics.const_params().map(|parameter| parameter.ident.clone()));
    names.extend(generics.type_params().map(|parameter| parameter.ident.clone()));
    names.push(Ident::new("self", Span::call_site()));
    for (value, text) in constants(draft) {
        if names.iter().any(|name| uses(&value, name)) {
            diag.error_at(
                value,
                format!(
                    "`{text}` is known only when the function is called, and settings are constants; write a constant, or \
                     make a policy with `Policy::builder` and name its place, `policy = …`"
                ),
            );
        }
    }
}

/// The expressions that have to be constants, each as tokens and as text.
fn constants(draft: &Draft) -> impl Iterator<Item = (TokenStream, String)> {
    let fields = fields().filter_map(|(field, index)| match place(draft, field, index) {
        Some(Setter::Const(value)) => Some(value),
        _ => None,
    });
    let name = draft.name.as_ref().filter(|name| !matches!(name, Expr::Lit(_)));
    fields.chain(name).map(|value| (value.to_token_stream(), typed(value)))
}

/// What a function's settings say that can have no effect.
fn check_effect(draft: &Draft, diag: &mut Diagnostics) {
    if let (Some(word), false) = (draft.clone.first(), draft.keeps_arguments()) {
        diag.error(word.span(), "`clone` has no effect without retries; remove it");
    }
    if draft.policy.is_some() {
        return;
    }
    let has_tokens = !draft.rates.is_empty() || !draft.quotas.is_empty();
    let has_limit = has_tokens || draft.concurrency.is_some();
    for (name, value) in [("cost", &draft.cost), ("settle", &draft.settle)] {
        if let (Some(value), false) = (value, has_tokens) {
            diag.error_at(
                value,
                format!(
                    "`{name}` has no effect without a limit in tokens; add `rate` or `quota`{}, or remove `{name}`",
                    if draft.in_block { " above the `impl`" } else { "" }
                ),
            );
        }
    }
    if let (Some(key), false) = (&draft.key, has_limit || draft.breaker.is_some()) {
        diag.error_at(
            key,
            "`key` has no effect without a limit or a breaker; add `rate` or `breaker`, or remove `key`",
        );
    }
    let Some(Expr::Lit(ExprLit { lit: Lit::Int(cost), .. })) = &draft.cost else { return };
    // A constant rate brings a burst of its own.
    let bursts = draft.rates.iter().filter_map(|rate| match &rate.burst {
        Some(burst) => burst.known(),
        None => rate.rate.known().map(|rate| rate.capacity()),
    });
    let quotas = draft.quotas.iter().filter_map(|quota| quota.quota.known().map(|quota| quota.count()));
    let most = [("burst", bursts.min(), "rate(…, burst = "), ("quota", quotas.min(), "quota = \"")];
    for (what, most, advice) in most {
        let (Ok(tokens), Some(most)) = (cost.base10_parse::<u32>(), most) else { continue };
        if tokens > most {
            let advice = if what == "burst" {
                format!("{advice}{cost})` or more")
            } else {
                format!("{advice}{cost}/…\"` or more")
            };
            diag.error_at(
                cost,
                format!(
                    "`cost = {cost}` is more than the `{what}` of {most}, so no attempt is ever admitted; \
                     write `{advice}, or a lower cost"
                ),
            );
        }
    }
}

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
fn may_change(draft: &Draft, field: Field, index: usize) -> bool {
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
fn fields() -> impl Iterator<Item = (Field, usize)> {
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

fn report(draft: &Draft, problem: &Problem, diag: &mut Diagnostics) {
    let field = problem.field();
    let name = field.name().rsplit('.').next().unwrap_or(field.name());
    // A method that does not go with its `impl`: the mistake is the method's.
    let key = field.name().split('.').next().unwrap_or_default();
    if draft.in_block && draft.keys.iter().all(|(own, _)| own.name != key) {
        if let Some((_, span)) = draft.keys.iter().find(|(own, _)| own.scope == Scope::Call) {
            return diag.error(*span, format!("this does not go with the settings of the `impl`, where {problem}"));
        }
    }
    if let Some(Setter::Literal(literal)) = place(draft, field, problem.index()) {
        return diag.error_at(&literal.tokens, format!("`{name} = {}` {}", literal.text, problem.advice()));
    }
    // A default that does not go with what was typed: the `base` with a short `cap`.
    match place(draft, Field::RetriesCap, 0) {
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
