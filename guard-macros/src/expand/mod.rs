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
pub(crate) mod fallback;
mod output;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::ext::IdentExt;

use self::attempt::{body, per_attempt};
use self::fallback::Fallback;
use self::output::Output;
use crate::arguments::watches;
use crate::draft::Draft;
use crate::function::Function;
use crate::settings::{self, call_at, constant, ends};
use crate::words;

/// The path of apiguard's hidden module.
pub(crate) fn private(draft: &Draft) -> TokenStream {
    let Some(path) = &draft.krate else { return quote!(::apiguard::__private) };
    // A path that is not apiguard's is an error there.
    let (_, end) = ends(path);
    let private = Ident::new("__private", end);
    quote!(#path::#private)
}

/// The static of a guarded `impl`; another name than that of a function's own, which may stand inside.
pub(crate) const BLOCK_POLICY: &str = "__BLOCK_POLICY";

/// Where a function's policy is.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    /// A static inside the function, or what `policy = …` says.
    Function,
    /// The static of the guarded `impl` around it; these are the settings that the method has of its own.
    Block(&'a Draft),
}

pub(crate) fn function(draft: &Draft, home: Home<'_>, mut function: Function) -> TokenStream {
    let private = &private(draft);
    let draft = &if function.boxed.is_some() { draft.with_boxed_self() } else { draft.clone() };
    let Some(output) = function.output().cloned() else { return TokenStream::new() };
    let guarded = &Output::new(&output, private);
    let fallback = draft.fallback.as_ref().map(|path| Fallback::new(path, &function, guarded, private));
    // With a fallback the value of the call is looked at before it is returned.
    let exit =
        |value: TokenStream| if fallback.is_some() { quote!(break '__call #value) } else { quote!(return #value) };

    let may_retry = draft.may_retry();
    let keeps_arguments = draft.keeps_arguments();
    let [call, wait, rejected, pause, timed_out, heard] =
        ["__call", "__wait", "__rejected", "__pause", "__timed_out", "__heard"].map(local);
    let timed = if draft.timeout.is_some() || draft.attempt_timeout.is_some() {
        Some(quote!(timed))
    } else {
        // The policy may have timeouts of its own.
        draft.policy.as_ref().map(|_| quote!(maybe_timed))
    };

    let doc = draft.doc.unwrap_or(true).then(|| words::of_function(draft, &function)).flatten();
    let policy = policy(draft, home, &function.signature.ident, private);
    let arguments = if keeps_arguments { per_attempt(draft, &mut function, private) } else { TokenStream::new() };
    let is_watched = watches(&function.body.stream());
    let body = body(&function, guarded, keeps_arguments);
    let body = if is_watched { quote!(#call.watched(&#heard, #body)) } else { body };
    let from_rejected = exit(guarded.call("from_rejected", quote!(#rejected)));
    let outcome = guarded.outcome();
    let from_body = guarded.call("from_body", quote!(#outcome, #call.attempts()));
    let ended = if may_retry {
        quote! {
            match #call.settle_timed_out(#timed_out) {
                #private::Ok(#pause) => break '__attempt #pause,
                #private::Err(#rejected) => #from_rejected,
            }
        }
    } else {
        exit(guarded.call("from_rejected", quote!(#call.end_timed_out(#timed_out))))
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
    let attempt = if is_watched { hearing(&attempt, &outcome, private) } else { attempt };
    let judge = judge(draft, guarded, private);
    let settle = draft
        .settle
        .as_ref()
        .map(|settle| quote!(#call.used(#private::Used { outcome: &#outcome, settle: #settle }.tokens());));
    let judge = if settle.is_some() { quote!({ #settle #judge }) } else { judge };
    let ask = match (&draft.cost, &timed) {
        (Some(_), _) => quote!(admit_costing),
        (None, Some(_)) => quote!(admit_timed),
        (None, None) => quote!(admit),
    };
    let admit = quote! {
        if !#call.#ask() {
            let #wait = match #call.admit_slowly() {
                #private::Admission::Admitted => #private::None,
                #private::Admission::Waiting(#wait) => #private::Some(#wait),
                #private::Admission::Rejected(#rejected) => #from_rejected,
            };
            if let #private::Some(#wait) = #wait {
                if let #private::Err(#rejected) = #wait.await {
                    #from_rejected;
                }
            }
        }
    };
    let steps = if may_retry {
        let from_body = exit(from_body);
        repeated(&admit, &quote!(#arguments #attempt), &judge, &outcome, &from_body, private)
    } else {
        let attempt = if arguments.is_empty() { attempt } else { quote!({ #arguments #attempt }) };
        once(&admit, &attempt, &judge, &outcome, &from_body)
    };

    let statements = quote!(#policy #steps);
    let statements = if let Some(fallback) = &fallback { fallback.around(&statements) } else { statements };
    let statements = match &function.boxed {
        Some(boxed) => boxed.around(&statements),
        None => statements,
    };
    let Function { attributes, visibility, signature, .. } = &function;
    quote! {
        #(#attributes)*
        #doc
        #visibility #signature {
            #statements
        }
    }
}

/// An attempt whose body may ask for its number and say what it has heard.
fn hearing(attempt: &TokenStream, outcome: &Ident, private: &TokenStream) -> TokenStream {
    let [call, heard] = ["__call", "__heard"].map(local);
    quote!({
        let #heard = #private::Heard::default();
        let #outcome = #attempt;
        #call.heard(&#heard);
        #outcome
    })
}

/// The loop of a call that may be repeated.
fn repeated(
    admit: &TokenStream,
    attempt: &TokenStream,
    judge: &TokenStream,
    outcome: &Ident,
    exit: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    let [call, pause, judged] = ["__call", "__pause", "__judged"].map(local);
    // The outcome that a retry replaces is moved once more to be dropped (`Some`): a drop in place would keep it in memory
    // for the good path too, where the copies cost as much again as the whole guard.
    quote! {
        loop {
            #admit
            let #pause = '__attempt: {
                let #outcome = { #attempt };
                let #judged = #judge;
                if !#call.succeeded(&#judged) {
                    if let #private::Some(#pause) = #call.settle(&#judged) {
                        #private::let_go(#private::Some(#outcome));
                        break '__attempt #pause;
                    }
                }
                #exit;
            };
            #pause.await;
        }
    }
}

/// Without retries there is no loop, so that whatever the body moves or returns a borrow of is used once.
fn once(
    admit: &TokenStream,
    attempt: &TokenStream,
    judge: &TokenStream,
    outcome: &Ident,
    value: &TokenStream,
) -> TokenStream {
    let [call, judged] = ["__call", "__judged"].map(local);
    quote! {
        #admit
        let #outcome = #attempt;
        let #judged = #judge;
        if !#call.succeeded(&#judged) {
            #call.end(&#judged);
        }
        #value
    }
}

/// A variable of ours: by its hygiene another than any of the user's, whatever that is called.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The statements that bring the policy and the call into being.
fn policy(draft: &Draft, home: Home<'_>, function: &Ident, private: &TokenStream) -> TokenStream {
    let call = local("__call");
    // Once per call, and in the order in which they are evaluated.
    let key = draft.key.as_ref().map(|key| {
        let (start, end) = ends(key);
        let key = call_at((start, end), private, &["key"], quote_spanned!(start=> &(#key)));
        quote!(, #key)
    });
    let new = if key.is_some() { "keyed" } else { "new" };
    let cost = draft.cost.as_ref().map(|cost| {
        let cost = call_at(ends(cost), private, &["cost"], cost.to_token_stream());
        quote!(.costing(#cost))
    });
    let (declared, policy, site) = match (home, &draft.policy) {
        (Home::Block(own), None) => {
            let (site_static, site) = site(own, private);
            let policy = Ident::new(BLOCK_POLICY, Span::call_site());
            let together = settings::together(draft, own, private);
            (quote!(#site_static #together), quote!(&#policy), site)
        }
        (_, Some(policy)) => {
            let (site_static, site) = site(draft, private);
            let (start, end) = ends(policy);
            let held = call_at((start, end), private, &["Place", "hold"], quote_spanned!(start=> &#policy));
            let name = Ident::new("__policy", Span::mixed_site().located_at(start));
            let begun = call_at((start, end), private, &["Call", new], quote_spanned!(start=> &#name, #site #key));
            return quote! {
                #site_static
                let #name = #held;
                let mut #call = #begun #cost;
            };
        }
        (Home::Function, None) => {
            let name = name(draft, &function.unraw().to_string(), private);
            (declared(draft, &quote!(), &quote!(__POLICY), &name, private), quote!(&__POLICY), quote!(#private::None))
        }
    };
    let new = Ident::new(new, Span::call_site());
    quote! {
        #declared
        let mut #call = #private::Call::#new(#policy, #site #key) #cost;
    }
}

/// A static that holds a policy, and its entry in the registry.
pub(crate) fn declared(
    draft: &Draft,
    head: &TokenStream,
    item: &TokenStream,
    name: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    let settings = settings::expression(draft, private);
    quote! {
        #head static #item: #private::Policy = #private::policy(#name, &#settings);
        #private::inventory::submit! { #private::Registration(&#item) }
    }
}

/// What a function sets for its calls beside a policy that it shares: the static that holds it, and the way to it.
fn site(draft: &Draft, private: &TokenStream) -> (TokenStream, TokenStream) {
    if draft.retries.is_none() && draft.timeout.is_none() && draft.attempt_timeout.is_none() {
        return (TokenStream::new(), quote!(#private::None));
    }
    let settings = settings::expression(&draft.of_calls(), private);
    // A static and not a `const` block: what is wrong with a constant is then found without running the code generator.
    (quote!(static __SITE: #private::Settings = #settings;), quote!(#private::Some(&__SITE)))
}

/// The policy's name: by default that of what it guards, in its module.
pub(crate) fn name(draft: &Draft, item: &str, private: &TokenStream) -> TokenStream {
    match &draft.name {
        Some(name @ Expr::Lit(_)) => name.to_token_stream(),
        Some(name) => constant(name, private, "name"),
        None => quote!(#private::concat!(#private::module_path!(), "::", #item)),
    }
}

/// The verdict of `__outcome`, by `classify` or by its type.
fn judge(draft: &Draft, guarded: &Output, private: &TokenStream) -> TokenStream {
    let outcome = guarded.outcome();
    if let Some(classify) = &draft.classify {
        return quote!(#private::Classified { outcome: &#outcome, classify: #classify }.judged());
    }
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
