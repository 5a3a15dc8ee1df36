//! What `#[async_trait]` makes of a method when it stands above the `impl` and so comes first: a plain function that
//! returns a boxed async block.
//!
//! ```text
//! fn charge<'async_trait>(&self, order: Order) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'async_trait>> {
//!     Box::pin(async move {
//!         if let Some(__ret) = None::<Outcome> { return __ret; }
//!         let __self = self;
//!         let order = order;
//!         let __ret: Outcome = { …the body, with `__self`… };
//!         __ret
//!     })
//! }
//! ```
//!
//! It is taken apart, so that the guard goes around the body inside the box, as it would without `async_trait`.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::{Block, Expr, FnArg, Pat, ReceiverKind, Signature, Stmt, Type};

use crate::function::{Argument, Kind, collect, kind_of, remove_mut};

pub(crate) struct Boxed {
    /// `Box::pin`
    wrap: TokenStream,
    /// `let order = order;`
    bindings: Vec<Stmt>,
    pub(crate) output: Type,
}

impl Boxed {
    /// Takes a body apart, if it is one: the rest, and the user's block.
    pub(crate) fn take_apart(body: &Group) -> Option<(Boxed, Group)> {
        let mut wrap: Vec<TokenTree> = body.stream().into_iter().collect();
        let Some(TokenTree::Group(argument)) = wrap.pop() else { return None };
        let inner: Vec<TokenTree> = argument.stream().into_iter().collect();
        let [TokenTree::Ident(first), TokenTree::Ident(second), TokenTree::Group(block)] = inner.as_slice() else {
            return None;
        };
        if first != "async" || second != "move" || block.delimiter() != Delimiter::Brace {
            return None;
        }
        let mut bindings = Vec::new();
        for statement in Block::parse_within.parse2(block.stream()).ok()? {
            let Stmt::Local(local) = &statement else { continue };
            let Pat::Type(typed) = &local.pat else {
                bindings.push(statement);
                continue;
            };
            let Expr::Block(user) = &*local.init.as_ref()?.expr else { return None };
            let Some(TokenTree::Group(user)) = user.to_token_stream().into_iter().last() else { return None };
            let wrap = wrap.into_iter().collect();
            return Some((Boxed { wrap, bindings, output: (*typed.ty).clone() }, user));
        }
        None
    }

    /// The variables that are bound in front of the body, each with what it is.
    pub(crate) fn arguments(&self, signature: &Signature) -> Vec<Argument> {
        let mut found = Vec::new();
        for statement in &self.bindings {
            let Stmt::Local(local) = statement else { continue };
            let source = local.init.as_ref().map(|init| init.expr.to_token_stream().to_string()).unwrap_or_default();
            collect(&local.pat, kind(signature, &source), true, &mut found);
        }
        found
    }

    /// Takes `mut` from the bindings: the variables are made anew, mutable, for each attempt.
    pub(crate) fn remove_mut(&mut self) {
        for statement in &mut self.bindings {
            if let Stmt::Local(local) = statement {
                remove_mut(&mut local.pat);
            }
        }
    }

    /// Puts it together again around other statements.
    pub(crate) fn around(&self, statements: &TokenStream) -> TokenStream {
        let Boxed { wrap, bindings, .. } = self;
        quote::quote!(#wrap(async move { #(#bindings)* #statements }))
    }
}

/// What the argument of this name is.
fn kind(signature: &Signature, name: &str) -> Kind {
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) if name == "self" => {
                return match &receiver.kind {
                    ReceiverKind::Value => Kind::Value,
                    ReceiverKind::Typed(_, ty) => kind_of(ty),
                    ReceiverKind::Reference(_, _, Some(_)) => Kind::MutableReference,
                    _ => Kind::Reference,
                };
            }
            FnArg::Typed(argument) if argument.pat.to_token_stream().to_string() == name => {
                return kind_of(&argument.ty);
            }
            _ => {}
        }
    }
    Kind::Value
}
