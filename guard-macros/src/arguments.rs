//! Which arguments a retried body gives away, told from its tokens.
//!
//! A retried body may run again: what it only borrows is borrowed again, what it gives away by name is cloned for each
//! attempt. Types are not known here, so the rule is one of tokens. Where it takes a borrow for a gift, that costs a
//! `Clone` bound; where it takes a gift for a borrow (a method that consumes its `self`), the compiler rejects the loop, and
//! `clone(order)` in the attribute helps. Neither runs wrongly.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;

/// Macros that borrow what they are given.
const BORROWING: &[&str] = &[
    "print",
    "println",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "write",
    "writeln",
    "panic",
    "unreachable",
    "todo",
    "unimplemented",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "matches",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "span",
];

/// Whether the tokens give the value of this name away. Of an `Option` or a `Result` (`is_sum`) it is known which methods
/// take it.
pub(crate) fn given_away(body: &TokenStream, name: &Ident, is_sum: bool) -> bool {
    scan(body.clone(), &Subject { name: name.unraw().to_string(), is_sum }, Around::Nothing)
}

/// What is looked for.
struct Subject {
    name: String,
    is_sum: bool,
}

/// Whether the tokens name it at all.
pub(crate) fn mentions(body: &TokenStream, name: &Ident) -> bool {
    body.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Ident(ident) => ident == *name,
        _ => false,
    })
}

/// Whether a body calls `attempt` or `observe`, by whatever path: then its future is made to know of the call.
pub(crate) fn watches(body: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = body.clone().into_iter().collect();
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Group(group) => watches(&group.stream()),
        TokenTree::Ident(ident) if ident == "attempt" || ident == "observe" => {
            let is_called = matches!(tokens.get(index + 1), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
            is_called && !(index > 0 && is_punct(tokens.get(index - 1), '.'))
        }
        _ => false,
    })
}

/// Whether the tokens use a variable of this name.
pub(crate) fn uses(tokens: &TokenStream, name: &Ident) -> bool {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Group(group) => uses(&group.stream(), name),
        TokenTree::Ident(ident) => ident == name && !is_other_name(&tokens, index),
        _ => false,
    })
}

/// What stands around some tokens.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Nothing,
    /// A macro that borrows what it is given.
    BorrowingMacro,
    /// A closure or an async block with `move`, which takes whatever it uses.
    Move,
}

fn scan(tokens: TokenStream, subject: &Subject, around: Around) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    // `let name = …;` makes another variable of the name, from the next statement on.
    let mut shadowed_from_semicolon = false;
    // From `move` to the end of the argument or the statement.
    let mut moves = around == Around::Move;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let inside = match macro_name(&tokens, index) {
                    _ if moves => Around::Move,
                    Some(name) if BORROWING.contains(&name.as_str()) => Around::BorrowingMacro,
                    None if group.delimiter() == Delimiter::None => around,
                    _ => Around::Nothing,
                };
                if scan(group.stream(), subject, inside) {
                    return true;
                }
            }
            TokenTree::Ident(ident) if ident == "move" => moves = true,
            TokenTree::Ident(ident) if ident.unraw() == subject.name.as_str() => {
                if is_let_binding(&tokens, index) {
                    shadowed_from_semicolon = true;
                } else if moves {
                    if !is_other_name(&tokens, index) {
                        return true;
                    }
                } else if !(borrows(&tokens, index, subject.is_sum)
                    || around == Around::BorrowingMacro && is_whole_argument(&tokens, index))
                {
                    return true;
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' && shadowed_from_semicolon => return false,
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => moves = around == Around::Move,
            _ => {}
        }
    }
    false
}

/// The name of the macro whose arguments the group at `index` is.
fn macro_name(tokens: &[TokenTree], index: usize) -> Option<String> {
    let (TokenTree::Ident(name), true) = (tokens.get(index.checked_sub(2)?)?, is_punct(tokens.get(index - 1), '!'))
    else {
        return None;
    };
    Some(name.to_string())
}

pub(crate) fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(token: Option<&TokenTree>, wanted: &[&str]) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if wanted.contains(&ident.to_string().as_str()))
}

fn at(tokens: &[TokenTree], index: usize, back: usize) -> Option<&TokenTree> {
    index.checked_sub(back).and_then(|index| tokens.get(index))
}

fn is_let_binding(tokens: &[TokenTree], index: usize) -> bool {
    is_ident(at(tokens, index, 1), &["let"])
        || is_ident(at(tokens, index, 1), &["mut"]) && is_ident(at(tokens, index, 2), &["let"])
}

fn is_whole_argument(tokens: &[TokenTree], index: usize) -> bool {
    let before = at(tokens, index, 1);
    let after = tokens.get(index + 1);
    let separator =
        |token| is_punct(token, ',') || is_punct(token, '=') || is_punct(token, '%') || is_punct(token, '?');
    (before.is_none() || separator(before)) && (after.is_none() || separator(after))
}

