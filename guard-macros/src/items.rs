//! Tokens -> the items between commas, each a name with a value, or a value alone.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Token};

use crate::diag::Diagnostics;
use crate::keys;

/// One item between commas.
pub(crate) enum Item {
    /// `key = value`, `key(…)`, or `key` alone.
    Named(Ident, Body),
    /// A value without a key.
    Bare(Expr),
    /// What cannot be read; it is reported already.
    Broken,
}

pub(crate) enum Body {
    Nothing,
    Value(Expr),
    Path(syn::Path),
    Group(Group),
}

/// The items between commas; one that cannot be read is reported and skipped.
pub(crate) fn items(tokens: TokenStream, diag: &mut Diagnostics) -> Vec<Item> {
    let mut found = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match item(input) {
                Ok(item) => found.push(item),
                Err(error) => {
                    diag.add(error);
                    found.push(Item::Broken);
                    skip_to_comma(input)?;
                }
            }
            if input.is_empty() {
                break;
            }
            if input.peek(Token![,]) {
                input.parse::<Token![,]>()?;
                continue;
            }
            diag.add(input.error("expected `,` between settings"));
            if input.peek(Token![;]) {
                input.parse::<Token![;]>()?;
            } else if !input.peek(syn::Ident::peek_any) {
                skip_to_comma(input)?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        diag.add(error);
    }
    found
}

fn item(input: ParseStream<'_>) -> syn::Result<Item> {
    if input.peek(Token![,]) {
        return Err(input.error("expected a setting such as `rate = \"100/s\"` before this `,`"));
    }
    let is_name = input.peek(syn::Ident::peek_any);
    let is_mistaken = is_name
        && (input.peek2(Token![:]) && !input.peek2(Token![::])
            || input.peek2(Token![=>])
            || input.peek2(Token![==])
            || is_group(input, &[Delimiter::Brace, Delimiter::Bracket]));
    if is_mistaken {
        let name = input.call(Ident::parse_any)?;
        return Err(match keys::find(&name.to_string()) {
            Some(key) => input.error(format!("expected `=` after `{name}`; write `{}`", key.form)),
            None => input.error(format!("expected `=` after `{name}`")),
        });
    }
    let named = is_name
        && (input.peek2(Token![=])
            || input.peek2(Token![,])
            || is_last(input)
            || is_group(input, &[Delimiter::Parenthesis]));
    if !named {
        let start = input.fork();
        return input
            .parse()
            .map(Item::Bare)
            .map_err(|_| start.error("expected a setting such as `rate = \"100/s\"`, found what is no expression"));
    }
    let name = input.call(Ident::parse_any)?;
    if input.peek(syn::token::Paren) {
        let TokenTree::Group(group) = input.parse()? else { return Err(input.error("expected `(`")) };
        return Ok(Item::Named(name, Body::Group(group)));
    }
    if !input.peek(Token![=]) {
        return Ok(Item::Named(name, Body::Nothing));
    }
    let equals: Token![=] = input.parse()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(equals.span, format!("`{name} =` needs a value{}", example(&name))));
    }
    let start = input.fork();
    let body = if name == "crate" {
        let wrong = |_| start.error(format!("`crate` is not a path{}", example(&name)));
        let path = input.call(syn::Path::parse_mod_style).map_err(wrong)?;
        // A type's own name leads to no crate, and no macro can be called by it.
        if path.segments.iter().any(|segment| segment.ident == "Self") {
            return Err(start.error(format!("`Self` leads to no crate{}", example(&name))));
        }
        Body::Path(path)
    } else {
        let value = input.parse();
        Body::Value(value.map_err(|_| start.error(format!("the value of `{name}` cannot be read{}", example(&name))))?)
    };
    Ok(Item::Named(name, body))
}

fn example(name: &Ident) -> String {
    keys::form(&name.to_string()).map(|form| format!("; write `{form}`")).unwrap_or_default()
}

/// Whether one token is left.
fn is_last(input: ParseStream<'_>) -> bool {
    let rest = input.fork();
    rest.parse::<TokenTree>().is_ok() && rest.is_empty()
}

/// Whether a name and a group of its own follow, and not the beginning of an expression.
fn is_group(input: ParseStream<'_>, delimiters: &[Delimiter]) -> bool {
    let rest = input.fork();
    let group = rest.parse::<TokenTree>().is_ok()
        && matches!(rest.parse::<TokenTree>(), Ok(TokenTree::Group(group)) if delimiters.contains(&group.delimiter()));
    group && (rest.is_empty() || rest.peek(Token![,]))
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
