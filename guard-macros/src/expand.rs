//! Settings and a function -> the loop a careful engineer would have written by hand. Total: it cannot fail.
//!
//! ```text
//! async fn charge(client: &Client, order: Order) -> Result<Receipt, E> {
//!     static POLICY: Policy = Policy::new("module::charge", Settings::new()…);   // and its entry in the registry
//!     let mut call = Call::new(&POLICY, None);
//!     loop {
//!         if !call.admit() { … }               // wait for the turn, or return the rejection
//!         let outcome = {
//!             let order = order.clone();       // only what the body gives away, only when it may run again
//!             async { …the body, whole… }.await
//!         };
//!         if !call.succeeded(verdict of outcome) {
//!             if let Some(pause) = call.settle(verdict of outcome) {
//!                 drop(outcome);
//!                 pause.await;
//!                 continue;
//!             }
//!         }
//!         return outcome;
//!     }
//! }
//! ```
//!
//! The early typed return that is never reached (`if false`) tells the compiler the body's type before it reads the
//! body, so that `?` and `return` in it are understood as in the bare function.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, FnArg, ReceiverKind, Type};

use crate::arguments::{given_away, mentions};
use crate::function::{Argument, Function, Kind, remove_mut};
use crate::parse::Draft;
use crate::settings::{self, call_at, constant, ends};

/// The path of apiguard's hidden module.
pub(crate) fn private(draft: &Draft) -> TokenStream {
    let Some(path) = &draft.krate else { return quote!(::apiguard::__private) };
    // A path that is not apiguard's is an error there.
    let (_, end) = ends(path);
    let private = Ident::new("__private", end);
    quote!(#path::#private)
}

pub(crate) fn function(draft: &Draft, mut function: Function) -> TokenStream {
    let private = &private(draft);
    let Some(output) = function.output().cloned() else { return TokenStream::new() };
    let guarded = &Output::new(&output, private);

    let may_retry = draft.may_retry();
    let [call, wait, rejected, pause, judged, timed_out] =
        ["__call", "__wait", "__rejected", "__pause", "__judged", "__timed_out"].map(local);
    let timed = if draft.timeout.is_some() || draft.attempt_timeout.is_some() {
        Some(quote!(timed))
    } else {
        // The policy may have timeouts of its own.
        draft.policy.as_ref().map(|_| quote!(maybe_timed))
    };

    let policy = policy(draft, &function.signature.ident, private);
    let arguments = if may_retry { per_attempt(draft, &mut function, private) } else { TokenStream::new() };
    let body = body(&function, guarded, may_retry);
    let from_rejected = guarded.call("from_rejected", quote!(#rejected));
    let outcome = guarded.outcome();
    let from_body = guarded.call("from_body", quote!(#outcome, #call.attempts()));
    let ended = if may_retry {
        quote! {
            match #call.settle_timed_out(#timed_out) {
                #private::Ok(#pause) => break '__attempt #pause,
                #private::Err(#rejected) => return #from_rejected,
            }
        }
    } else {
        let rejected = guarded.call("from_rejected", quote!(#call.end_timed_out(#timed_out)));
        quote!(return #rejected)
    };
    let attempt = if let Some(timed) = &timed {
        quote! {
            match #call.#timed(#body).await {
                #private::Ok(#outcome) => #outcome,
                #private::Err(#timed_out) => #ended,
            }
        }
    } else {
        quote!(#body.await)
    };
    let judge = judge(guarded, private);
    let ask = if timed.is_some() { quote!(admit_timed) } else { quote!(admit) };
    let admit = quote! {
        if !#call.#ask() {
            let #wait = match #call.admit_slowly() {
                #private::Admission::Admitted => #private::None,
                #private::Admission::Waiting(#wait) => #private::Some(#wait),
                #private::Admission::Rejected(#rejected) => return #from_rejected,
            };
            if let #private::Some(#wait) = #wait {
                if let #private::Err(#rejected) = #wait.await {
                    return #from_rejected;
                }
            }
        }
    };
    let steps = if may_retry {
        // The outcome that a retry replaces is moved once more to be dropped (`Some`): a drop in place would keep it in
        // memory for the good path too, where the copies cost as much again as the whole guard.
        quote! {
            loop {
                #admit
                let #pause = '__attempt: {
                    let #outcome = { #arguments #attempt };
                    let #judged = #judge;
                    if !#call.succeeded(&#judged) {
                        if let #private::Some(#pause) = #call.settle(&#judged) {
                            #private::let_go(#private::Some(#outcome));
                            break '__attempt #pause;
                        }
                    }
                    return #from_body;
                };
                #pause.await;
            }
        }
    } else {
        // Without retries there is no loop, so that whatever the body moves or returns a borrow of is used once.
        quote! {
            #admit
            let #outcome = #attempt;
            let #judged = #judge;
            if !#call.succeeded(&#judged) {
                #call.settle(&#judged);
            }
            #from_body
        }
    };

    let statements = quote!(#policy #steps);
    let statements = match &function.boxed {
        Some(boxed) => boxed.around(&statements),
        None => statements,
    };
    let Function { attributes, visibility, signature, .. } = &function;
    quote! {
        #(#attributes)*
        #visibility #signature {
            #statements
        }
    }
}

