//! The fields of a record that this program does not know: kept, so that a program that writes the record again takes nothing
//! away from those that know more.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use std::{collections::BTreeMap, fmt};

/// Fields of a record that a newer program has put into it, by name; written again as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unknown(BTreeMap<String, Value>);

impl Unknown {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Any value of MessagePack but extensions, which no record has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// As bits, which are equal to themselves.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                (entries.iter()).try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value.to_bits()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        // Lengths are claims: nothing is allocated for them.
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        known: u8,
        nothing: Option<u8>,
        yes: bool,
        large: u64,
        negative: i64,
        half: f64,
        text: String,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        list: Vec<Option<i8>>,
        map: BTreeMap<u8, Vec<String>>,
    }

    #[derive(Serialize, Deserialize)]
    struct Older {
        known: u8,
        #[serde(flatten)]
        unknown: Unknown,
    }

    #[test]
    fn what_an_older_program_writes_again_is_read_whole_by_the_newer() {
        let mut newer = Newer {
            known: 1,
            nothing: None,
            yes: true,
            large: u64::MAX,
            negative: i64::MIN,
            half: -0.5,
            text: "käufer".into(),
            bytes: vec![0, 0xff],
            list: vec![Some(-1), None, Some(1)],
            map: [(7, vec!["a".into()]), (8, Vec::new())].into(),
        };
        let mut older: Older = decode(&encode(&newer).expect("encodes")).expect("is read");
        assert!(!older.unknown.is_empty());
        older.known = 2;
        newer.known = 2;
        let again: Newer = decode(&encode(&older).expect("encodes")).expect("is read");
        assert_eq!(again, newer);
    }

    #[test]
    fn a_record_without_unknown_fields_is_written_as_before() {
        #[derive(Serialize)]
        struct Plain {
            known: u8,
        }
        let plain = encode(&Plain { known: 1 }).expect("encodes");
        let older: Older = decode(&plain).expect("is read");
        assert!(older.unknown.is_empty());
        assert_eq!(encode(&older).expect("encodes"), plain);
    }
}
