//! What stands in the parentheses of a macro: `kind = "cart", messages(Add, Get), volatile`.

use crate::{errors::Errors, output::type_text};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Ident, LitStr, Path, Result, Token, Type,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

/// A key that a macro knows, and how it is written.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
}

/// `kind`.
pub(crate) const KIND: Key = Key {
    name: "kind",
    usage: "kind = \"cart\"",
};
/// `messages`.
pub(crate) const MESSAGES: Key = Key {
    name: "messages",
    usage: "messages(Add, Get)",
};
/// `crate`.
pub(crate) const CRATE: Key = Key {
    name: "crate",
    usage: "crate = path::to::quark",
};

/// Reads all keys, `read` the value of each. Goes on after a mistake at the next comma.
///
/// `seen` holds the keys that were there before, if the macro was written twice.
pub(crate) fn read_keys(
    tokens: TokenStream,
    known: &[Key],
    seen: &mut Vec<String>,
    errors: &mut Errors,
    mut read: impl FnMut(&str, ParseStream<'_>, &mut Errors) -> Result<()>,
) {
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Err(error) = read_key(input, known, seen, errors, &mut read) {
                errors.push(error);
                skip_to_comma(input)?;
            }
            if input.is_empty() {
                break;
            }
            // Without a comma, what comes is probably the next key.
            if let Err(error) = input.parse::<Token![,]>() {
                errors.push(error);
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.push(error);
    }
}

fn read_key(
    input: ParseStream<'_>,
    known: &[Key],
    seen: &mut Vec<String>,
    errors: &mut Errors,
    read: &mut impl FnMut(&str, ParseStream<'_>, &mut Errors) -> Result<()>,
) -> Result<()> {
    let usages = || known.iter().map(|key| format!("`{}`", key.usage)).collect::<Vec<_>>();
    let at = input.span();
    let name = input
        .call(Ident::parse_any)
        .map_err(|_| syn::Error::new(at, format!("expected one of {}", usages().join(", "))))?;
    let text = name.to_string();
    let Some(key) = known.iter().find(|key| key.name == text) else {
        let known = usages().join(", ");
        return Err(syn::Error::new(
            name.span(),
            format!("unknown key `{text}`; the keys are {known}"),
        ));
    };
    if seen.contains(&text) {
        errors.at(name.span(), format!("`{text}` is given twice; remove one"));
    }
    seen.push(text);
    read(key.name, input, errors).map_err(|error| {
        let text = format!("{error}; write `{}`", key.usage);
        syn::Error::new(error.span(), text)
    })
}

/// Reports the keys that are not there.
pub(crate) fn require(required: &[Key], seen: &[String], errors: &mut Errors) {
    for key in required {
        if !seen.iter().any(|seen| seen == key.name) {
            errors.at(
                Span::call_site(),
                format!("`{}` is missing; write `{}`", key.name, key.usage),
            );
        }
    }
}

fn skip_to_comma(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// `= "text"`
pub(crate) fn text(input: ParseStream<'_>) -> Result<LitStr> {
    value(input)
}

/// `= Type`
pub(crate) fn type_(input: ParseStream<'_>) -> Result<Type> {
    value(input)
}

/// `= path`
pub(crate) fn path(input: ParseStream<'_>) -> Result<Path> {
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `("chat", "news")`: at least one namespace, each once.
pub(crate) fn texts(input: ParseStream<'_>, errors: &mut Errors) -> Result<Vec<LitStr>> {
    let at = input.span();
    let list;
    parenthesized!(list in input);
    let texts: Vec<LitStr> = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?
        .into_iter()
        .collect();
    if texts.is_empty() {
        errors.at(at, "the list of namespaces is empty; leave it out");
    }
    for (place, text) in texts.iter().enumerate() {
        let value = text.value();
        if texts[..place].iter().any(|other| other.value() == value) {
            errors.push(syn::Error::new_spanned(
                text,
                format!("{value:?} is listed twice; remove one"),
            ));
        }
        if value.is_empty() || value.contains('/') || value.chars().any(char::is_control) {
            let why = format!("{value:?} is no namespace: it is text without slashes and control characters");
            errors.push(syn::Error::new_spanned(text, why));
        }
    }
    Ok(texts)
}

/// `(Add, Get)`: at least one type, each once.
pub(crate) fn messages(input: ParseStream<'_>, errors: &mut Errors) -> Result<Vec<Type>> {
    let at = input.span();
    let list;
    parenthesized!(list in input);
    let types = Punctuated::<Type, Token![,]>::parse_terminated(&list)?;
    if types.is_empty() {
        errors.at(
            at,
            "the list of messages is empty; an actor is reached by messages only: write `messages(Add, Get)`",
        );
    }
    let mut texts = Vec::new();
    let mut messages = Vec::new();
    for message in types {
        let text = type_text(&message);
        if texts.contains(&text) {
            errors.push(syn::Error::new_spanned(
                &message,
                format!("`{text}` is listed twice; remove one"),
            ));
        } else {
            texts.push(text);
            messages.push(message);
        }
    }
    Ok(messages)
}
