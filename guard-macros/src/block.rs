//! A guarded `impl`: one policy for all its async methods that return a `Result`.
//!
//! ```text
//! const _: () = {
//!     static __POLICY: Policy = …;                 // unless `policy = …` says where it is
//!     impl Client {
//!         async fn charge(…) -> Result<…> { …the loop of `expand`, under `&__POLICY`… }
//!         fn name(&self) -> &str { … }             // as it was typed
//!     }
//! };
//! ```

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Generics, ItemImpl, Meta, Token, Type};

use crate::arguments::mentions;
use crate::check::{Place, check, check_function};
use crate::diag::Diagnostics;
use crate::draft::Draft;
use crate::expand::{self, Home};
use crate::function::{Function, hides_guard};
use crate::parse;
use crate::tokens::typed;

/// An `impl`, taken apart as far as the guard needs it.
pub(crate) struct Block {
    /// All of it in front of the braces.
    head: TokenStream,
    /// Its type, without generics, and its trait's.
    name: String,
    /// Where it begins.
    word: Span,
    generics: Generics,
    braces: Group,
    members: Vec<Member>,
}

enum Member {
    Method(Box<Method>),
    /// What is no function, as it was typed.
    Other(TokenStream),
}

struct Method {
    function: Function,
    /// What its own `#[guarded(…)]` say.
    own: Vec<(Attribute, TokenStream)>,
}

