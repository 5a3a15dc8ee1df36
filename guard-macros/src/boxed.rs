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
use syn::{Block, Expr, FnArg, Local, Pat, ReceiverKind, Signature, Stmt, Type};

use crate::function::{Argument, Kind, collect, is_sum, kind_of, remove_mut};

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
            let source = source(local);
            let before = found.len();
            collect(&local.pat, kind(signature, &source), true, &mut found);
            if let (Pat::Ident(_), Some(only)) = (&local.pat, found.get_mut(before)) {
                only.is_sum = type_of(signature, &source).is_some_and(is_sum);
            }
        }
        // References are used as they come.
        for input in &signature.inputs {
            if let FnArg::Typed(argument) = input {
                if self.pattern_of(&argument.pat.to_token_stream().to_string()).is_none() {
                    collect(&argument.pat, kind_of(&argument.ty), true, &mut found);
                }
            }
        }
        found
    }

    /// The pattern that takes the argument of this name apart.
    pub(crate) fn pattern_of(&self, argument: &str) -> Option<&Pat> {
        self.bindings.iter().find_map(|statement| match statement {
            Stmt::Local(local) if source(local) == argument => Some(&local.pat),
            _ => None,
        })
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

/// What a binding is made from: `order` of `let order = order`, and of `let (a, b) = { let order = order; order }`.
fn source(local: &Local) -> String {
    let Some(init) = &local.init else { return String::new() };
    match &*init.expr {
        Expr::Block(block) => {
            block.block.stmts.last().map(|last| last.to_token_stream().to_string()).unwrap_or_default()
        }
        init => init.to_token_stream().to_string(),
    }
}

fn type_of<'a>(signature: &'a Signature, name: &str) -> Option<&'a Type> {
    signature.inputs.iter().find_map(|input| match input {
        FnArg::Typed(argument) if argument.pat.to_token_stream().to_string() == name => Some(&*argument.ty),
        _ => None,
    })
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
