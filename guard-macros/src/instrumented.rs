//! What `#[tracing::instrument]` makes of a body when it stands above `#[guarded]` and so comes first: one that tells the
//! compiler the return type that is declared.
//!
//! ```text
//! let __tracing_attr_fake_return: Result<Receipt, apiguard::Error<E>> = loop {};
//! ```
//!
//! Under the guard the body returns the `Body` of that type.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;

const SPAN: &str = "__tracing_attr_span";
const RETURNED: &str = "__tracing_attr_fake_return";

/// The body with the type that it has under the guard, if `#[instrument]` was there.
pub(crate) fn retyped(body: &Group, typed: &TokenStream) -> Group {
    let is_instrumented = body.stream().into_iter().any(|token| is(&token, SPAN));
    if is_instrumented { group(body, typed) } else { body.clone() }
}

fn group(body: &Group, typed: &TokenStream) -> Group {
    let mut tokens = TokenStream::new();
    let mut rest = body.stream().into_iter();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Group(inner) => group(&inner, typed).to_tokens(&mut tokens),
            token if is(&token, RETURNED) => {
                tokens.extend([token]);
                let Some(next) = rest.next() else { break };
                let declares = matches!(&next, TokenTree::Punct(colon) if colon.as_char() == ':');
                tokens.extend([next]);
                if declares {
                    typed.to_tokens(&mut tokens);
                    // The declared type, up to the `=` of the value.
                    tokens.extend(rest.by_ref().skip_while(
                        |token| !matches!(token, TokenTree::Punct(equals) if equals.as_char() == '=' && equals.spacing() == proc_macro2::Spacing::Alone),
                    ));
                }
            }
            token => tokens.extend([token]),
        }
    }
    let mut new = Group::new(body.delimiter(), tokens);
    new.set_span(body.span());
    new
}

fn is(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}