/// A variable of ours: by its hygiene another than any of the user's, whatever that is called.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The declared return type in the generated code: all that is said of it stands where it does, so that one that cannot
/// be guarded is one error there.
struct Output {
    /// `<Type as Guarded>`
    path: TokenStream,
    start: Span,
    end: Span,
}

impl Output {
    fn new(output: &Type, private: &TokenStream) -> Output {
        let (start, end) = ends(output);
        let inferred = without_impl_trait(output);
        Output { path: quote_spanned!(start=> <#inferred as #private::Guarded>), start, end }
    }

    /// `<Type as Guarded>::function(arguments)`
    fn call(&self, function: &str, arguments: TokenStream) -> TokenStream {
        let Output { path, start, end } = self;
        let function = Ident::new(function, *start);
        let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
        arguments.set_span(*end);
        quote_spanned!(*start=> #path::#function #arguments)
    }

    /// The variable that holds what an attempt returned. It stands in the user's hygiene, as the type does: the compiler
    /// says the same thing once only where all of it does. Hence the long name.
    fn outcome(&self) -> Ident {
        Ident::new("__apiguard_outcome", self.end.resolved_at(self.start))
    }

    /// The type of the body.
    fn body(&self) -> TokenStream {
        let Output { path, end, .. } = self;
        let body = Ident::new("Body", *end);
        quote_spanned!(*end=> #path::#body)
    }
}

/// The statements that bring the policy and the call into being.
fn policy(draft: &Draft, function: &Ident, private: &TokenStream) -> TokenStream {
    let settings = settings::expression(draft, private);
    let call = local("__call");
    if let Some(policy) = &draft.policy {
        let per_call = draft.retries.is_some() || draft.timeout.is_some() || draft.attempt_timeout.is_some();
        // A static and not a `const` block: what is wrong with a constant is then found without running the code generator.
        let (site_static, site) = if per_call {
            (quote!(static __SITE: #private::Settings = #settings.checked();), quote!(#private::Some(&__SITE)))
        } else {
            (TokenStream::new(), quote!(#private::None))
        };
        let (start, end) = ends(policy);
        let held = call_at((start, end), private, &["Place", "hold"], quote_spanned!(start=> &#policy));
        let name = Ident::new("__policy", Span::mixed_site().located_at(start));
        let begun = call_at((start, end), private, &["Call", "new"], quote_spanned!(start=> &#name, #site));
        return quote! {
            #site_static
            let #name = #held;
            let mut #call = #begun;
        };
    }
    let name = name(draft, function, private);
    quote! {
        static __POLICY: #private::Policy = #private::Policy::new(#name, #settings);
        #private::inventory::submit! { #private::Registration(&__POLICY) }
        let mut #call = #private::Call::new(&__POLICY, #private::None);
    }
}

pub(crate) fn name(draft: &Draft, item: &Ident, private: &TokenStream) -> TokenStream {
    match &draft.name {
        Some(name @ Expr::Lit(_)) => name.to_token_stream(),
        Some(name) => constant(name, private, "name"),
        None => {
            let item = syn::ext::IdentExt::unraw(item).to_string();
            quote!(#private::concat!(#private::module_path!(), "::", #item))
        }
    }
}

/// What each attempt makes anew of the arguments.
fn per_attempt(draft: &Draft, function: &mut Function, private: &TokenStream) -> TokenStream {
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
        if is_value && given_away(&body, &word) {
            let place = Span::call_site().located_at(word.span());
            let word = quote_spanned!(word.span()=> &#word);
            let check = call_at((place, place), private, &["self_given_away"], word);
            made.extend(quote!(#check;));
        }
    }
    for argument in function.arguments() {
        let (name, cfg) = (&argument.name, &argument.cfg);
        let asked_for = draft.clone.iter().any(|asked| asked == name);
        if let Some(word) = argument.mutable.filter(|_| argument.kind != Kind::MutableReference) {
            any_mut = true;
            let word = syn::token::Mut(word);
            let clone = clone(&argument, private);
            made.extend(quote_spanned!(name.span()=> #(#cfg)* let #word #name = #clone;));
        } else if argument.kind == Kind::MutableReference {
            if argument.mutable.is_none() && given_away(&body, name) {
                made.extend(quote_spanned!(name.span()=> #(#cfg)* let #name = &mut *#name;));
            }
        } else if asked_for || argument.kind == Kind::Value && given_away(&body, name) {
            let clone = clone(&argument, private);
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
fn clone(argument: &Argument, private: &TokenStream) -> TokenStream {
    let name = &argument.name;
    // The call is the macro's and only the argument the user's, or the compiler proposes to write `&` into the signature.
    let place = Span::call_site().located_at(name.span());
    call_at((place, place), private, &["ClonedPerAttempt", "for_attempt"], quote_spanned!(name.span()=> &#name))
}

/// The user's block in an async block of its own.
fn body(function: &Function, guarded: &Output, may_retry: bool) -> TokenStream {
    let block = &function.body;
    let typed = guarded.body();
    let variable = Ident::new("__apiguard_typed", guarded.start);
    // Where the compiler says that it has the type from.
    let returned = quote_spanned!(guarded.start=> return #variable;);
    let never = quote!(loop {});
    // For a body on one line, whose braces the compiler would call unnecessary.
    let label = quote_spanned!(block.span_open()=> '__body:);
    let typed = quote_spanned!(guarded.start=> let #variable: #typed = #never;);
    let movement = if may_retry { TokenStream::new() } else { quote!(move) };
    let unique = if may_retry { unique_borrows(function) } else { TokenStream::new() };
    quote! {
        async #movement {
            #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::needless_return)]
            if false {
                #unique
                #typed
                #returned
            }
            #label #block
        }
    }
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

/// The verdict of `__outcome`, by its type.
fn judge(guarded: &Output, private: &TokenStream) -> TokenStream {
    let outcome = guarded.outcome();
    let outcome = guarded.call("outcome", quote_spanned!(guarded.start=> &#outcome));
    let [good, bad] = ["__good", "__bad"].map(local);
    quote! {{
        #[allow(unused_imports)]
        use #private::judge::{
            BadAnything as _, BadBoxed as _, BadBoxedLocal as _, BadClassified as _, BadError as _,
            GoodAnything as _, GoodClassified as _,
        };
        match #outcome {
            #private::Ok(#good) => (&&#private::judge::Good(#good)).__apiguard_judge(),
            #private::Err(#bad) => (&&&&&#private::judge::Bad(#bad)).__apiguard_judge(),
        }
    }}
}

/// The type with `_` for each `impl Trait`, which cannot be named inside the function.
fn without_impl_trait(output: &Type) -> Type {
    let mut output = output.clone();
    replace(&mut output);
    output
}

fn replace(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = syn::parse_quote_spanned!(ty.span()=> _),
        Type::Array(array) => replace(&mut array.elem),
        Type::Group(group) => replace(&mut group.elem),
        Type::Paren(paren) => replace(&mut paren.elem),
        Type::Reference(reference) => replace(&mut reference.elem),
        Type::Slice(slice) => replace(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(replace),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let syn::PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let syn::GenericArgument::Type(inner) = argument {
                            replace(inner);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}
