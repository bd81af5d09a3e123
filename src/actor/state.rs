//! The schemas of a state: which one is written, which others are read, and what becomes of what no one reads.

use crate::{
    schema::STATE,
    wire::{self, DecodeError, EncodeError, Kept},
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeSet, fmt, marker::PhantomData};

/// A state whose schema has a name, so that a version that does not know it refuses it, and a newer one reads the older.
///
/// Fields may come and go under one name, as long as both versions read each other (`#[serde(default)]`); a version keeps the fields
/// that it does not know. What cannot be read so is a new schema, with a name of its own, that says how to read the older one:
///
/// ```
/// use quark::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize, State)]
/// #[state(schema = "cart.1")]
/// struct CartV1 {
///     skus: Vec<String>,
/// }
///
/// /// What version 2 has in its place.
/// #[derive(Default, Serialize, Deserialize, State)]
/// #[state(schema = "cart.2", from(CartV1), back = CartV1)]
/// struct Cart {
///     lines: Vec<(String, u32)>,
/// }
///
/// impl From<CartV1> for Cart {
///     fn from(old: CartV1) -> Self {
///         Self { lines: old.skus.into_iter().map(|sku| (sku, 1)).collect() }
///     }
/// }
///
/// /// Until the rollout is finalized.
/// impl From<&Cart> for CartV1 {
///     fn from(cart: &Cart) -> Self {
///         Self { skus: cart.lines.iter().map(|(sku, _)| sku.clone()).collect() }
///     }
/// }
/// assert_eq!(Cart::SCHEMA, "cart.2");
/// ```
///
/// Derived; see the macro [`State`](quark_macros::State).
pub trait State: Serialize + DeserializeOwned + 'static {
    /// The stable name of the schema.
    const SCHEMA: &'static str;

    /// Whether what was written without a name is of this schema; it is written without one then, as before.
    const UNNAMED: bool = false;

    /// The older schemas that it reads.
    const OLDER: &'static [Older<Self>] = &[];

    /// The older schema that is written while silos of an older version may read it.
    const BACK: Option<Back<Self>> = None;
}

/// Reads what was written by a schema, if that is one that it knows.
type ReadWritten<S> = fn(&Written<'_>, u32) -> Option<Result<Read<S>, DecodeError>>;

/// An older schema that a state reads, with all that it reads itself.
pub struct Older<S> {
    read: ReadWritten<S>,
    names: fn(&mut Vec<&'static str>, u32),
}

impl<S> Older<S> {
    /// Reads what `O` reads.
    pub const fn read<O: State>() -> Self
    where
        S: From<O>,
    {
        Self {
            read: |written, depth| {
                let read = read_as(&Forms::<O>::of_state(), written, depth + 1)?;
                Some(read.map(|read| Read {
                    value: S::from(read.value),
                    kept: read.kept,
                    schema: read.schema,
                }))
            },
            names: |names, depth| Forms::<O>::of_state().add_names(names, depth + 1),
        }
    }
}

/// The older schema that a state is written in while silos of an older version may read it.
pub struct Back<S> {
    schema: &'static str,
    is_unnamed: bool,
    write: fn(&S) -> Result<Bytes, EncodeError>,
}

impl<S> Back<S> {
    /// Written as an `O`.
    pub const fn to<O: State + for<'a> From<&'a S>>() -> Self {
        Self {
            schema: O::SCHEMA,
            is_unnamed: O::UNNAMED,
            write: |state| wire::encode(&O::from(state)),
        }
    }
}

/// How a type is written and read, with or without names of schemas.
pub struct Forms<S: 'static> {
    schema: &'static str,
    is_unnamed: bool,
    older: &'static [Older<S>],
    back: Option<Back<S>>,
}

/// More schemas behind each other than any state has: a circle of them.
const DEEPEST: u32 = 64;

impl<S: 'static> Forms<S> {
    /// Of a type that names no schema.
    pub const PLAIN: Self = Self {
        schema: "",
        is_unnamed: true,
        older: &[],
        back: None,
    };

    /// Of a [`State`].
    pub const fn of_state() -> Self
    where
        S: State,
    {
        Self {
            schema: S::SCHEMA,
            is_unnamed: S::UNNAMED,
            older: S::OLDER,
            back: S::BACK,
        }
    }

    /// Whether it has an older form to be written.
    pub(super) fn has_back(&self) -> bool {
        self.back.is_some()
    }

    fn is_own(&self, schema: Option<&str>) -> bool {
        match schema {
            None => self.is_unnamed,
            Some(schema) => !self.schema.is_empty() && schema == self.schema,
        }
    }

    fn add_names(&self, names: &mut Vec<&'static str>, depth: u32) {
        if depth > DEEPEST {
            return;
        }
        let own = (!self.schema.is_empty()).then_some(self.schema);
        for name in own.into_iter().chain(self.is_unnamed.then_some(NO_NAME)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for older in self.older {
            (older.names)(names, depth);
        }
    }

    /// The schemas that are read beside the one that is written, and the older one that is written while silos of an older version
    /// may read it, if there is one. By their names; one without a name is called [`STATE`].
    pub(super) fn others(&self) -> (BTreeSet<String>, Option<String>) {
        let mut names = Vec::new();
        self.add_names(&mut names, 0);
        let read = (names.into_iter()).map(|name| if name == NO_NAME { STATE } else { name });
        let read = read.filter(|name| *name != self.written()).map(str::to_owned).collect();
        let back = (self.back.as_ref()).map(|back| if back.is_unnamed { STATE } else { back.schema });
        (read, back.map(str::to_owned))
    }

    /// The name of the schema that is written; [`STATE`] if that is without one.
    pub(super) const fn written(&self) -> &'static str {
        if self.is_unnamed { STATE } else { self.schema }
    }

    /// The schemas that are read, the own one first, for texts.
    fn wanted(&self) -> String {
        let mut names = Vec::new();
        self.add_names(&mut names, 0);
        names.join(", ")
    }
}

