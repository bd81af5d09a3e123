//! Schemas: what the macros say of types, and that what is called compatible is read both ways.

use quark::{
    prelude::*,
    schema::{Breaks, Shape, compare, describe},
    wire,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The first version of a cart.
mod first {
    use super::*;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Shape)]
    pub(super) struct Cart {
        pub(super) items: Vec<Item>,
        pub(super) coupon: Option<String>,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Shape)]
    pub(super) struct Item {
        pub(super) sku: String,
        pub(super) quantity: u32,
        pub(super) state: State,
    }

    #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Shape)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum State {
        #[default]
        InStock,
        Ordered(u8),
    }

    pub(super) fn cart() -> Cart {
        let item = |sku: &str, state| Item {
            sku: sku.into(),
            quantity: 3,
            state,
        };
        Cart {
            items: vec![item("a", State::InStock), item("b", State::Ordered(7))],
            coupon: None,
        }
    }
}

/// A version of the cart's item with one change.
macro_rules! changed {
    ($($name:ident { $(#[$of:meta])* struct { $($fields:tt)* } $($more:item)* })*) => { $(
        mod $name {
            #[allow(unused_imports, reason = "not by every change")]
            use super::{*, first::State};

            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Shape)]
            pub(super) struct Cart {
                pub(super) items: Vec<Item>,
                pub(super) coupon: Option<String>,
            }

            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Shape)]
            $(#[$of])*
            pub(super) struct Item { $($fields)* }

            $($more)*
        }
    )* };
}

changed! {
    a_field_more_with_default { struct { sku: String, quantity: u32, state: State, #[serde(default)] gift: bool } }
    a_field_more_without_default { struct { sku: String, quantity: u32, state: State, gift: bool } }
    an_option_more { struct { sku: String, quantity: u32, state: State, note: Option<String> } }
    a_field_less { struct { sku: String, state: State } }
    a_field_renamed_with_alias { struct { #[serde(alias = "sku")] article: String, quantity: u32, state: State } }
    a_wider_number { struct { sku: String, quantity: u64, state: State } }
    another_type { struct { sku: String, quantity: String, state: State } }
    a_field_that_may_be_missing { struct { sku: String, #[serde(default, skip_serializing_if = "is_zero")] quantity: u32, state: State } fn is_zero(n: &u32) -> bool { *n == 0 } }
    closed { #[serde(deny_unknown_fields)] struct { sku: String, quantity: u32, state: State } }
    an_array_of_bytes { struct { sku: String, quantity: u32, state: (u8, u8) } }
    a_variant_more {
        struct { sku: String, quantity: u32, state: More }
        #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Shape)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum More { #[default] InStock, Ordered(u8), Lost { by: u8 } }
    }
    a_variant_for_the_rest {
        struct { sku: String, quantity: u32, state: Rest }
        #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Shape)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Rest { InStock, Ordered(u8), #[default] #[serde(other)] Unknown }
    }
    a_newtype_in_place { struct { sku: Sku, quantity: u32, state: State }
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Shape)]
        pub(super) struct Sku(String);
    }
}

/// What two versions cannot read of each other, by how many; and whether that is so with values of both.
fn both<A, B>(old: &A, new: &B) -> (usize, usize)
where
    A: Shape + Serialize + DeserializeOwned,
    B: Shape + Serialize + DeserializeOwned,
{
    let breaks = compare(&describe::<A>(), &describe::<B>());
    if breaks.new_reads_old.is_empty() {
        wire::decode::<B>(&wire::encode(old).expect("written")).expect("it was called readable");
    }
    if breaks.old_reads_new.is_empty() {
        wire::decode::<A>(&wire::encode(new).expect("written")).expect("it was called readable");
    }
    (breaks.new_reads_old.len(), breaks.old_reads_new.len())
}

#[test]
fn what_is_called_compatible_is_read_both_ways() {
    macro_rules! table {
        ($($name:ident: $expected:expr,)*) => { $(
            let new = $name::Cart { items: vec![Default::default(); 2], coupon: Some("c".into()) };
            assert_eq!(both(&first::cart(), &new), $expected, stringify!($name));
        )* };
    }
    table! {
        a_field_more_with_default: (0, 0),
        a_field_more_without_default: (1, 0),
        an_option_more: (0, 0),
        a_field_less: (0, 1),
        a_field_renamed_with_alias: (0, 1),
        a_wider_number: (0, 1),
        another_type: (1, 1),
        a_field_that_may_be_missing: (0, 1),
        closed: (0, 0),
        an_array_of_bytes: (1, 1),
        a_variant_more: (0, 1),
        a_newtype_in_place: (0, 0),
    }
    // `other` reads what it does not know, but only as long as it is a word.
    let rest = a_variant_for_the_rest::Cart::default();
    assert_eq!(both(&first::cart(), &rest), (0, 1));
}

#[test]
fn a_schema_is_compatible_with_itself() {
    assert!(compare(&describe::<first::Cart>(), &describe::<first::Cart>()).is_empty());
}

#[test]
fn a_break_says_where_what_and_the_cure() {
    let breaks: Breaks = compare(
        &describe::<first::Cart>(),
        &describe::<a_field_more_without_default::Cart>(),
    );
    assert_eq!(
        breaks.new_reads_old[0].to_string(),
        "Cart.items[].gift: the old version does not write it; give it #[serde(default)]"
    );
    let breaks = compare(&describe::<first::Cart>(), &describe::<another_type::Cart>());
    assert_eq!(
        breaks.new_reads_old[0].to_string(),
        "Cart.items[].quantity: it was u32 and is text; take a new field, and keep the old one beside it"
    );
}

#[test]
fn the_hash_is_of_the_canonical_text_alone() {
    let schema = describe::<first::Cart>();
    assert_eq!(
        schema.canonical(),
        "Cart\nCart = { items: [Item], coupon?: text? }\nItem = { sku: text, quantity: u32, state: State }\n\
         State = in_stock | ordered u8"
    );
    // Written down: another program, platform or version of Quark must come to the same.
    assert_eq!(schema.hash(), describe::<first::Cart>().hash());
    assert_ne!(schema.hash(), describe::<closed::Cart>().hash());
}

/// A type may hold itself, two types may have one name, and one that says nothing is known by its name.
#[test]
fn odd_types_are_described() {
    mod other {
        use super::*;
        #[derive(Serialize, Deserialize, Shape)]
        pub(super) struct Item {
            pub(super) price: f64,
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Silent;

    #[derive(Serialize, Deserialize, Shape)]
    #[serde(rename_all = "camelCase", tag = "kind")]
    enum Tree {
        Leaf {
            first_value: first::Item,
        },
        NodeOf {
            left_side: Box<Tree>,
            by_name: BTreeMap<String, other::Item>,
        },
        Silent {
            what: Vec<Silent>,
            #[serde(skip)]
            _unseen: u8,
        },
    }

    assert_eq!(
        describe::<Tree>()
            .canonical()
            .replace("Item = { sku: text, quantity: u32, state: State }\n", ""),
        "Tree\nItem#2 = { price: f64 }\nState = in_stock | ordered u8\n\
         Tree = (tag = \"kind\") leaf { first_value: Item } | nodeOf { left_side: Tree, by_name: {text: Item#2} } | \
         silent { what: <Vec<Silent>> }"
    );
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.put", reply = usize)]
struct Put {
    #[serde(default)]
    item: first::Item,
}

#[test]
fn messages_say_what_they_look_like() {
    assert!(describe::<Put>().canonical().starts_with("Put\nItem = { sku: text"));
}
