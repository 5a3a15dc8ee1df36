//! Settings -> the constant expression that makes them.

use std::time::Duration;

use guard_spec::{Budget, Field, Jitter, Ratio, Statuses};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote, quote_spanned};
use syn::Expr;

use crate::draft::{BreakerDraft, Draft, Value, Window};
use crate::fields::left_to_const;

/// `Settings::new().rate(…)…`: `private` is the path of apiguard's hidden module.
///
/// A constant goes through a function that says what type it must have, and what is wrong with its value is said by a
/// check that stands at it: so both mistakes are reported where the constant was typed. Each check is a constant of its
/// own, since the evaluation of one ends with its first mistake; of wrong settings nothing is left for the next one.
pub(crate) fn expression(draft: &Draft, private: &TokenStream) -> TokenStream {
    let settings = built(draft, private);
    let checks = left_to_const(draft);
    if checks.is_empty() {
        return settings;
    }
    let checks = checks.into_iter().map(|(field, index, tokens)| {
        let field = Ident::new(&format!("{field:?}"), Span::call_site());
        call_at(ends(&tokens), private, &["check"], quote!(&__SETTINGS, #private::Field::#field, #index))
    });
    quote! {{
        const __SETTINGS: #private::Settings = #settings;
        #(const _: () = #checks;)*
        #private::checked_above(__SETTINGS)
    }}
}

/// What a method of a guarded `impl` sets, checked together with what the block does: the timeouts, on which both have a
/// say. The rest is checked where it stands.
pub(crate) fn together(draft: &Draft, own: &Draft, private: &TokenStream) -> Option<TokenStream> {
    if own.retries.is_none() && own.timeout.is_none() && own.attempt_timeout.is_none() {
        return None;
    }
    let of_calls = draft.of_calls();
    let checks: Vec<_> = left_to_const(&of_calls)
        .into_iter()
        .filter(|(field, ..)| matches!(field, Field::Timeout | Field::AttemptTimeout))
        .map(|(field, index, tokens)| {
            let field = Ident::new(&format!("{field:?}"), Span::call_site());
            call_at(ends(&tokens), private, &["check"], quote!(&__SETTINGS, #private::Field::#field, #index))
        })
        .collect();
    let settings = built(&of_calls, private);
    (!checks.is_empty()).then(|| {
        quote! {
            const _: () = {
                const __SETTINGS: #private::Settings = #settings;
                #(const _: () = #checks;)*
            };
        }
    })
}

fn built(draft: &Draft, private: &TokenStream) -> TokenStream {
    let mut tokens = quote!(#private::Settings::new());
    let to_tokens = |count: &u32| count.to_token_stream();
    let to_duration = |time: &Duration| duration(*time, private);
    // `.name(value)`
    let inner = |name, value: Option<TokenStream>| value.map(|value| method(name, &value)).unwrap_or_default();
    let max_wait = |wait: &Option<Value<Duration>>| {
        inner("max_wait", wait.as_ref().map(|wait| part(wait, private, "duration", to_duration)))
    };
    for (index, draft) in draft.rates.iter().enumerate() {
        let rate = part(&draft.rate, private, "rate", |rate| {
            let (count, per) = (rate.count(), duration(rate.period(), private));
            quote!(#private::Rate::new(#count, #per))
        });
        let burst = inner("burst", draft.burst.as_ref().map(|burst| part(burst, private, "count", to_tokens)));
        let max_wait = max_wait(&draft.max_wait);
        let value = quote!(#rate #burst #max_wait);
        tokens.extend(method(if index == 0 { "rate" } else { "and_rate" }, &value));
    }
    for (index, draft) in draft.quotas.iter().enumerate() {
        let quota = part(&draft.quota, private, "quota", |quota| {
            let (count, window) = (quota.count(), duration(quota.window(), private));
            quote!(#private::Quota::new(#count, #window))
        });
        let max_wait = max_wait(&draft.max_wait);
        tokens.extend(method(if index == 0 { "quota" } else { "and_quota" }, &quote!(#quota #max_wait)));
    }
    if let Some(draft) = &draft.concurrency {
        let limit = match &draft.limit {
            Value::Known(limit, _) => quote!(#private::Concurrency::new(#limit)),
            // A `u32` or a `Concurrency`.
            Value::Const(value) => {
                let limit = constant(value, private, "concurrency");
                quote!(#limit.concurrency())
            }
        };
        let max_wait = max_wait(&draft.max_wait);
        tokens.extend(quote!(.concurrency(#limit #max_wait)));
    }
    if let Some(draft) = &draft.breaker {
        let breaker = breaker(draft, private);
        tokens.extend(quote!(.breaker(#breaker)));
    }
    if let Some(draft) = &draft.retries {
        let time = |value: &Option<_>| value.as_ref().map(|value| part(value, private, "duration", to_duration));
        let retry = match &draft.max {
            Value::Known(max, _) => quote!(#private::Retry::new(#max)),
            // A `u32` or a `Retry`.
            Value::Const(value) => {
                let retries = constant(value, private, "retries");
                quote!(#retries.retry())
            }
        };
        let (base, cap) = (inner("base", time(&draft.base)), inner("cap", time(&draft.cap)));
        let factor = draft.factor.as_ref().map(|factor| {
            let name = if factor.is_const() { "factor" } else { "factor_ratio" };
            method(name, &part(factor, private, "factor", |ratio| ratio_tokens(*ratio, private)))
        });
        let jitter = draft
            .jitter
            .as_ref()
            .map(|jitter| part(jitter, private, "jitter", |jitter| jitter_tokens(*jitter, private)));
        let jitter = inner("jitter", jitter);
        let budget = draft.budget.as_ref();
        let budget = budget.map(|budget| part(budget, private, "budget", |budget| budget_tokens(*budget, private)));
        let budget = inner("budget", budget);
        let statuses = draft.statuses.as_ref();
        let statuses = statuses.map(|set| part(set, private, "statuses", |set| statuses_tokens(set, private)));
        let statuses = inner("statuses", statuses);
        tokens.extend(quote!(.retries(#retry #base #factor #cap #jitter #budget #statuses)));
    }
    let time = |value: &Option<_>| value.as_ref().map(|value| part(value, private, "duration", to_duration));
    tokens.extend(inner("timeout", time(&draft.timeout)));
    tokens.extend(inner("attempt_timeout", time(&draft.attempt_timeout)));
    tokens.extend(inner("max_pause", time(&draft.max_pause)));
    tokens.extend(inner("abandoned", time(&draft.abandoned)));
    tokens.extend(inner("shadow", draft.shadow.map(ToTokens::into_token_stream)));
    tokens
}

/// `Breaker::consecutive(…)…` or `Breaker::failure_rate_ratio(…)…`
fn breaker(draft: &BreakerDraft, private: &TokenStream) -> TokenStream {
    let count = |value: &Value<u32>| part(value, private, "count", ToTokens::to_token_stream);
    let time = |value: &Value<Duration>| part(value, private, "duration", |time| duration(*time, private));
    let share = |value: &Value<Ratio>| match value {
        Value::Known(ratio, _) => ratio_tokens(*ratio, private),
        // An `f64` or a `Ratio`.
        Value::Const(value) => {
            let share = constant(value, private, "share");
            quote!(#share.ratio())
        }
    };
    let (mut breaker, mut slow_call) = (TokenStream::new(), draft.slow_call.as_ref().map(time));
    if let Some(Value::Known(failures, _)) = &draft.failures {
        breaker.extend(quote!(#private::Breaker::consecutive(#failures)));
    } else if let Some(Value::Const(value)) = &draft.failures {
        // A `u32` or a `Breaker`.
        let failures = constant(value, private, "breaker");
        breaker.extend(quote!(#failures.breaker()));
    } else if let Some(rate) = draft.failure_rate.as_ref().map(share) {
        breaker.extend(quote!(#private::Breaker::failure_rate_ratio(#rate)));
    } else {
        let slow_call = slow_call.take();
        breaker.extend(quote!(#private::Breaker::slow_calls(#slow_call)));
    }
    let settings = [
        ("min_calls", draft.min_calls.as_ref().map(count)),
        ("slow_call", slow_call),
        ("slow_rate_ratio", draft.slow_rate.as_ref().map(share)),
        ("recovery", draft.recovery.as_ref().map(time)),
        ("recovery_jitter_ratio", draft.recovery_jitter.as_ref().map(share)),
        ("recovery_cap", draft.recovery_cap.as_ref().map(time)),
        ("successes", draft.successes.as_ref().map(count)),
        ("probes", draft.probes.as_ref().map(count)),
    ];
    for (name, value) in settings {
        breaker.extend(value.map(|value| method(name, &value)));
    }
    match &draft.window {
        Some(Value::Known(Window::Time(time), _)) => breaker.extend(method("window", &duration(*time, private))),
        Some(Value::Known(Window::Calls(calls), _)) => breaker.extend(method("window_calls", &quote!(#calls))),
        // A `Duration` or a `u32`: its type knows which of the two to call.
        Some(Value::Const(value)) => {
            let window = constant(value, private, "window");
            return quote!(#window.of(#breaker));
        }
        None => {}
    }
    breaker
}

/// A value: one that was read here, or a constant through the function `kind` of the hidden module, which knows its type.
fn part<T>(value: &Value<T>, private: &TokenStream, kind: &str, known: impl FnOnce(&T) -> TokenStream) -> TokenStream {
    match value {
        Value::Known(value, _) => known(value),
        Value::Const(value) => constant(value, private, kind),
    }
}

/// A constant that must have the type of its kind.
pub(crate) fn constant(value: &Expr, private: &TokenStream, kind: &str) -> TokenStream {
    call_at(ends(value), private, &["constant", kind], value.to_token_stream())
}

fn method(name: &str, argument: &TokenStream) -> TokenStream {
    let name = Ident::new(name, Span::call_site());
    quote!(.#name(#argument))
}

/// A call of a function in the hidden module that stands, for the compiler's messages, where the user's tokens do.
pub(crate) fn call_at(
    (start, end): (Span, Span),
    private: &TokenStream,
    path: &[&str],
    arguments: TokenStream,
) -> TokenStream {
    let mut call = TokenStream::new();
    for mut token in private.clone() {
        // The `crate` of `crate = …` means what it meant where it was typed.
        if !matches!(&token, TokenTree::Ident(ident) if ident == "crate") {
            token.set_span(start);
        }
        call.append(token);
    }
    for (index, name) in path.iter().enumerate() {
        let name = Ident::new(name, if index + 1 < path.len() { start } else { end });
        call.extend(quote_spanned!(start=> ::#name));
    }
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(end);
    call.append(arguments);
    call
}

/// Where tokens begin and end. (One span over all of them cannot be had on a stable compiler.)
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let start = tokens.next().map_or_else(Span::call_site, |token| token.span());
    (start, tokens.last().map_or(start, |token| token.span()))
}

fn duration(duration: Duration, private: &TokenStream) -> TokenStream {
    // Read from text, so within 584 years.
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    quote!(#private::Duration::from_nanos(#nanos))
}

fn ratio_tokens(ratio: Ratio, private: &TokenStream) -> TokenStream {
    let millionths = ratio.millionths();
    quote!(#private::Ratio::from_millionths(#millionths))
}

fn jitter_tokens(jitter: Jitter, private: &TokenStream) -> TokenStream {
    match jitter {
        Jitter::Proportional(ratio) => {
            let ratio = ratio_tokens(ratio, private);
            quote!(#private::Jitter::Proportional(#ratio))
        }
        Jitter::Full => quote!(#private::Jitter::Full),
        Jitter::Equal => quote!(#private::Jitter::Equal),
        Jitter::Decorrelated => quote!(#private::Jitter::Decorrelated),
        _ => quote!(#private::Jitter::None),
    }
}

fn budget_tokens(budget: Budget, private: &TokenStream) -> TokenStream {
    let Budget::Share(share) = budget else { return quote!(#private::Budget::Off) };
    let share = ratio_tokens(share, private);
    quote!(#private::Budget::Share(#share))
}

fn statuses_tokens(statuses: &Statuses, private: &TokenStream) -> TokenStream {
    let all: Vec<u16> = statuses.iter().collect();
    let ranges = all.chunk_by(|a, b| a + 1 == *b).map(|run| {
        let (first, last) = (run[0], run[run.len() - 1]);
        if first == last { quote!(.with(#first)) } else { quote!(.with_range(#first, #last)) }
    });
    quote!(#private::Statuses::NONE #(#ranges)*)
}