/// What a schema without a name is called in texts.
const NO_NAME: &str = "without a name";

/// A document as it was found.
#[derive(Clone, Debug)]
pub struct Written<'a> {
    /// The name of its schema; `None` if it was written without one.
    pub schema: Option<Cow<'a, str>>,
    /// Named MessagePack.
    pub document: &'a [u8],
}

/// A state as it was read.
#[derive(Debug)]
pub struct Read<S> {
    /// The state.
    pub value: S,
    /// What stood in the document and is not known.
    pub kept: Kept,
    /// The name of the schema that it was read as.
    pub schema: &'static str,
}

/// Why a state is not read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Its schema is not known here.
    #[error(
        "its schema is {found:?}, and this version reads {wanted}; bring the actor up on a version that knows it, or say how to read \
         it with #[state(from(...))]; the state is left as it was"
    )]
    Schema {
        /// The schema found.
        found: String,
        /// Those that are read here.
        wanted: String,
    },
    /// It is not what its schema says.
    #[error("its schema is {schema:?}, but it cannot be read as that: {source}; the state is left as it was")]
    Unreadable {
        /// The schema found.
        schema: String,
        /// Why.
        source: DecodeError,
    },
    /// It was written by a newer Quark, or is damaged.
    #[error("{why}; the state is left as it was")]
    Layout {
        /// What is wrong with it.
        why: String,
    },
}

/// Reads a state by the schema that it was written with.
///
/// # Errors
/// If the schema is not known, or the document does not fit it.
pub(super) fn read<S: DeserializeOwned + 'static>(
    forms: &Forms<S>,
    written: &Written<'_>,
) -> Result<Read<S>, StateError> {
    let found = || written.schema.as_deref().unwrap_or(NO_NAME).to_owned();
    match read_as(forms, written, 0) {
        Some(Ok(read)) => Ok(read),
        Some(Err(source)) => Err(StateError::Unreadable {
            schema: found(),
            source,
        }),
        None => Err(StateError::Schema {
            found: found(),
            wanted: forms.wanted(),
        }),
    }
}

fn read_as<S: DeserializeOwned + 'static>(
    forms: &Forms<S>,
    written: &Written<'_>,
    depth: u32,
) -> Option<Result<Read<S>, DecodeError>> {
    if forms.is_own(written.schema.as_deref()) {
        let read = wire::decode_keeping(written.document);
        return Some(read.map(|(value, kept)| Read {
            value,
            kept,
            schema: forms.schema,
        }));
    }
    if depth > DEEPEST {
        return None;
    }
    forms.older.iter().find_map(|older| (older.read)(written, depth))
}

/// What a state is written as.
#[derive(Debug)]
pub struct ToWrite {
    /// The name of its schema; `None` if it is written without one.
    pub schema: Option<&'static str>,
    /// Named MessagePack.
    pub document: Bytes,
}

/// Writes a state: in its own schema, or `back` in an older one, if it has one. `kept`: what was not known when it was read, and the
/// schema it was read as.
///
/// # Errors
/// If it cannot be serialized.
pub(super) fn write<S: Serialize + 'static>(
    forms: &Forms<S>,
    state: &S,
    back: bool,
    kept: Option<(&'static str, &Kept)>,
) -> Result<ToWrite, EncodeError> {
    let (schema, is_unnamed, mut document) = match forms.back.as_ref().filter(|_| back) {
        Some(back) => (back.schema, back.is_unnamed, (back.write)(state)?),
        None => (forms.schema, forms.is_unnamed, wire::encode(state)?),
    };
    if let Some((_, kept)) = kept.filter(|(of, _)| *of == schema) {
        document = kept
            .put_back(&document)
            .expect("invariant: what was just encoded can be decoded");
    }
    Ok(ToWrite {
        schema: (!is_unnamed).then_some(schema),
        document,
    })
}

impl<S: 'static> fmt::Debug for Forms<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Forms({})", self.wanted())
    }
}

/// Says what schemas a type has if it names one: for the macros, which do not know whether it does.
#[derive(Debug)]
pub struct FormsOf<S>(PhantomData<S>);

impl<S: State> FormsOf<S> {
    /// Of a type that names its schema; it comes before [`NoSchema::FORMS`].
    pub const FORMS: Forms<S> = Forms::of_state();
}

/// The forms of a type that names no schema.
pub trait NoSchema {
    /// The type.
    type Of: 'static;

    /// Its forms.
    const FORMS: Forms<Self::Of>;
}

impl<S: 'static> NoSchema for FormsOf<S> {
    type Of = S;

    const FORMS: Forms<S> = Forms::PLAIN;
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
