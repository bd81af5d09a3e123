//! `#[derive(State)]`.

use crate::{
    errors::Errors,
    keys::{self, CRATE, Key, read_keys},
    names, output,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    DeriveInput, LitStr, Meta, Path, Result, Token, Type, parenthesized, parse::ParseStream, punctuated::Punctuated,
    spanned::Spanned,
};

const KEYS: &[Key] = &[
    Key {
        name: "schema",
        usage: "schema = \"cart.2\"",
    },
    Key {
        name: "from",
        usage: "from(CartV1)",
    },
    Key {
        name: "back",
        usage: "back = CartV1",
    },
    Key {
        name: "unnamed",
        usage: "unnamed",
    },
    CRATE,
];

#[derive(Default)]
struct Keys {
    schema: Option<LitStr>,
    from: Vec<Type>,
    back: Option<Type>,
    is_unnamed: bool,
    quark: Option<Path>,
}

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let keys = read(&input, &mut errors);
    if !input.generics.params.is_empty() {
        errors.push(syn::Error::new_spanned(
            &input.generics,
            "a state cannot be generic: the name of its schema stands for one type; derive `State` for a type without parameters that holds the concrete one",
        ));
        return errors.into_items();
    }
    match &keys.schema {
        Some(schema) => names::check_schema_name(schema, &mut errors),
        None if errors.any() => {}
        None => errors.at(
            input.ident.span(),
            format!(
                "the schema of `{}` has no name; write `#[state(schema = \"cart.1\")]` below the derive",
                input.ident
            ),
        ),
    }
    let support = output::support(keys.quark.as_ref());
    let type_ = &input.ident;
    // After an error too: else every use of the state would be another one.
    let schema = keys.schema.unwrap_or_else(|| LitStr::new("?", type_.span()));
    let is_unnamed = keys.is_unnamed;
    let older = keys
        .from
        .iter()
        .map(|older| output::place(quote!(#support::Older::<Self>::read::<#older>()), older));
    let back = match &keys.back {
        Some(back) => {
            let back = output::place(quote!(#support::Back::<Self>::to::<#back>()), back);
            quote!(::core::option::Option::Some(#back))
        }
        None => quote!(::core::option::Option::None),
    };
    let errors = errors.into_items();
    quote! {
        #errors
        #[automatically_derived]
        impl #support::State for #type_ {
            const SCHEMA: &'static str = #schema;
            const UNNAMED: bool = #is_unnamed;
            const OLDER: &'static [#support::Older<Self>] = &[#(#older),*];
            const BACK: ::core::option::Option<#support::Back<Self>> = #back;
        }
    }
}

fn read(input: &DeriveInput, errors: &mut Errors) -> Keys {
    let mut keys = Keys::default();
    let mut seen = Vec::new();
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("state"))
    {
        let Meta::List(list) = &attribute.meta else {
            errors.at(attribute.span(), "write `#[state(schema = \"cart.2\", from(CartV1))]`");
            continue;
        };
        read_keys(list.tokens.clone(), KEYS, &mut seen, errors, |key, input, _| {
            match key {
                "schema" => keys.schema = Some(keys::text(input)?),
                "from" => keys.from = types(input)?,
                "back" => keys.back = Some(keys::type_(input)?),
                "unnamed" => keys.is_unnamed = true,
                _ => keys.quark = Some(keys::path(input)?),
            }
            Ok(())
        });
    }
    keys
}

/// `(CartV1, CartV0)`
fn types(input: ParseStream<'_>) -> Result<Vec<Type>> {
    let list;
    parenthesized!(list in input);
    let types = Punctuated::<Type, Token![,]>::parse_terminated(&list)?;
    Ok(types.into_iter().collect())
}
