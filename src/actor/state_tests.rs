//! The laws of schemas: who reads what, who writes what, and what is refused.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What was before any schema had a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CartV0 {
    skus: Vec<String>,
}

impl State for CartV0 {
    const SCHEMA: &'static str = "cart.0";
    const UNNAMED: bool = true;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CartV1 {
    lines: BTreeMap<String, u32>,
}

impl State for CartV1 {
    const SCHEMA: &'static str = "cart.1";
    const OLDER: &'static [Older<Self>] = &[Older::<Self>::read::<CartV0>()];
    const BACK: Option<Back<Self>> = Some(Back::<Self>::to::<CartV0>());
}

impl From<CartV0> for CartV1 {
    fn from(old: CartV0) -> Self {
        let mut lines = BTreeMap::new();
        for sku in old.skus {
            *lines.entry(sku).or_default() += 1;
        }
        Self { lines }
    }
}

impl From<&CartV1> for CartV0 {
    fn from(cart: &CartV1) -> Self {
        let each = |(sku, count): (&String, &u32)| std::iter::repeat_n(sku.clone(), *count as usize);
        Self {
            skus: cart.lines.iter().flat_map(each).collect(),
        }
    }
}

/// `cart.1` as a later release of it writes it: with a field more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CartV1b {
    lines: BTreeMap<String, u32>,
    #[serde(default)]
    coupon: Option<String>,
}

