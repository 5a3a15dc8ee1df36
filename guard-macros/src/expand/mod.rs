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

mod attempt;
mod output;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use self::attempt::{body, per_attempt};
use self::output::Output;
use crate::function::Function;
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