impl Block {
    /// Whether tokens are an `impl`.
    pub(crate) fn is_one(item: &TokenStream) -> bool {
        let start = |input: ParseStream<'_>| {
            input.call(Attribute::parse_outer)?;
            let is_one = input.peek(Token![impl]) || input.peek(Token![unsafe]) && input.peek2(Token![impl]);
            input.parse::<TokenStream>()?;
            Ok(is_one)
        };
        start.parse2(item.clone()).unwrap_or(false)
    }

    pub(crate) fn parse(item: &TokenStream) -> syn::Result<Block> {
        let mut head: Vec<TokenTree> = item.clone().into_iter().collect();
        let Some(TokenTree::Group(braces)) = head.pop().filter(is_braces) else {
            return Err(syn::Error::new_spanned(item, "expected the braces of the `impl`"));
        };
        let head: TokenStream = head.into_iter().collect();
        // The header is read without the members, whose bodies stay as they were typed.
        let header: ItemImpl = syn::parse2(quote!(#head {}))?;
        let mut name = name_of(&header.self_ty);
        if let Some((path, _)) = &header.trait_ {
            let last = path.segments.last().map(|segment| segment.ident.unraw().to_string());
            name = format!("{name}::{}", last.unwrap_or_default());
        }
        let members = members.parse2(braces.stream())?;
        Ok(Block { head, name, word: header.impl_token.span, generics: header.generics, braces, members })
    }

    /// The methods that are others' fallbacks (`Self::cached`): they are called when the guard says no, so it is not around
    /// them.
    fn fallbacks(&self) -> Vec<Ident> {
        let mut found = Vec::new();
        for member in &self.members {
            let Member::Method(method) = member else { continue };
            for (_, settings) in &method.own {
                // What is wrong with them is said where the method is guarded.
                let draft = parse::attribute(settings.clone(), Place::Method, &mut Diagnostics::default());
                let Some(Expr::Path(path)) = draft.fallback else { continue };
                let segments = &path.path.segments;
                let is_ours =
                    |name: &Ident| name == "Self" || self.name.split("::").next().is_some_and(|ours| name == ours);
                if let (Some(first), Some(last), 2) = (segments.first(), segments.last(), segments.len()) {
                    found.extend(is_ours(&first.ident).then(|| last.ident.clone()));
                }
            }
        }
        found
    }

    pub(crate) fn guard(mut self, draft: &Draft, diag: &mut Diagnostics) -> TokenStream {
        let is_right = diag.is_empty();
        let mut members = TokenStream::new();
        let mut guarded = 0;
        let fallbacks = self.fallbacks();
        for member in std::mem::take(&mut self.members) {
            match member {
                Member::Other(tokens) => members.extend(tokens),
                Member::Method(method) if !method.is_meant(&self.generics, &fallbacks) => {
                    members.extend(method.function.as_typed());
                }
                Member::Method(method) => match method.guard(draft, is_right, diag) {
                    Ok(tokens) => {
                        guarded += 1;
                        members.extend(tokens);
                    }
                    Err(tokens) => members.extend(tokens),
                },
            }
        }
        if guarded == 0 && diag.is_empty() {
            diag.error(self.word, "there is nothing to guard here: no async method of this `impl` returns a `Result`");
        }
        let mut braces = Group::new(Delimiter::Brace, members);
        braces.set_span(self.braces.span());
        let head = &self.head;
        if draft.policy.is_some() {
            return quote!(#head #braces);
        }
        let private = expand::private(draft);
        let draft = if diag.is_empty() { draft } else { &Draft { krate: draft.krate.clone(), ..Draft::default() } };
        let name = expand::name(draft, &self.name, &private);
        let item = Ident::new(expand::BLOCK_POLICY, Span::call_site());
        let policy = expand::declared(draft, &TokenStream::new(), &item.to_token_stream(), &name, &private);
        quote! {
            const _: () = {
                #policy
                #head #braces
            };
        }
    }
}

impl Method {
    /// The method under the block's policy; as it was typed when it is left out.
    fn guard(self, block: &Draft, is_right: bool, diag: &mut Diagnostics) -> Result<TokenStream, TokenStream> {
        let Method { mut function, own } = self;
        let mut wrong = Diagnostics::default();
        for (second, _) in own.iter().skip(1) {
            wrong.error_at(second, "the method is guarded twice; write all settings in one `#[guarded(…)]`");
        }
        function.attributes.retain(|attribute| {
            if hides_guard(attribute) {
                wrong.error_at(
                    attribute,
                    "`cfg_attr` hides these settings from the `impl`; put the method into an `impl` of its own",
                );
            }
            !hides_guard(attribute)
        });
        let settings = own.into_iter().next().map(|(_, settings)| settings).unwrap_or_default();
        let own = parse::attribute(settings, Place::Method, &mut wrong);
        let draft = own.within(block);
        // What is wrong with the block's settings alone is said once, there.
        if !own.keys.is_empty() {
            check(if is_right { &draft } else { &own }, Place::Method, &mut wrong);
        }
        let guardable = own.skip || function.check(&mut wrong);
        if !own.skip {
            check_function(&draft, &function, &mut wrong);
            check_self(block, &function, &mut wrong);
        }
        let is_wrong = !wrong.is_empty();
        diag.append(wrong);
        if own.skip || !guardable {
            return Err(function.as_typed());
        }
        if is_wrong || !is_right {
            // The body is written for the guard: it stays in one that does nothing.
            let plain = Draft { krate: draft.krate, doc: Some(false), ..Draft::default() };
            return Ok(expand::function(&plain, Home::Function, function));
        }
        Ok(expand::function(&draft, Home::Block(&own), function))
    }
}

/// Types of the standard library that are no `Result`. Any other may be one by another name: a method that returns it is
/// guarded, and if it is none the compiler says so, instead of a call that goes unguarded without a word.
const NO_RESULTS: &[&str] = &[
    "bool",
    "char",
    "str",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "String",
    "Vec",
    "VecDeque",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "Option",
    "Box",
    "Rc",
    "Arc",
    "Cow",
    "PathBuf",
    "Duration",
    "Instant",
    "SystemTime",
    "Ordering",
    "OsString",
    "CString",
    "NonZero",
    "Range",
    "Self",
];

impl Method {
    /// Whether the block guards it: an async method that may return a `Result`.
    fn is_meant(&self, generics: &Generics, fallbacks: &[Ident]) -> bool {
        let Method { function, own } = self;
        if own.is_empty() && fallbacks.contains(&function.signature.ident) {
            return false;
        }
        let is_async = function.signature.asyncness.is_some() || function.boxed.is_some();
        !own.is_empty()
            || is_async
                && function.output().is_some_and(|output| {
                    may_be_result(output, &|name| {
                        NO_RESULTS.contains(&name)
                            || [generics, &function.signature.generics]
                                .iter()
                                .any(|generics| is_parameter(generics, name))
                    })
                })
    }
}

/// What the block says with `self` needs one.
fn check_self(block: &Draft, function: &Function, diag: &mut Diagnostics) {
    if matches!(function.signature.inputs.first(), Some(syn::FnArg::Receiver(_))) {
        return;
    }
    let word = Ident::new("self", Span::call_site());
    for value in [&block.policy, &block.key, &block.cost].into_iter().flatten() {
        if mentions(&value.to_token_stream(), &word) {
            let (name, text) = (&function.signature.ident, typed(value));
            diag.error(
                name.span(),
                format!("`{name}` has no `self`, and the `impl` needs it for `{text}`; write `#[guarded(skip)]` above `{name}`"),
            );
        }
    }
}

fn is_parameter(generics: &Generics, name: &str) -> bool {
    generics.type_params().any(|parameter| parameter.ident == name)
}

fn may_be_result(output: &Type, is_none: &dyn Fn(&str) -> bool) -> bool {
    match output {
        Type::Group(group) => may_be_result(&group.elem, is_none),
        Type::Paren(paren) => may_be_result(&paren.elem, is_none),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| !is_none(&last.ident.unraw().to_string())),
        Type::Macro(_) | Type::Verbatim(_) => true,
        _ => false,
    }
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// `Client` of `crate::Client<T>`.
fn name_of(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.unraw().to_string()).unwrap_or_default(),
        Type::Reference(reference) => name_of(&reference.elem),
        Type::Group(group) => name_of(&group.elem),
        Type::Paren(paren) => name_of(&paren.elem),
        other => other.to_token_stream().to_string(),
    }
}