impl State for CartV1b {
    const SCHEMA: &'static str = "cart.1";
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CartV2 {
    lines: Vec<(String, u64)>,
}

impl State for CartV2 {
    const SCHEMA: &'static str = "cart.2";
    const OLDER: &'static [Older<Self>] = &[Older::<Self>::read::<CartV1>()];
    const BACK: Option<Back<Self>> = Some(Back::<Self>::to::<CartV1>());
}

impl From<CartV1> for CartV2 {
    fn from(old: CartV1) -> Self {
        let lines = old.lines.into_iter().map(|(sku, count)| (sku, u64::from(count)));
        Self { lines: lines.collect() }
    }
}

impl From<&CartV2> for CartV1 {
    fn from(cart: &CartV2) -> Self {
        let lines = cart.lines.iter();
        Self {
            lines: lines
                .map(|(sku, count)| (sku.clone(), u32::try_from(*count).unwrap_or(u32::MAX)))
                .collect(),
        }
    }
}

fn written<S: State>(state: &S, back: bool) -> ToWrite {
    write(&Forms::<S>::of_state(), state, back, None).expect("is written")
}

fn read_of<S: State>(to_write: &ToWrite) -> Result<Read<S>, StateError> {
    let written = Written {
        schema: to_write.schema.map(Cow::Borrowed),
        document: &to_write.document,
    };
    read(&Forms::<S>::of_state(), &written)
}

fn lines() -> impl Strategy<Value = BTreeMap<String, u32>> {
    proptest::collection::btree_map("[a-z]{1,4}", 1..5_u32, 0..5)
}

/// The bytes of each schema as it was released. They never change: they are what clusters have stored.
const GOLDEN: [(Option<&str>, &[u8]); 3] = [
    (None, b"\x81\xa4skus\x93\xa1a\xa1b\xa1b"),
    (Some("cart.1"), b"\x81\xa5lines\x82\xa1a\x01\xa1b\x02"),
    (Some("cart.2"), b"\x81\xa5lines\x92\x92\xa1a\x01\x92\xa1b\x02"),
];

/// R140
#[test]
fn golden_bytes_of_every_released_schema_are_read() {
    let cart = CartV2 {
        lines: vec![("a".into(), 1), ("b".into(), 2)],
    };
    for (schema, document) in GOLDEN {
        let document = Bytes::from_static(document);
        let read: Read<CartV2> = read_of(&ToWrite { schema, document }).expect("is read");
        assert_eq!(read.value, cart, "{schema:?}");
    }
    let now = written(&cart, false);
    assert_eq!((now.schema, &now.document[..]), (GOLDEN[2].0, GOLDEN[2].1));
    let back = written(&cart, true);
    assert_eq!((back.schema, &back.document[..]), (GOLDEN[1].0, GOLDEN[1].1));
    let back = written(&CartV1::from(&cart), true);
    assert_eq!((back.schema, &back.document[..]), (GOLDEN[0].0, GOLDEN[0].1));
}

proptest! {
    /// R140
    #[test]
    fn a_new_version_reads_all_that_older_ones_wrote(lines in lines()) {
        let old = CartV1 { lines };
        prop_assert_eq!(read_of::<CartV2>(&written(&old, false)).expect("is read").value, CartV2::from(old.clone()));
        prop_assert_eq!(read_of::<CartV2>(&written(&CartV0::from(&old), false)).expect("is read").value, CartV2::from(old));
    }

    /// R140
    #[test]
    fn an_old_version_reads_what_a_new_one_writes_back_and_so_does_the_new_one(lines in lines()) {
        let new = CartV2::from(CartV1 { lines });
        let back = written(&new, true);
        prop_assert_eq!(read_of::<CartV1>(&back).expect("is read").value, CartV1::from(&new));
        prop_assert_eq!(read_of::<CartV2>(&back).expect("is read").value, new);
    }

    #[test]
    fn unknown_fields_survive_an_old_versions_read_modify_write(lines in lines(), coupon: Option<String>) {
        let later = CartV1b { lines, coupon };
        // By the version that knows `cart.1` without it, and by the next one while it writes back.
        let read = read_of::<CartV1>(&written(&later, false)).expect("is read");
        let forms = Forms::<CartV1>::of_state();
        let again = write(&forms, &read.value, false, Some((read.schema, &read.kept))).expect("is written");
        prop_assert_eq!(&read_of::<CartV1b>(&again).expect("is read").value, &later);
        let read = read_of::<CartV2>(&written(&later, false)).expect("is read");
        let forms = Forms::<CartV2>::of_state();
        let again = write(&forms, &read.value, true, Some((read.schema, &read.kept))).expect("is written");
        prop_assert_eq!(read_of::<CartV1b>(&again).expect("is read").value, later);
        // What belongs to another schema is not put into this one.
        let own = write(&forms, &read.value, false, Some((read.schema, &read.kept))).expect("is written");
        prop_assert_eq!(own.document, written(&read.value, false).document);
    }
}

/// R98
#[test]
fn what_is_not_known_is_refused_with_the_schema_found_and_those_wanted() {
    let new = written(&CartV2::default(), false);
    let refused = read_of::<CartV1>(&new).expect_err("not known").to_string();
    for part in ["\"cart.2\"", "cart.1, cart.0", "left as it was"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let without = Written {
        schema: None,
        document: &new.document,
    };
    let refused = read(&Forms::<CartV1b>::of_state(), &without).expect_err("nameless");
    assert!(matches!(refused, StateError::Schema { .. }), "{refused}");
    let named = Written {
        schema: Some("cart.1".into()),
        document: &new.document,
    };
    let refused = read(&Forms::<CartV0>::PLAIN, &named).expect_err("a type that names none");
    assert!(refused.to_string().contains("without a name"), "{refused}");
    let misfit = read(&Forms::<CartV1>::of_state(), &named).expect_err("another document");
    assert!(matches!(misfit, StateError::Unreadable { .. }), "{misfit}");
}

/// Each says that it reads the other.
#[derive(Debug, Serialize, Deserialize)]
struct Hen;
#[derive(Debug, Serialize, Deserialize)]
struct Egg;

impl State for Hen {
    const SCHEMA: &'static str = "hen";
    const OLDER: &'static [Older<Self>] = &[Older::<Self>::read::<Egg>()];
}

impl State for Egg {
    const SCHEMA: &'static str = "egg";
    const OLDER: &'static [Older<Self>] = &[Older::<Self>::read::<Hen>()];
}

impl From<Egg> for Hen {
    fn from(_: Egg) -> Self {
        Self
    }
}

impl From<Hen> for Egg {
    fn from(_: Hen) -> Self {
        Self
    }
}

#[test]
fn a_circle_of_schemas_ends() {
    let egg = written(&Egg, false);
    assert!(read_of::<Hen>(&egg).is_ok());
    let unknown = ToWrite {
        schema: Some("dinosaur"),
        document: egg.document,
    };
    let refused = read_of::<Hen>(&unknown).expect_err("not known").to_string();
    assert!(refused.contains("reads hen, egg;"), "{refused}");
}
