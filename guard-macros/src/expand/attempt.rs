//! One attempt: what it makes anew of the arguments, and the body in an async block of its own.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{FnArg, ReceiverKind, Type};

use super::Output;
use crate::arguments::{given_away, is_punct, mentions};
use crate::draft::Draft;
use crate::function::{Argument, Function, Kind, remove_mut};
use crate::instrumented;
use crate::settings::call_at;

/// What each attempt makes anew of the arguments.
pub(super) fn per_attempt(draft: &Draft, function: &mut Function, private: &TokenStream) -> TokenStream {
    let body = function.body.stream();
    let mut made = TokenStream::new();
    let mut any_mut = false;
    if let (Some(FnArg::Receiver(receiver)), None) = (function.signature.inputs.first(), &function.boxed) {
        let word = Ident::new("self", receiver.self_token.span);
        let is_value = match &receiver.kind {
            ReceiverKind::Value => true,
            ReceiverKind::Typed(_, ty) => !matches!(**ty, Type::Reference(_)),
            _ => false,
        };
        if is_value && given_away(&body, &word, false) {
            let place = Span::call_site().located_at(word.span());
            let word = quote_spanned!(word.span()=> &#word);
            let check = if draft.may_retry() { "self_given_away" } else { "self_given_away_once" };
            let check = call_at((place, place), private, &[check], word);
            made.extend(quote!(#check;));
        }
    }
    for argument in function.arguments() {
        let (name, cfg) = (&argument.name, &argument.cfg);
        let asked_for = draft.clone.iter().any(|asked| asked == name);
        if let Some(word) = argument.mutable.filter(|_| argument.kind != Kind::MutableReference) {
            any_mut = true;
            let word = syn::token::Mut(word);
            let clone = clone(draft, &argument, private);
            made.extend(quote_spanned!(name.span()=> #(#cfg)* let #word #name = #clone;));
        } else if argument.kind == Kind::MutableReference {
            if argument.mutable.is_none() && given_away(&body, name, false) {
                made.extend(quote_spanned!(name.span()=> #(#cfg)* let #name = &mut *#name;));
            }
        } else if asked_for || argument.kind == Kind::Value && given_away(&body, name, argument.is_sum) {
            let clone = clone(draft, &argument, private);
            made.extend(quote_spanned!(name.span()=> #(#cfg)* let #name = #clone;));
        }
    }
    if let (true, Some(boxed)) = (any_mut, &mut function.boxed) {
        boxed.remove_mut();
    } else if any_mut {
        for input in &mut function.signature.inputs {
            if let FnArg::Typed(argument) = input {
                if !matches!(&*argument.ty, Type::Reference(reference) if reference.mutability.is_some()) {
                    remove_mut(&mut argument.pat);
                }
            }
        }
    }
    made
}

/// A clone of an argument for one attempt; that it has none is said at the argument and its type.
fn clone(draft: &Draft, argument: &Argument, private: &TokenStream) -> TokenStream {
    let name = &argument.name;
    // The call is the macro's and only the argument the user's, or the compiler proposes to write `&` into the signature.
    let place = Span::call_site().located_at(name.span());
    let kind = if draft.may_retry() { "ClonedPerAttempt" } else { "ClonedForFallback" };
    call_at((place, place), private, &[kind, "for_attempt"], quote_spanned!(name.span()=> &#name))
}

/// The user's block in an async block of its own.
pub(super) fn body(function: &Function, guarded: &Output, keeps_arguments: bool) -> TokenStream {
    let typed = guarded.body();
    let block = &instrumented::retyped(&function.body, &typed);
    let variable = Ident::new("__apiguard_typed", guarded.start);
    // Where the compiler says that it has the type from.
    let returned = quote_spanned!(guarded.start=> return #variable;);
    let never = quote!(loop {});
    // For a body that is one expression, whose braces the compiler would call unnecessary. Others have none, so that a
    // `continue` where there is no loop is that and nothing else.
    let label = quote_spanned!(block.span_open()=> '__body:);
    let is_expression = !block.stream().into_iter().any(|token| is_punct(Some(&token), ';'));
    let label = is_expression.then_some(label);
    let typed = quote_spanned!(guarded.start=> let #variable: #typed = #never;);
    let movement = if keeps_arguments { TokenStream::new() } else { quote_spanned!(block.span()=> move) };
    let unique = if keeps_arguments { unique_borrows(function) } else { TokenStream::new() };
    let statements = quote! {
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::needless_return)]
        if false {
            #unique
            #typed
            #returned
        }
        #label #block
    };
    // Where the user's block is and not in the macro: there the compiler would not name what the body moves.
    let mut statements = Group::new(Delimiter::Brace, statements);
    statements.set_span(block.span());
    quote_spanned!(block.span()=> async #movement #statements)
}

/// Borrows what comes by `&mut` uniquely, whatever the body does with it: a body that only reads it would borrow it
/// shared, and the future would be `Send` only for a type that is `Sync`. Where the function returns a borrow it may be
/// one of these, which has to stay shared.
fn unique_borrows(function: &Function) -> TokenStream {
    if function.output().is_none_or(returns_borrow) {
        return TokenStream::new();
    }
    let body = function.body.stream();
    let mut borrows = TokenStream::new();
    let mut add = |name: &Ident| {
        if mentions(&body, name) {
            borrows.extend(quote_spanned!(name.span()=> let _ = &mut *#name;));
        }
    };
    if let (Some(FnArg::Receiver(receiver)), None) = (function.signature.inputs.first(), &function.boxed) {
        if let ReceiverKind::Reference(_, _, Some(_)) = &receiver.kind {
            add(&Ident::new("self", receiver.self_token.span));
        }
    }
    let arguments = function.arguments();
    // One that `cfg` may take away is left as the body has it.
    let arguments = arguments.iter().filter(|argument| argument.cfg.is_empty());
    arguments.filter(|argument| argument.kind == Kind::MutableReference).for_each(|argument| add(&argument.name));
    borrows
}

/// Whether a type shows a borrow; an alias may hide one, and then the function is as if it returned none.
fn returns_borrow(output: &Type) -> bool {
    output.to_token_stream().to_string().contains(['&', '\''])
}
