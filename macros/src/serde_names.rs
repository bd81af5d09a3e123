//! What serde's attributes say about names and about what may be missing.

use crate::errors::Errors;
use syn::{Attribute, LitStr, Type, meta::ParseNestedMeta};

/// What the `#[serde(...)]` of a type, a variant or a field say, as far as it concerns the wire.
#[derive(Clone, Default)]
pub(crate) struct SerdeKeys {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Case,
    pub(crate) rename_all_fields: Case,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: bool,
    pub(crate) skip: bool,
    pub(crate) skip_serializing: bool,
    pub(crate) skip_deserializing: bool,
    pub(crate) skip_serializing_if: bool,
    pub(crate) flatten: bool,
    pub(crate) closed: bool,
    pub(crate) transparent: bool,
    pub(crate) other: bool,
    /// The function that writes or reads it: what it looks like is not known.
    pub(crate) with: Option<String>,
    /// `tag`, `content` and `untagged`, as they were given.
    pub(crate) tagging: String,
    pub(crate) into: Option<Type>,
    pub(crate) from: Option<Type>,
}

impl SerdeKeys {
    /// Reads the attributes. What serde would refuse is left to serde.
    pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            if let Err(error) = attribute.parse_nested_meta(|meta| keys.key(&meta)) {
                errors.push(error);
            }
        }
        keys
    }

    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "rename" => self.rename = both(meta)?.or(self.rename.take()),
            "rename_all" => self.rename_all = Case::of(both(meta)?.as_deref()),
            "rename_all_fields" => self.rename_all_fields = Case::of(both(meta)?.as_deref()),
            "alias" => self.aliases.push(text(meta)?),
            "default" => {
                self.default = true;
                skip_value(meta)?;
            }
            "skip" => self.skip = true,
            "skip_serializing" => self.skip_serializing = true,
            "skip_deserializing" => self.skip_deserializing = true,
            "skip_serializing_if" => {
                self.skip_serializing_if = true;
                skip_value(meta)?;
            }
            "flatten" => self.flatten = true,
            "deny_unknown_fields" => self.closed = true,
            "transparent" => self.transparent = true,
            "other" => self.other = true,
            "with" | "serialize_with" | "deserialize_with" => self.with = Some(format!("with {}", text(meta)?)),
            "tag" | "content" => self.tagged(&format!("{name} = {:?}", text(meta)?)),
            "untagged" => self.tagged("untagged"),
            "into" => self.into = Some(syn::parse_str(&text(meta)?)?),
            "from" | "try_from" => self.from = Some(syn::parse_str(&text(meta)?)?),
            _ => skip_value(meta)?,
        }
        Ok(())
    }

    fn tagged(&mut self, how: &str) {
        let between = if self.tagging.is_empty() { "" } else { ", " };
        self.tagging = format!("{}{between}{how}", self.tagging);
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<String> {
    Ok(meta.value()?.parse::<LitStr>()?.value())
}

/// `key = "name"`, or `key(serialize = "name", deserialize = "other")`: what is written.
fn both(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<String>> {
    if meta.input.peek(syn::Token![=]) {
        return text(meta).map(Some);
    }
    let mut written = None;
    meta.parse_nested_meta(|part| {
        let name = text(&part)?;
        if part.path.is_ident("serialize") || written.is_none() {
            written = Some(name);
        }
        Ok(())
    })?;
    Ok(written)
}

/// A value, or a list in parentheses, that says nothing about the wire.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|part| skip_value(&part))?;
    }
    Ok(())
}

/// How names are written on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Case {
    #[default]
    AsWritten,
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    /// By serde's word for it; another is refused by serde itself.
    fn of(word: Option<&str>) -> Self {
        match word {
            Some("lowercase") => Self::Lower,
            Some("UPPERCASE") => Self::Upper,
            Some("PascalCase") => Self::Pascal,
            Some("camelCase") => Self::Camel,
            Some("snake_case") => Self::Snake,
            Some("SCREAMING_SNAKE_CASE") => Self::ScreamingSnake,
            Some("kebab-case") => Self::Kebab,
            Some("SCREAMING-KEBAB-CASE") => Self::ScreamingKebab,
            _ => Self::AsWritten,
        }
    }

    /// A variant, which is written in PascalCase.
    pub(crate) fn variant(self, name: &str) -> String {
        let snake = || {
            let mut snake = String::new();
            for (at, character) in name.char_indices() {
                if at > 0 && character.is_uppercase() {
                    snake.push('_');
                }
                snake.push(character.to_ascii_lowercase());
            }
            snake
        };
        match self {
            Self::AsWritten | Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => {
                let mut characters = name.chars();
                let first = characters.next().map(|first| first.to_ascii_lowercase());
                first.into_iter().chain(characters).collect()
            }
            Self::Snake => snake(),
            Self::ScreamingSnake => snake().to_ascii_uppercase(),
            Self::Kebab => snake().replace('_', "-"),
            Self::ScreamingKebab => snake().to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// A field, which is written in snake_case.
    pub(crate) fn field(self, name: &str) -> String {
        let pascal = || {
            let words = name.split('_').filter(|word| !word.is_empty());
            words
                .map(|word| {
                    let mut characters = word.chars();
                    let first = characters.next().map(|first| first.to_ascii_uppercase());
                    first.into_iter().chain(characters).collect::<String>()
                })
                .collect::<String>()
        };
        match self {
            Self::AsWritten | Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => pascal(),
            Self::Camel => Self::Camel.variant(&pascal()),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 8] = [
        "lowercase",
        "UPPERCASE",
        "PascalCase",
        "camelCase",
        "snake_case",
        "SCREAMING_SNAKE_CASE",
        "kebab-case",
        "SCREAMING-KEBAB-CASE",
    ];

    /// The table in serde's own tests of its derive.
    #[test]
    fn names_are_written_as_serde_writes_them() {
        let variants = WORDS.map(|word| Case::of(Some(word)).variant("VeryTasty"));
        let expected = [
            "verytasty",
            "VERYTASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        assert_eq!(variants, expected);
        let fields = WORDS.map(|word| Case::of(Some(word)).field("very_tasty"));
        let expected = [
            "very_tasty",
            "VERY_TASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_does_not_concern_the_wire_is_passed_over() {
        let attribute: Attribute = syn::parse_quote!(
            #[serde(bound(serialize = "T: Copy", deserialize = "T: Copy"), default = "one", crate = "serde", rename(serialize = "a", deserialize = "b"), alias = "c", alias = "d")]
        );
        let mut errors = Errors::default();
        let keys = SerdeKeys::read(&[attribute], &mut errors);
        assert!(!errors.any() && keys.default);
        assert_eq!((keys.rename.as_deref(), keys.aliases.len()), (Some("a"), 2));
    }
}
