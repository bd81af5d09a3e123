//! `#[derive(Message)]`.

use crate::{
    errors::Errors,
    keys::{self, CRATE, Key, read_keys},
    names, output, shape,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitStr, Meta, Path, Type, parse_quote, spanned::Spanned};

const KEYS: &[Key] = &[
    Key {
        name: "name",
        usage: "name = \"cart.add\"",
    },
    Key {
        name: "reply",
        usage: "reply = usize",
    },
    Key {
        name: "idempotent",
        usage: "idempotent",
    },
    CRATE,
];

#[derive(Default)]
struct Keys {
    name: Option<LitStr>,
    reply: Option<Type>,
    is_idempotent: bool,
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
            "a message cannot be generic: its wire name stands for one type; derive `Message` for a type without parameters that holds the concrete one",
        ));
        return errors.into_items();
    }
    match &keys.name {
        Some(name) => names::check_message_name(name, &mut errors),
        None if errors.any() => {}
        None => errors.at(
            input.ident.span(),
            format!(
                "the message `{}` has no wire name; write `#[message(name = \"cart.add\")]` below the derive, with `reply = ...` if it is answered",
                input.ident
            ),
        ),
    }

    let support = output::support(keys.quark.as_ref());
    let type_ = &input.ident;
    // After an error too: else every use of the message would be another one.
    let name = keys.name.unwrap_or_else(|| LitStr::new("?", type_.span()));
    let reply = keys.reply.unwrap_or_else(|| parse_quote!(()));
    let reply_text = output::type_text(&reply);
    let is_idempotent = keys.is_idempotent;
    let shape = shape::shape(&input, &support, &mut errors);
    let errors = errors.into_items();
    quote! {
        #errors
        #[automatically_derived]
        impl #support::Message for #type_ {
            type Reply = #reply;
            const NAME: &'static str = #name;
            const IDEMPOTENT: bool = #is_idempotent;
            fn shapes(types: &mut #support::schema::Types) -> (#support::schema::Form, #support::schema::Form) {
                #[allow(unused_imports, reason = "where the reply says what it looks like")]
                use #support::schema::Unknown as _;
                let message = <Self as #support::Shape>::shape(types);
                (message, #support::schema::Describe::<#reply>::default().form(types, #reply_text))
            }
        }
        #shape
    }
}

fn read(input: &DeriveInput, errors: &mut Errors) -> Keys {
    let mut keys = Keys::default();
    let mut seen = Vec::new();
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("message"))
    {
        let Meta::List(list) = &attribute.meta else {
            errors.at(
                attribute.span(),
                "write `#[message(name = \"cart.add\", reply = usize)]`",
            );
            continue;
        };
        read_keys(list.tokens.clone(), KEYS, &mut seen, errors, |key, input, _| {
            match key {
                "name" => keys.name = Some(keys::text(input)?),
                "reply" => keys.reply = Some(keys::type_(input)?),
                "idempotent" => keys.is_idempotent = true,
                _ => keys.quark = Some(keys::path(input)?),
            }
            Ok(())
        });
    }
    keys
}