/// Whether the name at `index` is that of something else: `other.name` and `path::name`, but not the range `0..name`;
/// `'name` of a label.
fn is_other_name(tokens: &[TokenTree], index: usize) -> bool {
    let (before, before_that) = (at(tokens, index, 1), at(tokens, index, 2));
    let (after, after_that) = (tokens.get(index + 1), tokens.get(index + 2));
    is_punct(before, '.') && !is_punct(before_that, '.')
        || is_punct(before, ':') && is_punct(before_that, ':')
        || is_punct(after, ':') && is_punct(after_that, ':')
        || is_punct(before, '\'')
}

/// Whether the name at `index` is borrowed, or is no use of the argument at all.
fn borrows(tokens: &[TokenTree], index: usize, is_sum: bool) -> bool {
    let (before, before_that) = (at(tokens, index, 1), at(tokens, index, 2));
    let (after, after_that) = (tokens.get(index + 1), tokens.get(index + 2));
    if is_other_name(tokens, index) || is_punct(before, '*') {
        return true;
    }
    // `&name` and `&mut name`, but not `a && name`.
    let is_reference = is_punct(before, '&') && !is_punct(before_that, '&')
        || is_ident(before, &["mut"]) && is_punct(before_that, '&');
    if is_reference {
        // A method of it may still take it: `&name.into_x()`.
        return !(is_punct(after, '.') && takes(after_that, false));
    }
    match after {
        // `name.method()` and `name.field`, unless by convention the method takes it; the range `name..` uses a number.
        Some(TokenTree::Punct(punct)) if punct.as_char() == '.' => !takes(after_that, is_sum),
        // `name: value` in a struct literal names a field; `name = …` assigns; `name == other`, `name < other` compare,
        // `name != other` too, and `name!` is a macro.
        Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), ':' | '=' | '<' | '>' | '!') => true,
        // `name(…)` calls it, `name[…]` indexes it.
        Some(TokenTree::Group(group)) => matches!(group.delimiter(), Delimiter::Parenthesis | Delimiter::Bracket),
        Some(TokenTree::Ident(ident)) => ident == "as",
        _ => false,
    }
}

/// Methods of `Option` and `Result` that borrow it; most others take it.
const BORROW_A_SUM: &[&str] =
    &["as_deref", "as_deref_mut", "as_mut", "as_ref", "as_slice", "clone", "cmp", "eq", "iter", "iter_mut"];

/// Whether a method or `.await` takes the value, by its name.
fn takes(method: Option<&TokenTree>, is_sum: bool) -> bool {
    let Some(TokenTree::Ident(method)) = method else { return false };
    let method = method.to_string();
    // `is_some`, but not `is_some_and`.
    let borrows_a_sum = BORROW_A_SUM.contains(&method.as_str()) || method.starts_with("is_") && !method.contains("and");
    method == "await" || method.starts_with("into_") || is_sum && !borrows_a_sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(body: &str) -> bool {
        given_away(&body.parse().unwrap(), &Ident::new("order", proc_macro2::Span::call_site()), false)
    }

    fn sum_given(body: &str) -> bool {
        given_away(&body.parse().unwrap(), &Ident::new("order", proc_macro2::Span::call_site()), true)
    }

    #[test]
    fn an_option_is_given_away_to_the_methods_that_take_it() {
        for body in
            ["order.unwrap_or_default()", "order.map(f)", "order.ok_or(e)?", "order.is_some_and(f)", "send(order)"]
        {
            assert!(sum_given(body), "{body}");
        }
        for body in ["order.is_none()", "order.as_ref().map(f)", "order.as_deref()", "order.iter()", "(&order).map(f)"]
        {
            assert!(!sum_given(body), "{body}");
        }
    }

    #[test]
    fn what_is_only_borrowed_is_not_given_away() {
        for body in [
            "send(&order).await",
            "send(&mut order)",
            "order.id()",
            "order.items.len() + 1",
            "order[0]",
            "order(1).await",
            "this.order",
            "this.order()",
            "order::new()",
            "module::order",
            "Order { order: &order }",
            "println!(\"{}\", order)",
            "tracing::info!(order, id = order.id, ?order, \"sent\")",
            "format!(\"{order}\")",
            "order as u64",
            "order == other || order != third || order < fourth",
            "'order: loop { break 'order }",
            "*order",
            "let order = order.id(); send(order)",
            "let mut order = &order; send(order)",
            "f(|x| x + order.total())",
            "f(move |x| x + 1, order.total())",
            "spawn(async move { this.order }); order.len()",
        ] {
            assert!(!given(body), "{body}");
        }
    }

    #[test]
    fn what_is_passed_on_by_name_is_given_away() {
        for body in [
            "send(order).await",
            "client.send(id, order)",
            "vec![order]",
            "order",
            "Ok(order)",
            "let moved = order; send(&moved)",
            "Order { order }",
            "Order { ..order }",
            "order.into_bytes()",
            "order.await",
            "order?",
            "return order;",
            "0..order",
            "for item in order { item.go() }",
            "async move { take(order) }",
            "other(|| { drop(order) })",
            "a && order",
            "dbg!(order)",
            "tokio::spawn(async move { order.len() })",
            "spawn(move || send(&order))",
            "let task = async move { println!(\"{}\", order) };",
        ] {
            assert!(given(body), "{body}");
        }
    }
}
