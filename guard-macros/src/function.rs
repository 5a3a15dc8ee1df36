//! The function under the attribute: its signature is parsed, its body is kept as it was typed.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, Meta, Pat, ReturnType, Signature, Token, Type, Visibility};

use crate::arguments::mentions;
use crate::boxed::Boxed;
use crate::diag::Diagnostics;

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
    /// What is around the body when `#[async_trait]` came first.
    pub(crate) boxed: Option<Boxed>,
    /// The body with it.
    whole: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Function> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if let Some(word) = other_item(input) {
            let article = if word.starts_with(['e', 'i']) { "an" } else { "a" };
            let message =
                format!("`#[guarded]` guards async functions, not {article} `{word}`; put it above an `async fn`");
            return Err(input.error(message));
        }
        let signature: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(
                input.error("this method has no body to guard; put `#[guarded]` above the method in the `impl`")
            );
        }
        let mut body = input.parse()?;
        // A `$body:block` of a `macro_rules!` comes wrapped.
        while let TokenTree::Group(wrapped) = &body {
            let inner: Vec<TokenTree> = wrapped.stream().into_iter().collect();
            match (wrapped.delimiter(), inner.as_slice()) {
                (Delimiter::None, [only]) => body = only.clone(),
                _ => break,
            }
        }
        match body {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                let whole = body.clone();
                let (boxed, body) = match Boxed::take_apart(&body) {
                    Some((boxed, inner)) if signature.asyncness.is_none() => (Some(boxed), inner),
                    _ => (None, body),
                };
                Ok(Function { attributes, visibility, signature, body, boxed, whole })
            }
            other => Err(syn::Error::new(other.span(), "expected the body of the function")),
        }
    }
}

fn other_item(input: ParseStream<'_>) -> Option<&'static str> {
    if input.peek(Token![const])
        && !input.peek2(Token![fn])
        && !input.peek2(Token![async])
        && !input.peek2(Token![unsafe])
    {
        return Some("const");
    }
    let words = ["struct", "enum", "impl", "trait", "mod", "use", "static", "type", "union", "macro_rules", "let"];
    let word = input.fork().call(syn::Ident::parse_any).ok()?;
    words.into_iter().find(|candidate| word == candidate)
}

/// Whether a `cfg_attr` may bring a second guard.
pub(crate) fn hides_guard(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg_attr")
        && matches!(&attribute.meta, Meta::List(list) if mentions(&list.tokens, &Ident::new("guarded", Span::call_site())))
}

const NO_RESULT: &str = "a guarded function may be rejected, and this one cannot say so; \
    return `Result<T, apiguard::Error<E>>`, or a `Result` whose error is `From<apiguard::Rejected>`";

/// Whether a type is by its form alone no `Result`, whatever names mean.
fn is_no_result(output: &Type) -> bool {
    match output {
        Type::Group(group) => is_no_result(&group.elem),
        Type::Paren(paren) => is_no_result(&paren.elem),
        Type::Path(_) | Type::Macro(_) | Type::Infer(_) | Type::Verbatim(_) => false,
        _ => true,
    }
}

impl Function {
    /// Whether it can be guarded at all.
    pub(crate) fn check(&mut self, diag: &mut Diagnostics) -> bool {
        let mut guardable = true;
        self.attributes.retain(|attribute| {
            let is_guard =
                attribute.path().segments.last().is_some_and(|name| name.ident == "guarded") || hides_guard(attribute);
            if is_guard {
                diag.error_at(attribute, "the function is guarded twice; write all settings in one `#[guarded(…)]`");
            }
            !is_guard
        });
        if self.signature.asyncness.is_none() && self.boxed.is_none() {
            guardable = false;
            diag.error(
                self.signature.fn_token.span,
                "`#[guarded]` is for async functions; write `async fn`, or use `TokenBucket` and `CircuitBreaker` in blocking code",
            );
        }
        match &self.signature.output {
            ReturnType::Default => {
                guardable = false;
                diag.error(self.signature.ident.span(), NO_RESULT);
            }
            ReturnType::Type(_, output) if is_no_result(output) => {
                guardable = false;
                // Without `async` the type may be the future's.
                if self.signature.asyncness.is_some() {
                    diag.error_at(output, NO_RESULT);
                }
            }
            ReturnType::Type(..) => {}
        }
        guardable
    }

    /// The function without a guard.
    pub(crate) fn as_typed(&self) -> TokenStream {
        let Function { attributes, visibility, signature, whole, .. } = self;
        quote!(#(#attributes)* #visibility #signature #whole)
    }

    pub(crate) fn output(&self) -> Option<&Type> {
        if let Some(boxed) = &self.boxed {
            return Some(&boxed.output);
        }
        match &self.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(output),
        }
    }

    /// The names that the arguments bind, each with what it is.
    pub(crate) fn arguments(&self) -> Vec<Argument> {
        if let Some(boxed) = &self.boxed {
            return boxed.arguments(&self.signature);
        }
        let mut found = Vec::new();
        for input in &self.signature.inputs {
            if let FnArg::Typed(argument) = input {
                let kind = kind_of(&argument.ty);
                let before = found.len();
                collect(&argument.pat, kind, true, &mut found);
                if let (Pat::Ident(_), Some(only)) = (&*argument.pat, found.get_mut(before)) {
                    only.is_sum = is_sum(&argument.ty);
                }
                let cfg = argument.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
                let cfg: Vec<_> = cfg.cloned().collect();
                found[before..].iter_mut().for_each(|argument| argument.cfg.clone_from(&cfg));
            }
        }
        found
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Reference,
    MutableReference,
    Value,
}

pub(crate) struct Argument {
    pub(crate) name: syn::Ident,
    pub(crate) mutable: Option<Span>,
    pub(crate) kind: Kind,
    /// Whether it is an `Option` or a `Result`, as far as its type tells.
    pub(crate) is_sum: bool,
    /// Where it exists at all.
    pub(crate) cfg: Vec<Attribute>,
}

pub(crate) fn kind_of(ty: &Type) -> Kind {
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => Kind::MutableReference,
        Type::Reference(_) => Kind::Reference,
        _ => Kind::Value,
    }
}

pub(crate) fn is_sum(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| last.ident == "Option" || last.ident == "Result")
        }
        Type::Group(group) => is_sum(&group.elem),
        _ => false,
    }
}

