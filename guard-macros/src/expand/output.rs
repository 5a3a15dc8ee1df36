//! The declared return type in the generated code.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::settings::ends;

/// The declared return type in the generated code: all that is said of it stands where it does, so that one that cannot
/// be guarded is one error there.
pub(super) struct Output {
    /// `<Type as Guarded>`
    path: TokenStream,
    /// The type itself, with `_` for each `impl Trait`.
    declared: Type,
    pub(super) start: Span,
    end: Span,
}

impl Output {
    pub(super) fn new(output: &Type, private: &TokenStream) -> Output {
        let (start, end) = ends(output);
        let inferred = without_impl_trait(output);
        Output { path: quote_spanned!(start=> <#inferred as #private::Guarded>), declared: inferred, start, end }
    }

    /// The type as a variable of it is declared.
    pub(super) fn declared(&self) -> TokenStream {
        self.declared.to_token_stream()
    }

    /// `<Type as Guarded>::function(arguments)`
    pub(super) fn call(&self, function: &str, arguments: TokenStream) -> TokenStream {
        let Output { path, start, end, .. } = self;
        let function = Ident::new(function, *start);
        let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
        arguments.set_span(*end);
        quote_spanned!(*start=> #path::#function #arguments)
    }

    /// The variable that holds what an attempt returned. It stands in the user's hygiene, as the type does: the compiler
    /// says the same thing once only where all of it does. Hence the long name.
    pub(super) fn outcome(&self) -> Ident {
        Ident::new("__apiguard_outcome", self.end.resolved_at(self.start))
    }

    /// The type of the body.
    pub(super) fn body(&self) -> TokenStream {
        let Output { path, end, .. } = self;
        let body = Ident::new("Body", *end);
        quote_spanned!(*end=> #path::#body)
    }
}

/// The type with `_` for each `impl Trait`, which cannot be named inside the function.
fn without_impl_trait(output: &Type) -> Type {
    let mut output = output.clone();
    replace(&mut output);
    output
}

fn replace(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = syn::parse_quote_spanned!(ty.span()=> _),
        Type::Array(array) => replace(&mut array.elem),
        Type::Group(group) => replace(&mut group.elem),
        Type::Paren(paren) => replace(&mut paren.elem),
        Type::Reference(reference) => replace(&mut reference.elem),
        Type::Slice(slice) => replace(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(replace),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let syn::PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let syn::GenericArgument::Type(inner) = argument {
                            replace(inner);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}
