//! Decoding that keeps what the type does not know: a version that reads a newer one's document and writes it again takes no
//! field away.
//!
//! A field is known again by its name and the names around it, so what stands in the elements of a list is not kept: there a
//! type keeps it by itself, in a [`crate::store::Unknown`] under `#[serde(flatten)]`. Nor is what serde buffers before the type sees
//! it (flattened, untagged, internally tagged).

use super::{
    msgpack::{self, DecodeError, MAX_DEPTH},
    shape,
};
use crate::store::Value;
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    sync::Arc,
};

/// The fields of a document that its reader does not know, by where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(BTreeMap<String, Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Value(Value),
    Within(Kept),
}

impl Kept {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, path: &[&str], value: Value) {
        match path {
            [] => {}
            [name] => _ = self.0.insert((*name).to_owned(), Node::Value(value)),
            [name, rest @ ..] => {
                let within = self.0.entry((*name).to_owned());
                if let Node::Within(within) = within.or_insert_with(|| Node::Within(Self::default())) {
                    within.insert(rest, value);
                }
            }
        }
    }

    /// The document with these fields, where it has a place for them and nothing in it.
    ///
    /// # Errors
    /// If `document` is none.
    pub fn put_back(&self, document: &Bytes) -> Result<Bytes, DecodeError> {
        let mut whole: Value = msgpack::decode(document)?;
        self.put_into(&mut whole);
        // What was read from two documents can be written.
        Ok(msgpack::encode(&whole).unwrap_or_else(|_| document.clone()))
    }

    fn put_into(&self, document: &mut Value) {
        let Value::Map(entries) = document else { return };
        for (name, node) in &self.0 {
            let place = (entries.iter_mut()).find(|(key, _)| matches!(key, Value::Text(key) if key == name));
            match (node, place) {
                (Node::Value(value), None) => entries.push((Value::Text(name.clone()), value.clone())),
                (Node::Within(within), Some((_, place))) => within.put_into(place),
                // It is known by now, or its place is gone.
                (Node::Value(_), Some(_)) | (Node::Within(_), None) => {}
            }
        }
    }
}

/// Decodes named MessagePack, and keeps what the type does not know.
///
/// # Errors
/// As [`decode`](super::decode).
pub fn decode_keeping<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Kept), DecodeError> {
    shape::check(bytes)?;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH + 1);
    let kept = RefCell::default();
    let value = T::deserialize(Keeping {
        inner: &mut deserializer,
        at: &At::Root,
        kept: &kept,
    });
    let value = value.map_err(|source| DecodeError::Mismatch {
        type_name: std::any::type_name::<T>(),
        source: Arc::new(source),
    })?;
    Ok((value, kept.into_inner()))
}

/// Where in the document.
enum At<'a, 'de> {
    Root,
    /// In a field, or under a key, of what is at the first.
    Field(&'a At<'a, 'de>, &'de str),
    /// Where no names lead.
    Nameless,
    /// It is a name itself: of a field or a variant.
    Name(&'a Cell<Option<&'de str>>),
}

impl<'de> At<'_, 'de> {
    /// The names that lead there, outermost first.
    fn path(&self) -> Option<Vec<&'de str>> {
        match self {
            Self::Root => Some(Vec::new()),
            Self::Field(of, name) => {
                let mut path = of.path()?;
                path.push(name);
                Some(path)
            }
            Self::Nameless | Self::Name(_) => None,
        }
    }
}

/// What reads, and knows where.
struct Keeping<'a, 'de, T> {
    inner: T,
    at: &'a At<'a, 'de>,
    kept: &'a RefCell<Kept>,
}

impl<'a, 'de, T> Keeping<'a, 'de, T> {
    fn around<U>(&self, inner: U) -> Keeping<'a, 'de, U> {
        Keeping {
            inner,
            at: self.at,
            kept: self.kept,
        }
    }
}

macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*);)*) => { $(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            let visitor = self.around(visitor);
            self.inner.$method($($name,)* visitor)
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Keeping<'_, 'de, D> {
    type Error = D::Error;

    forward! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Some(path) = self.at.path() else {
            return self.inner.deserialize_ignored_any(visitor);
        };
        let value = Value::deserialize(self.inner)?;
        self.kept.borrow_mut().insert(&path, value);
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty);)*) => { $(
        fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Keeping<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<V::Value, E> {
        if let At::Name(name) = self.at {
            name.set(Some(value));
        }
        self.inner.visit_borrowed_str(value)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Keeping {
            inner: seq,
            at: &At::Nameless,
            kept: self.kept,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let entries = Entries {
            map,
            of: self.at,
            kept: self.kept,
            name: None,
        };
        self.inner.visit_map(entries)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.around(data);
        self.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Keeping<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Keeping<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.around(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Entries<'a, 'de, A> {
    map: A,
    of: &'a At<'a, 'de>,
    kept: &'a RefCell<Kept>,
    /// Of the value that comes next.
    name: Option<&'de str>,
}

/// A seed that reads a name, which is noted.
fn named<'a, 'de, S>(seed: S, at: &'a At<'a, 'de>, kept: &'a RefCell<Kept>) -> Keeping<'a, 'de, S> {
    Keeping { inner: seed, at, kept }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let name = Cell::new(None);
        let key = self.map.next_key_seed(named(seed, &At::Name(&name), self.kept));
        self.name = name.get();
        key
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        let field = match self.name {
            Some(name) => At::Field(self.of, name),
            None => At::Nameless,
        };
        self.map.next_value_seed(named(seed, &field, self.kept))
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

struct Variant<'a, 'de, A> {
    inner: A,
    of: &'a At<'a, 'de>,
    kept: &'a RefCell<Kept>,
    name: Option<&'de str>,
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Keeping<'a, 'de, A> {
    type Error = A::Error;
    type Variant = Variant<'a, 'de, A::Variant>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let name = Cell::new(None);
        let (variant, inner) = self.inner.variant_seed(named(seed, &At::Name(&name), self.kept))?;
        let of = Variant {
            inner,
            of: self.at,
            kept: self.kept,
            name: name.get(),
        };
        Ok((variant, of))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Variant<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let at = self.name.map_or(At::Nameless, |name| At::Field(self.of, name));
        self.inner.newtype_variant_seed(named(seed, &at, self.kept))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, named(visitor, &At::Nameless, self.kept))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let at = self.name.map_or(At::Nameless, |name| At::Field(self.of, name));
        self.inner.struct_variant(fields, named(visitor, &at, self.kept))
    }
}

#[cfg(test)]
#[path = "keeping_tests.rs"]
mod tests;
