//! What the macros' output has in common: where Quark is, spans, and the impls that make a kind.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, LitStr, Path, Type, spanned::Spanned};

const PACKAGE: &str = "quark-actors";

/// The path of `quark::macro_support`: below `given` (the key `crate`), else below Quark as the user's `Cargo.toml` names it.
pub(crate) fn support(given: Option<&Path>) -> TokenStream {
    if let Some(path) = given {
        return quote!(#path::macro_support);
    }
    let quark = match crate_name(PACKAGE) {
        // A renamed dependency. If it is not renamed, its name is that of the library and not of the package.
        Ok(FoundCrate::Name(name)) if name != "quark_actors" => format_ident!("{name}"),
        // Quark itself is `::quark` to itself too, so also in its doctests, tests and examples.
        _ => format_ident!("quark"),
    };
    quote!(::#quark::macro_support)
}

/// The exception for what linkme writes, which Quark's own lints see. Those of other crates do not, and must not meet
/// an exception: under `forbid(unsafe_code)` it is an error itself.
pub(crate) fn linkme_lint() -> TokenStream {
    match crate_name(PACKAGE) {
        Ok(FoundCrate::Itself) => quote! {
            #[allow(unsafe_code, reason = "linkme places the entry in a section of its own")]
        },
        _ => TokenStream::new(),
    }
}

/// Puts all of `output` at the place of `text`, in the name of the macro: errors point at the user's text, and the user's
/// lints do not look at it.
pub(crate) fn place(output: TokenStream, text: &impl Spanned) -> TokenStream {
    place_at(output, Span::call_site().located_at(text.span()))
}

fn place_at(output: TokenStream, span: Span) -> TokenStream {
    output
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &mut token {
                *group = Group::new(group.delimiter(), place_at(group.stream(), span));
            }
            token.set_span(span);
            token
        })
        .collect()
}

/// The `#[cfg]`s among an item's attributes: what is generated for the item is there when the item is.
pub(crate) fn cfgs(attributes: &[Attribute]) -> TokenStream {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .map(ToTokens::to_token_stream)
        .collect()
}

/// A type as the user would write it.
pub(crate) fn type_text(type_: &impl ToTokens) -> String {
    let text = type_.to_token_stream().to_string();
    [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
    ]
    .iter()
    .fold(text, |text, (long, short)| text.replace(long, short))
}

/// `Kind` and `Accepts` of a type, and the proof that no two of its messages share a name.
pub(crate) fn kind_impls(
    support: &TokenStream,
    cfgs: &TokenStream,
    type_: &impl ToTokens,
    kind: &LitStr,
    messages: &[Type],
) -> TokenStream {
    let accepts = messages.iter().map(|message| {
        let accepts = quote! {
            #cfgs
            impl #support::Accepts<#message> for #type_ {}
        };
        place(accepts, message)
    });
    let texts = messages.iter().map(type_text);
    let distinct = messages.iter().enumerate().skip(1).map(|(index, message)| {
        let check = quote!(#support::assert_distinct(#kind, TYPES, NAMES, #index););
        place(check, message)
    });
    let distinct = (messages.len() > 1).then(|| {
        quote! {
            #cfgs
            const _: () = {
                const TYPES: &[&str] = &[#(#texts),*];
                const NAMES: &[&str] = &[#(<#messages as #support::Message>::NAME),*];
                #(#distinct)*
            };
        }
    });
    quote! {
        #cfgs
        impl #support::Kind for #type_ {
            const KIND: &'static str = #kind;
        }
        #(#accepts)*
        #distinct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_they_are_written() {
        for text in ["Add", "crate::cart::Add", "Set<Vec<u8>, u32>"] {
            let type_: Type = syn::parse_str(text).expect("a type");
            assert_eq!(type_text(&type_), text);
        }
    }
}
