//! Tokens as text, and with other names.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;

/// The first `?` or `return` of an expression.
pub(crate) fn leaves(tokens: TokenStream) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => leaves(group.stream()),
        TokenTree::Punct(ref punct) if punct.as_char() == '?' => Some(token),
        TokenTree::Ident(ref word) if word == "return" => Some(token),
        _ => None,
    })
}

/// With `__self` for each `self`.
pub(crate) fn boxed_self(tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let mut renamed = Group::new(group.delimiter(), boxed_self(group.stream()));
                renamed.set_span(group.span());
                renamed.into()
            }
            TokenTree::Ident(word) if word == "self" => Ident::new("__self", word.span()).into(),
            token => token,
        })
        .collect()
}

/// Where tokens that are shown one by one stand closer when they are typed.
const TIGHT: [(&str, &str); 10] = [
    (" ..= ", "..="),
    (" .. ", ".."),
    (" :: ", "::"),
    (":: ", "::"),
    (" . ", "."),
    ("& ", "&"),
    (" (", "("),
    ("( ", "("),
    (" )", ")"),
    (" ,", ","),
];

/// A value as it was typed, as near as tokens tell.
pub(crate) fn typed(value: &impl ToTokens) -> String {
    let text = value.to_token_stream().to_string();
    // A literal of any length is shown by its beginning.
    if let Some((end, _)) = text.char_indices().nth(60) {
        return format!("{}…", &text[..end]);
    }
    let mut text = text;
    for (spaced, plain) in TIGHT {
        text = text.replace(spaced, plain);
    }
    let text = text.strip_prefix("- ").map_or(text.clone(), |positive| format!("-{positive}"));
    text.strip_suffix(" ..").map_or(text.clone(), |start| format!("{start}.."))
}
