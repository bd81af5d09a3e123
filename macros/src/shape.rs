//! `#[derive(Shape)]`: what a type looks like on the wire, by its fields and serde's attributes.

use crate::{
    errors::Errors,
    output,
    serde_names::{Case, SerdeKeys},
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, GenericParam, Type, parse_quote};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    match syn::parse2::<DeriveInput>(item) {
        Ok(input) => {
            let mut errors = Errors::default();
            let support = output::support(None);
            let shape = shape(&input, &support, &mut errors);
            let errors = errors.into_items();
            quote! { #errors #shape }
        }
        Err(error) => error.into_compile_error(),
    }
}

/// The impl of `Shape` for a type.
pub(crate) fn shape(input: &DeriveInput, support: &TokenStream, errors: &mut Errors) -> TokenStream {
    let type_ = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(parse_quote!(#support::Shape));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let name = type_.to_string();
    let container = container(input, support, errors);
    quote! {
        #[automatically_derived]
        impl #impl_generics #support::Shape for #type_ #type_generics #where_clause {
            fn shape(types: &mut #support::schema::Types) -> #support::schema::Form {
                #[allow(unused_imports, reason = "where every type says what it looks like")]
                use #support::schema::Unknown as _;
                types.named::<Self>(#name, |types| #container)
            }
        }
    }
}

fn container(input: &DeriveInput, support: &TokenStream, errors: &mut Errors) -> TokenStream {
    let keys = SerdeKeys::read(&input.attrs, errors);
    // What is written in its place is what it looks like.
    if let Some(stand_in) = keys.into.as_ref().or(keys.from.as_ref()) {
        let form = form(stand_in, support);
        return quote!(#support::schema::Container::Transparent(#form));
    }
    match &input.data {
        Data::Struct(data) => fields(&data.fields, &keys, support, errors),
        Data::Enum(data) => {
            let variants = data.variants.iter().filter_map(|variant| {
                let own = SerdeKeys::read(&variant.attrs, errors);
                if own.skip || own.skip_deserializing && own.skip_serializing {
                    return None;
                }
                let rust_name = variant.ident.to_string();
                let name = own
                    .rename
                    .clone()
                    .unwrap_or_else(|| keys.rename_all.variant(&rust_name));
                let aliases = &own.aliases;
                let other = own.other;
                let of_fields = SerdeKeys {
                    rename_all: own.rename_all.or(keys.rename_all_fields),
                    closed: keys.closed,
                    ..SerdeKeys::default()
                };
                let holds = fields(&variant.fields, &of_fields, support, errors);
                Some(quote! {
                    #support::schema::Variant {
                        name: #name.into(),
                        aliases: ::std::vec![#(::std::string::String::from(#aliases)),*],
                        holds: #holds,
                        other: #other,
                    }
                })
            });
            let variants: Vec<_> = variants.collect();
            let tagging = &keys.tagging;
            quote! {
                #support::schema::Container::Enum {
                    variants: ::std::vec![#(#variants),*],
                    tagging: #tagging.into(),
                }
            }
        }
        Data::Union(_) => {
            errors.at(
                input.ident.span(),
                "a union has no form on the wire; derive `Shape` for a struct or an enum",
            );
            quote!(#support::schema::Container::Transparent(#support::schema::Form::Unit))
        }
    }
}

fn fields(fields: &Fields, of: &SerdeKeys, support: &TokenStream, errors: &mut Errors) -> TokenStream {
    let closed = of.closed;
    match fields {
        Fields::Unit => quote!(#support::schema::Container::Transparent(#support::schema::Form::Unit)),
        Fields::Unnamed(unnamed) => {
            let kept: Vec<_> = (unnamed.unnamed.iter())
                .filter(|field| !SerdeKeys::read(&field.attrs, errors).skip)
                .map(|field| form(&field.ty, support))
                .collect();
            match &kept[..] {
                [only] if unnamed.unnamed.len() == 1 => quote!(#support::schema::Container::Transparent(#only)),
                kept => quote! {
                    #support::schema::Container::Transparent(#support::schema::Form::Tuple(::std::vec![#(#kept),*]))
                },
            }
        }
        Fields::Named(named) => {
            let mut inner = None;
            let fields: Vec<_> = (named.named.iter())
                .filter_map(|field| {
                    let own = SerdeKeys::read(&field.attrs, errors);
                    if own.skip || own.skip_deserializing && own.skip_serializing {
                        return None;
                    }
                    let rust_name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                    let rust_name = rust_name.trim_start_matches("r#");
                    let name = own.rename.clone().unwrap_or_else(|| of.rename_all.field(rust_name));
                    let name = if own.flatten {
                        format!("(flattened {name})")
                    } else {
                        name
                    };
                    let aliases = &own.aliases;
                    let form = match &own.with {
                        Some(with) => quote!(#support::schema::Form::Opaque(#with.into())),
                        None => form(&field.ty, support),
                    };
                    inner = Some(form.clone());
                    let optional = own.default
                        || of.default
                        || own.skip_deserializing
                        || is_option(&field.ty) && own.with.is_none();
                    let written = match (own.skip_serializing, own.skip_serializing_if) {
                        (true, _) => quote!(Never),
                        (false, true) => quote!(Sometimes),
                        (false, false) => quote!(Always),
                    };
                    Some(quote! {
                        #support::schema::Field {
                            name: #name.into(),
                            aliases: ::std::vec![#(::std::string::String::from(#aliases)),*],
                            form: #form,
                            optional: #optional,
                            written: #support::schema::Written::#written,
                        }
                    })
                })
                .collect();
            match (of.transparent, inner) {
                (true, Some(inner)) => quote!(#support::schema::Container::Transparent(#inner)),
                _ => quote! {
                    #support::schema::Container::Struct {
                        fields: ::std::vec![#(#fields),*],
                        closed: #closed,
                    }
                },
            }
        }
    }
}

/// The form of a type that may not say what it looks like.
fn form(type_: &Type, support: &TokenStream) -> TokenStream {
    let text = output::type_text(type_);
    quote!(#support::schema::Describe::<#type_>::default().form(types, #text))
}

/// As serde sees it: by the last word of the path.
fn is_option(type_: &Type) -> bool {
    match type_ {
        Type::Path(path) => (path.path.segments.last()).is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}

impl Case {
    fn or(self, other: Self) -> Self {
        if self == Self::AsWritten { other } else { self }
    }
}
