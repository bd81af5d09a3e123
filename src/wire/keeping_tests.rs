//! The laws of documents that an older version reads and writes again.

use super::*;
use crate::wire::{decode, encode};
use proptest::{collection::vec, option, prelude::*};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NewAddress {
    street: String,
    #[serde(default)]
    floor: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum NewPlan {
    Free,
    Paid { cents: u64, since: Option<String> },
    Named(NewAddress),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct New {
    tags: BTreeMap<String, Vec<u8>>,
    name: String,
    address: Option<NewAddress>,
    plan: NewPlan,
    places: BTreeMap<String, NewAddress>,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    ratio: f64,
    count: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OldAddress {
    street: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum OldPlan {
    Free,
    Paid { cents: u64 },
    Named(OldAddress),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
    address: Option<OldAddress>,
    plan: OldPlan,
    places: BTreeMap<String, OldAddress>,
}

fn address() -> impl Strategy<Value = NewAddress> {
    (".{0,6}", option::of(any::<i32>())).prop_map(|(street, floor)| NewAddress { street, floor })
}

fn plan() -> impl Strategy<Value = NewPlan> {
    prop_oneof![
        Just(NewPlan::Free),
        (any::<u64>(), option::of(".{0,4}")).prop_map(|(cents, since)| NewPlan::Paid { cents, since }),
        address().prop_map(NewPlan::Named),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let maps = (
        proptest::collection::btree_map(".{0,3}", vec(any::<u8>(), 0..4), 0..3),
        proptest::collection::btree_map("[a-z]{1,3}", address(), 0..3),
    );
    let plain = (vec(any::<u8>(), 0..5), -1.0e9..1.0e9_f64, any::<i64>());
    (maps, ".{0,8}", option::of(address()), plan(), plain).prop_map(
        |((tags, places), name, address, plan, (raw, ratio, count))| New {
            tags,
            name,
            address,
            plan,
            places,
            raw,
            ratio,
            count,
        },
    )
}

proptest! {
    /// R140
    #[test]
    fn unknown_fields_survive_an_old_versions_read_modify_write(mut new in new(), name in ".{0,8}") {
        let (mut old, kept): (Old, Kept) = decode_keeping(&encode(&new).expect("encodes")).expect("is read");
        old.name.clone_from(&name);
        let written = kept.put_back(&encode(&old).expect("encodes")).expect("a document");
        new.name = name;
        prop_assert_eq!(decode::<New>(&written).expect("is read"), new);
    }

    #[test]
    fn what_is_decoded_is_what_plain_decoding_gives(new in new()) {
        let bytes = encode(&new).expect("encodes");
        let (again, kept): (New, Kept) = decode_keeping(&bytes).expect("is read");
        prop_assert_eq!(again, decode::<New>(&bytes).expect("is read"));
        prop_assert!(kept.is_empty());
    }
}

#[test]
fn a_field_whose_place_is_gone_goes_with_it() {
    let new = New {
        tags: BTreeMap::new(),
        name: "n".into(),
        address: Some(NewAddress {
            street: "s".into(),
            floor: Some(3),
        }),
        plan: NewPlan::Paid {
            cents: 1,
            since: Some("today".into()),
        },
        places: BTreeMap::new(),
        raw: vec![1],
        ratio: 0.5,
        count: 1,
    };
    let (mut old, kept): (Old, Kept) = decode_keeping(&encode(&new).expect("encodes")).expect("is read");
    old.address = None;
    old.plan = OldPlan::Free;
    let written = kept.put_back(&encode(&old).expect("encodes")).expect("a document");
    let again: New = decode(&written).expect("is read");
    assert_eq!((again.address, again.plan, again.count), (None, NewPlan::Free, 1));
}

#[test]
fn a_field_that_is_known_by_now_is_not_overwritten() {
    #[derive(Serialize)]
    struct Both {
        name: &'static str,
        address: Option<OldAddress>,
        plan: OldPlan,
        places: BTreeMap<String, OldAddress>,
        count: i64,
    }
    let both = Both {
        name: "n",
        address: None,
        plan: OldPlan::Free,
        places: BTreeMap::new(),
        count: 1,
    };
    let (_, kept): (Old, Kept) = decode_keeping(&encode(&both).expect("encodes")).expect("is read");
    let written = kept.put_back(&encode(&Both { count: 2, ..both }).expect("encodes"));
    #[derive(Deserialize)]
    struct Count {
        count: i64,
    }
    let again: Count = decode(&written.expect("a document")).expect("is read");
    assert_eq!(again.count, 2);
}

#[test]
fn keys_that_are_no_text_and_lists_are_read_as_ever() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Id(String);
    type Nested = (BTreeMap<u8, Vec<OldAddress>>, Vec<(char, Option<()>)>, Id);
    let value: Nested = (
        [(1, vec![OldAddress { street: "s".into() }])].into(),
        vec![('ä', None)],
        Id("i".into()),
    );
    let bytes = encode(&value).expect("encodes");
    let (again, kept): (Nested, Kept) = decode_keeping(&bytes).expect("is read");
    assert_eq!(again, value);
    assert!(kept.is_empty());
}