fn members(input: ParseStream<'_>) -> syn::Result<Vec<Member>> {
    let mut found = Vec::new();
    // `#![allow(…)]` and `//!`.
    let inner = input.call(Attribute::parse_inner)?;
    found.push(Member::Other(quote!(#(#inner)*)));
    while !input.is_empty() {
        if is_function(input) {
            let mut function: Function = input.parse()?;
            let mut own = Vec::new();
            function.attributes.retain(|attribute| match settings(attribute) {
                Some(settings) => {
                    own.push((attribute.clone(), settings));
                    false
                }
                None => true,
            });
            found.push(Member::Method(Box::new(Method { function, own })));
        } else {
            found.push(Member::Other(other(input)?));
        }
    }
    Ok(found)
}

/// The settings of `#[guarded(settings)]`, of `#[guarded]` none.
fn settings(attribute: &Attribute) -> Option<TokenStream> {
    if attribute.path().segments.last()?.ident != "guarded" {
        return None;
    }
    match &attribute.meta {
        Meta::List(list) => Some(list.tokens.clone()),
        _ => Some(TokenStream::new()),
    }
}

/// Whether a function comes next, with a body.
fn is_function(input: ParseStream<'_>) -> bool {
    let rest = input.fork();
    if rest.call(Attribute::parse_outer).is_err() || rest.parse::<syn::Visibility>().is_err() {
        return false;
    }
    // `const fn`, `async unsafe extern "C" fn`: words up to `fn`.
    while !rest.is_empty() && !rest.peek(Token![fn]) {
        let is_word = rest.peek(Token![const])
            || rest.peek(Token![async])
            || rest.peek(Token![unsafe])
            || rest.peek(Token![extern])
            || rest.peek(syn::LitStr);
        if !is_word || rest.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    rest.peek(Token![fn])
}

/// A member that is no function: up to its `;`, or to the braces of a macro.
fn other(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    let (mut is_macro, mut after_name) = (false, false);
    while !input.is_empty() {
        let token: TokenTree = input.parse()?;
        let ends = match &token {
            TokenTree::Punct(punct) => {
                is_macro |= punct.as_char() == '!' && after_name;
                punct.as_char() == ';'
            }
            token => is_macro && is_braces(token),
        };
        after_name = matches!(token, TokenTree::Ident(_));
        tokens.extend([token]);
        if ends {
            break;
        }
    }
    Ok(tokens)
}
