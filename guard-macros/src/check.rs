//! What is wrong with settings that were read one by one: guard-spec's problems, each at the token that it is about.

use guard_spec::{Field, Problem, nearest};
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Expr, ExprLit, FnArg, Lit, Pat, ReceiverKind};

use crate::arguments::{mentions, uses};
use crate::diag::Diagnostics;
use crate::draft::Draft;
use crate::expand::fallback;
use crate::fields::{Setter, fields, known_settings, may_change, place};
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
