//! `#[actor]`.

use crate::{
    errors::Errors,
    keys::{self, CRATE, KIND, Key, MESSAGES, read_keys, require},
    names, output,
};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Generics, LitStr, Path, Result, Token, Type,
    parse::{Parse, ParseStream},
};

const KEYS: &[Key] = &[
    KIND,
    MESSAGES,
    Key {
        name: "version",
        usage: "version = \"1.2.3\"",
    },
    Key {
        name: "volatile",
        usage: "volatile",
    },
    Key {
        name: "immovable",
        usage: "immovable",
    },
    Key {
        name: "streams",
        usage: "streams(\"chat\", \"news\")",
    },
    Key {
        name: "unlisted",
        usage: "unlisted",
    },
    CRATE,
];

const WHERE_TO: &str = "`#[actor(...)]` goes above `impl Actor for YourType`";

/// What the macro needs to know of `impl Actor for Cart { ... }`; the rest is the compiler's to read.
struct Header {
    attributes: Vec<Attribute>,
    generics: Generics,
    type_: Type,
}

impl Parse for Header {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        if !input.peek(Token![impl]) {
            return Err(input.error(WHERE_TO));
        }
        input.parse::<Token![impl]>()?;
        let generics = input.parse()?;
        let trait_: Type = input.parse()?;
        if !input.peek(Token![for]) {
            let text = format!("{WHERE_TO}, not above the type's own methods");
            return Err(syn::Error::new_spanned(trait_, text));
        }
        let is_actor = match &trait_ {
            Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Actor"),
            _ => false,
        };
        if !is_actor {
            let text = format!("{WHERE_TO}, not above the impl of another trait");
            return Err(syn::Error::new_spanned(trait_, text));
        }
        input.parse::<Token![for]>()?;
        let type_ = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self {
            attributes,
            generics,
            type_,
        })
    }
}

#[derive(Default)]
struct Keys {
    kind: Option<LitStr>,
    messages: Option<Vec<Type>>,
    version: Option<LitStr>,
    is_volatile: bool,
    is_immovable: bool,
    is_unlisted: bool,
    streams: Vec<LitStr>,
    quark: Option<Path>,
}

pub(crate) fn expand(keys: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let keys = read(keys, &mut errors);
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
            "an actor cannot be generic: its kind stands for one type; write the impl for a concrete type such as `Cart<u32>`",
        ));
        // Without the impl, which could not be right.
        return errors.into_items();
    }

    let support = output::support(keys.quark.as_ref());
    let cfgs = output::cfgs(&header.attributes);
    let type_ = &header.type_;
    let is_listed = !keys.is_unlisted && !errors.any();
    let errors = errors.into_items();
    // After an error too: else every use of the actor would be another one.
    let kind = keys.kind.unwrap_or_else(|| LitStr::new("?", Span::call_site()));
    let messages = keys.messages.unwrap_or_default();
    let version = match keys.version {
        Some(version) => quote!(#version),
        None => quote!(::core::env!("CARGO_PKG_VERSION")),
    };
    let text = output::type_text(type_);
    let is_volatile = keys.is_volatile;
    let is_movable = !keys.is_immovable;
    let streams = &keys.streams;
    let streams = (!streams.is_empty()).then(|| quote!(const STREAMS: &'static [&'static str] = &[#(#streams),*];));
    let kind_impls = output::kind_impls(&support, &cfgs, type_, &kind, &messages);
    let entries = messages
        .iter()
        .map(|message| output::place(quote!(#support::MessageEntry::of::<Self, #message>()), message));
    let listing = is_listed.then(|| {
        let lint = output::linkme_lint();
        quote! {
            #cfgs
            #lint
            const _: () = {
                #[#support::linkme::distributed_slice(#support::LINKED)]
                #[linkme(crate = #support::linkme)]
                static ENTRY: fn() -> #support::KindEntry = #support::KindEntry::of::<#type_>;
            };
        }
    });
    quote! {
        #errors
        #item
        #kind_impls
        #cfgs
        impl #support::Hosted for #type_ {
            const VERSION: &'static str = #version;
            const VOLATILE: bool = #is_volatile;
            const MOVABLE: bool = #is_movable;
            const FORMS: #support::Forms<Self> = {
                #[allow(unused_imports, reason = "for types that name no schema")]
                use #support::NoSchema as _;
                <#support::FormsOf<#type_>>::FORMS
            };
            #streams
            fn messages() -> ::std::vec::Vec<#support::MessageEntry> {
                ::std::vec![#(#entries),*]
            }
            fn shape(types: &mut #support::schema::Types) -> #support::schema::Form {
                #[allow(unused_imports, reason = "where the actor says what it looks like")]
                use #support::schema::Unknown as _;
                #support::schema::Describe::<#type_>::default().form(types, #text)
            }
        }
        #listing
    }
}

fn read(tokens: TokenStream, errors: &mut Errors) -> Keys {
    let mut keys = Keys::default();
    let mut seen = Vec::new();
    read_keys(tokens, KEYS, &mut seen, errors, |key, input, errors| {
        match key {
            "kind" => keys.kind = Some(keys::text(input)?),
            "messages" => keys.messages = Some(keys::messages(input, errors)?),
            "version" => keys.version = Some(keys::text(input)?),
            "volatile" => keys.is_volatile = true,
            "immovable" => keys.is_immovable = true,
            "streams" => keys.streams = keys::texts(input, errors)?,
            "unlisted" => keys.is_unlisted = true,
            _ => keys.quark = Some(keys::path(input)?),
        }
        Ok(())
    });
    require(&[KIND, MESSAGES], &seen, errors);
    if let Some(kind) = &keys.kind {
        names::check_kind(kind, errors);
    }
    if let Some(version) = &keys.version {
        names::check_version(version, errors);
    }
    keys
}
