//! `policy!`: statics that hold a policy, listed in the registry.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Token, Visibility};

use crate::check::{Place, check};
use crate::diag::Diagnostics;
use crate::draft::Draft;
use crate::{expand, parse, words};

struct Item {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    /// `None` when they cannot be found; that is reported already.
    settings: Option<TokenStream>,
}

pub(crate) fn policies(tokens: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::default();
    if tokens.is_empty() {
        diag.error(
            Span::call_site(),
            "`policy!` declares nothing; write for example `pub static STRIPE = (rate = \"100/s\", breaker = 5);`",
        );
    }
    let mut output = TokenStream::new();
    let items = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match item(input, &mut diag) {
                Ok(item) => output.extend(one(item, &mut diag)),
                Err(error) => {
                    diag.add(error);
                    skip_item(input)?;
                }
            }
        }
        Ok(())
    };
    if let Err(error) = items.parse2(tokens) {
        diag.add(error);
    }
    output.extend(diag.into_tokens());
    output
}

/// `pub static NAME = (settings);`
fn item(input: ParseStream<'_>, diag: &mut Diagnostics) -> syn::Result<Item> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !input.peek(Token![static]) {
        return Err(input.error("expected a policy such as `static STRIPE = (rate = \"100/s\");`"));
    }
    let word: Token![static] = input.parse()?;
    if input.peek(Token![mut]) {
        diag.add(input.error("a policy changes behind a shared reference; remove `mut`"));
        input.parse::<Token![mut]>()?;
    }
    let is_named = input.peek(syn::Ident) && !input.peek(Token![_]);
    if !is_named {
        return Err(syn::Error::new(
            word.span,
            "expected a name after `static`; write for example `static STRIPE = (rate = \"100/s\");`",
        ));
    }
    let name = input.call(Ident::parse_any)?;
    // From here on the static stays, whatever is wrong with the rest.
    let settings = match settings_of(input, &name) {
        Ok(settings) => Some(settings),
        Err(error) => {
            diag.add(error);
            skip_item(input)?;
            None
        }
    };
    Ok(Item { attributes, visibility, name, settings })
}

fn settings_of(input: ParseStream<'_>, name: &Ident) -> syn::Result<TokenStream> {
    if input.peek(Token![:]) {
        return Err(input.error(format!("the type is always `Policy`; write `static {name} = (rate = \"100/s\");`")));
    }
    let example = format!("write for example `static {name} = (rate = \"100/s\");`");
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(name.span(), format!("expected `= (settings);` after `{name}`; {example}")));
    }
    let equals: Token![=] = input.parse()?;
    if !input.peek(syn::token::Paren) {
        let message = format!("expected the settings in parentheses; {example}");
        return Err(if input.is_empty() { syn::Error::new(equals.span, message) } else { input.error(message) });
    }
    let content;
    let parentheses = syn::parenthesized!(content in input);
    let settings: TokenStream = content.parse()?;
    if settings.is_empty() {
        return Err(syn::Error::new(parentheses.span.join(), format!("`()` sets nothing; {example}")));
    }
    if input.peek(Token![;]) {
        input.parse::<Token![;]>()?;
    } else if !input.is_empty() {
        return Err(syn::Error::new(parentheses.span.close(), "expected `;` after the settings"));
    }
    Ok(settings)
}

/// To the next policy: past the next `;`, or up to the next `static`.
fn skip_item(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![static]) && !input.peek(Token![pub]) && !input.peek(Token![#]) {
        if let TokenTree::Punct(punct) = input.parse()? {
            if punct.as_char() == ';' {
                break;
            }
        }
    }
    Ok(())
}

fn one(item: Item, all: &mut Diagnostics) -> TokenStream {
    let Item { attributes, visibility, name, settings } = item;
    let mut diag = Diagnostics::default();
    let mut draft = Draft::default();
    if let Some(settings) = settings {
        draft = parse::attribute(settings, Place::Policy, &mut diag);
        check(&draft, Place::Policy, &mut diag);
    }
    if !diag.is_empty() {
        // The static stays, so that nothing else in the file breaks.
        draft = Draft { krate: draft.krate, ..Draft::default() };
    }
    all.append(diag);
    let private = expand::private(&draft);
    let text = expand::name(&draft, &name.unraw().to_string(), &private);
    let doc = draft.doc.unwrap_or(true).then(|| words::of_policy(&draft));
    expand::declared(&draft, &quote!(#(#attributes)* #doc #visibility), &name.to_token_stream(), &text, &private)
}
