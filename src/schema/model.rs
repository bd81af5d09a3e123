//! A schema as a value: forms, and the containers that they name.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use xxhash_rust::xxh3::xxh3_128;

/// What a type looks like on the wire, with all types that it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The form of the type itself.
    pub root: Form,
    /// Its structs and enums, and those of its parts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Container>,
}

/// The form of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Form {
    /// Nothing: `()`, a unit struct.
    Unit,
    /// Yes or no.
    Bool,
    /// A whole number of so many bits, without a sign.
    Unsigned(u8),
    /// A whole number of so many bits, with a sign.
    Signed(u8),
    /// A floating point number of so many bits.
    Float(u8),
    /// One character.
    Char,
    /// Text.
    Text,
    /// Bytes as such.
    Bytes,
    /// A value or nothing.
    Option(Box<Self>),
    /// Any number of values.
    List(Box<Self>),
    /// Any number of keys with their values.
    Map(Box<(Self, Self)>),
    /// So many values in this order.
    Tuple(Vec<Self>),
    /// A struct or an enum of [`Schema::types`].
    Named(String),
    /// A type that does not say what it looks like: two are taken for equal if they are called the same.
    Opaque(String),
}

/// A struct or an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// With named fields.
    Struct {
        /// In the order in which they are written.
        fields: Vec<Field>,
        /// Whether it refuses fields that it does not know (`deny_unknown_fields`).
        #[serde(default, skip_serializing_if = "is_false")]
        closed: bool,
    },
    /// With other names or none: what it holds.
    Transparent(Form),
    /// One of several.
    Enum {
        /// In the order in which they are written.
        variants: Vec<Variant>,
        /// How it is tagged, if not by the name of the variant outside: the arguments of serde's attribute.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tagging: String,
    },
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name on the wire.
    pub name: String,
    /// Further names by which it is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it holds.
    pub form: Form,
    /// Whether it may be missing: it has a default, or is an `Option`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Whether it is written.
    #[serde(default, skip_serializing_if = "Written::is_always")]
    pub written: Written,
}

/// Whether a field is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Yes.
    #[default]
    Always,
    /// Not if it is empty, or the like (`skip_serializing_if`).
    Sometimes,
    /// It is only read.
    Never,
}

impl Written {
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name on the wire.
    pub name: String,
    /// Further names by which it is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it holds.
    pub holds: Container,
    /// Whether it stands for all that is not known (`#[serde(other)]`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub other: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// The hash of a schema's canonical text: XXH3 of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash(u128);

impl Schema {
    /// The hash of [`Schema::canonical`].
    pub fn hash(&self) -> self::Hash {
        self::Hash(xxh3_128(self.canonical().as_bytes()))
    }

    /// The schema as text, the same for the same schema whatever the program and the platform: the form, then every type in the order
    /// of names. Names of types count only where they name each other, fields and variants with all that is known of them.
    pub fn canonical(&self) -> String {
        let mut text = self.root.to_string();
        for (name, container) in &self.types {
            text.push_str(&format!("\n{name} = {container}"));
        }
        text
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("unit"),
            Self::Bool => f.write_str("bool"),
            Self::Unsigned(bits) => write!(f, "u{bits}"),
            Self::Signed(bits) => write!(f, "i{bits}"),
            Self::Float(bits) => write!(f, "f{bits}"),
            Self::Char => f.write_str("char"),
            Self::Text => f.write_str("text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Option(form) => write!(f, "{form}?"),
            Self::List(form) => write!(f, "[{form}]"),
            Self::Map(forms) => write!(f, "{{{}: {}}}", forms.0, forms.1),
            Self::Tuple(forms) => {
                f.write_str("(")?;
                for (at, form) in forms.iter().enumerate() {
                    write!(f, "{}{form}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            Self::Named(name) => f.write_str(name),
            Self::Opaque(name) => write!(f, "<{name}>"),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Struct { fields, closed } => {
                f.write_str(if *closed { "closed {" } else { "{" })?;
                for (at, field) in fields.iter().enumerate() {
                    write!(f, "{}{field}", if at == 0 { " " } else { ", " })?;
                }
                f.write_str(" }")
            }
            Self::Transparent(form) => write!(f, "{form}"),
            Self::Enum { variants, tagging } => {
                if !tagging.is_empty() {
                    write!(f, "({tagging}) ")?;
                }
                for (at, variant) in variants.iter().enumerate() {
                    write!(f, "{}{variant}", if at == 0 { "" } else { " | " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.optional { "?" } else { "" })?;
        names(f, &self.aliases)?;
        let written = match self.written {
            Written::Always => "",
            Written::Sometimes => " (not always written)",
            Written::Never => " (not written)",
        };
        write!(f, ": {}{written}", self.form)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        names(f, &self.aliases)?;
        if self.other {
            f.write_str(" (other)")?;
        }
        match &self.holds {
            Container::Transparent(Form::Unit) => Ok(()),
            holds => write!(f, " {holds}"),
        }
    }
}

fn names(f: &mut fmt::Formatter<'_>, aliases: &[String]) -> fmt::Result {
    aliases.iter().try_for_each(|alias| write!(f, " or {alias}"))
}

impl fmt::Display for self::Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for self::Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<self::Hash> for String {
    fn from(hash: self::Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for self::Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = u128::from_str_radix(&text, 16).ok().filter(|_| is_hash);
        hash.map(Self)
            .ok_or_else(|| format!("{text:?} is no hash of a schema: 32 hexadecimal digits"))
    }
}