/// The variables of a pattern; inside a pattern the types are not known, and each is taken for a value.
pub(crate) fn collect(pattern: &Pat, kind: Kind, whole: bool, found: &mut Vec<Argument>) {
    match pattern {
        Pat::Ident(ident) => {
            if ident.by_ref.is_none() {
                let kind = if whole { kind } else { Kind::Value };
                found.push(Argument {
                    name: ident.ident.clone(),
                    mutable: ident.mutability.map(|word| word.span()),
                    kind,
                    is_sum: false,
                    cfg: Vec::new(),
                });
            }
            if let Some((_, inner)) = &ident.subpat {
                collect(inner, kind, false, found);
            }
        }
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|element| collect(element, kind, false, found)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|element| collect(element, kind, false, found)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|field| collect(&field.pat, kind, false, found)),
        Pat::Slice(slice) => slice.elems.iter().for_each(|element| collect(element, kind, false, found)),
        Pat::Reference(reference) => collect(&reference.pat, kind, false, found),
        Pat::Paren(paren) => collect(&paren.pat, kind, whole, found),
        Pat::Type(typed) => collect(&typed.pat, kind, whole, found),
        _ => {}
    }
}

/// Takes `mut` from the patterns of the signature: the variables are made anew, mutable, for each attempt.
pub(crate) fn remove_mut(pattern: &mut Pat) {
    match pattern {
        Pat::Ident(ident) => {
            if ident.by_ref.is_none() {
                ident.mutability = None;
            }
            if let Some((_, inner)) = &mut ident.subpat {
                remove_mut(inner);
            }
        }
        Pat::Tuple(tuple) => tuple.elems.iter_mut().for_each(remove_mut),
        Pat::TupleStruct(tuple) => tuple.elems.iter_mut().for_each(remove_mut),
        Pat::Struct(fields) => fields.fields.iter_mut().for_each(|field| remove_mut(&mut field.pat)),
        Pat::Slice(slice) => slice.elems.iter_mut().for_each(remove_mut),
        Pat::Reference(reference) => remove_mut(&mut reference.pat),
        Pat::Paren(paren) => remove_mut(&mut paren.pat),
        Pat::Type(typed) => remove_mut(&mut typed.pat),
        _ => {}
    }
}
