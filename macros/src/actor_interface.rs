//! `#[actor_interface]`.

use crate::{
    errors::Errors,
    keys::{self, CRATE, KIND, Key, MESSAGES, read_keys, require},
    names, output,
};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Generics, Ident, LitStr, Path, Result, Token, Type, Visibility,
    parse::{Parse, ParseStream},
};

const KEYS: &[Key] = &[KIND, MESSAGES, CRATE];

/// What the macro needs to know of `pub struct Airport;`; the rest is the compiler's to read.
struct Header {
    attributes: Vec<Attribute>,
    name: Ident,
    generics: Generics,
}

impl Parse for Header {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        if input.peek(Token![struct]) {
            input.parse::<Token![struct]>()?;
        } else if input.peek(Token![enum]) {
            input.parse::<Token![enum]>()?;
        } else {
            return Err(input.error(
                "`#[actor_interface(...)]` goes above a type that stands for the actor: `pub struct Airport;`",
            ));
        }
        let name = input.parse()?;
        let generics = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self {
            attributes,
            name,
            generics,
        })
    }
}

pub(crate) fn expand(keys: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut kind: Option<LitStr> = None;
    let mut messages: Option<Vec<Type>> = None;
    let mut quark: Option<Path> = None;
    let mut seen = Vec::new();
    read_keys(keys, KEYS, &mut seen, &mut errors, |key, input, errors| {
        match key {
            "kind" => kind = Some(keys::text(input)?),
            "messages" => messages = Some(keys::messages(input, errors)?),
            _ => quark = Some(keys::path(input)?),
        }
        Ok(())
    });
    require(&[KIND, MESSAGES], &seen, &mut errors);
    if let Some(kind) = &kind {
        names::check_kind(kind, &mut errors);
    }
    let header = match syn::parse2::<Header>(item.clone()) {
        Ok(header) => header,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    if !header.generics.params.is_empty() {
        errors.push(syn::Error::new_spanned(
            &header.generics,
            "an actor interface cannot be generic: its kind stands for one type; write `pub struct Airport;`",
        ));
        let errors = errors.into_items();
        return quote!(#errors #item);
    }
    let errors = errors.into_items();
    let kind_impls = output::kind_impls(
        &output::support(quark.as_ref()),
        &output::cfgs(&header.attributes),
        &header.name,
        // After an error too: else every use of the interface would be another one.
        &kind.unwrap_or_else(|| LitStr::new("?", Span::call_site())),
        &messages.unwrap_or_default(),
    );
    quote! {
        #errors
        #[allow(dead_code, reason = "a stand-in is named, not made")]
        #item
        #kind_impls
    }
}
