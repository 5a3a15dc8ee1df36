//! `fallback = path`: what a call returns when it would return an error.
//!
//! ```text
//! let answer = '__call: { …the call… };
//! let error = match answer {
//!     Ok(value) => return Ok(value),
//!     Err(error) => error,
//! };
//! cached(client, order, error).await                        // without `.await` when it is no `async fn`
//! ```

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, FnArg, Pat};

use super::{Output, local};
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::settings::{call_at, ends};

pub(super) struct Fallback<'a> {
    path: &'a Expr,
    arguments: Vec<TokenStream>,
    output: &'a Output,
    private: &'a TokenStream,
}

impl<'a> Fallback<'a> {
    pub(super) fn new(
        path: &'a Expr,
        function: &Function,
        output: &'a Output,
        private: &'a TokenStream,
    ) -> Fallback<'a> {
        let mut diag = Diagnostics::default();
        let arguments = arguments(function, &mut diag);
        Fallback { path, arguments, output, private }
    }

    /// The value of the call, unless it is an error: then that of the fallback.
    pub(super) fn around(&self, call: &TokenStream) -> TokenStream {
        let Fallback { path, arguments, output, private } = self;
        let end = Span::mixed_site().located_at(ends(path).1);
        let [answer, value] = ["__answer", "__value"].map(local);
        let names: Vec<_> = (0..arguments.len()).map(|index| Ident::new(&format!("__argument_{index}"), end)).collect();
        // All of it stands at the path, so that a fallback of another signature is one error there; and in the macro, or
        // the compiler would propose to change the path as if it were the call.
        let [error, fallen, kind, later, function] =
            ["__error", "__fallen", "__kind", "__later", "__fallback"].map(|name| Ident::new(name, end));
        // By a variable of a function's type: of a wrong number of arguments the compiler then says what was expected and
        // what was found.
        let any = names.iter().map(|_| quote_spanned!(end=> _));
        let signature = quote_spanned!(end=> fn(#(#any,)* _) -> _);
        let mut called = Group::new(Delimiter::Parenthesis, quote_spanned!(end=> #(#names,)* #error));
        called.set_span(end);
        let typed = output.declared();
        let resolved = quote_spanned!(end=> #later.await);
        let returned = call_at((end, end), private, &["fallback", "Returns", "returned"], resolved);
        let now = call_at((end, end), private, &["fallback", "Returns", "returned"], quote!(#value));
        let fallen_back = quote_spanned! {end=>
            let #function: #signature = #path;
            // Nothing that the function returns is held while it waits.
            let #later = {
                let #fallen = #function #called;
                let #kind = (&#fallen).__apiguard_kind();
                match #kind.split(#fallen) {
                    #private::fallback::Split::Now(#value) => return #now,
                    #private::fallback::Split::Later(#later) => #later,
                }
            };
            #returned
        };
        quote! {
            // Nothing of the answer is held while the fallback waits.
            let #error = {
                let #answer: #typed = '__call: { #call };
                match #answer {
                    #private::Ok(#value) => return #private::Ok(#value),
                    #private::Err(#error) => #error,
                }
            };
            #[allow(unused_imports)]
            use #private::fallback::{IsFuture as _, IsPlain as _};
            #(#[allow(clippy::used_underscore_binding)] let #names = #arguments;)*
            #fallen_back
        }
    }
}

/// What is wrong with the arguments of a function that has a fallback.
pub(crate) fn check(function: &Function, diag: &mut Diagnostics) {
    arguments(function, diag);
}

/// The arguments of the function as expressions, one for each.
fn arguments(function: &Function, diag: &mut Diagnostics) -> Vec<TokenStream> {
    let mut found = Vec::new();
    for input in &function.signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                let word = if function.boxed.is_some() { "__self" } else { "self" };
                let word = Ident::new(word, receiver.self_token.span);
                found.push(quote!(#word));
            }
            FnArg::Typed(argument) => {
                if let Some(cfg) = argument.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
                    diag.error_at(
                        cfg,
                        "a function with a fallback cannot have arguments under `cfg`: the fallback is given them all",
                    );
                }
                // Under `#[async_trait]` the argument has been taken apart in the body.
                let taken_apart = function
                    .boxed
                    .as_ref()
                    .and_then(|boxed| boxed.pattern_of(&argument.pat.to_token_stream().to_string()));
                match value(taken_apart.unwrap_or(&argument.pat)) {
                    Some(value) => found.push(value),
                    None => diag.error_at(
                        &argument.pat,
                        "the fallback is given every argument, and this one has no name; write one, such as `order`",
                    ),
                }
            }
        }
    }
    found
}

/// The expression that makes what a pattern took apart.
fn value(pattern: &Pat) -> Option<TokenStream> {
    let all = |patterns: &syn::punctuated::Punctuated<Pat, syn::Token![,]>| -> Option<Vec<TokenStream>> {
        patterns.iter().map(value).collect()
    };
    match pattern {
        Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => Some(ident.ident.to_token_stream()),
        Pat::Tuple(tuple) => {
            let parts = all(&tuple.elems)?;
            Some(quote!((#(#parts,)*)))
        }
        Pat::TupleStruct(tuple) => {
            let (path, parts) = (&tuple.path, all(&tuple.elems)?);
            Some(quote!(#path(#(#parts),*)))
        }
        Pat::Struct(fields) if fields.rest.is_none() => {
            let path = &fields.path;
            let parts: Option<Vec<TokenStream>> = fields
                .fields
                .iter()
                .map(|field| {
                    let (member, value) = (&field.member, value(&field.pat)?);
                    Some(quote!(#member: #value))
                })
                .collect();
            let parts = parts?;
            Some(quote!(#path { #(#parts),* }))
        }
        Pat::Slice(slice) => {
            let parts = all(&slice.elems)?;
            Some(quote!([#(#parts),*]))
        }
        Pat::Reference(reference) if reference.mutability.is_none() => {
            let inner = value(&reference.pat)?;
            Some(quote!(&#inner))
        }
        Pat::Paren(paren) => value(&paren.pat),
        _ => None,
    }
}
