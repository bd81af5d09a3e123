//! The link-time registry: what a program can host is what it was linked with (R74 to R76).

use quark::{
    actor::{
        Accepts, Hosted, Kind, MessageEntry,
        registry::{Registry, RegistryError},
    },
    prelude::*,
};

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = usize)]
struct Add;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.clear")]
struct Clear;

#[derive(Default, Serialize, Deserialize)]
struct Cart(usize);

#[actor(kind = "cart", messages(Add, Clear))]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Handler<Clear> for Cart {
    async fn handle(&mut self, _: Clear, _: &mut Context<Self>) {
        self.0 = 0;
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Session;

#[actor(kind = "session", messages(Clear), version = "3.1.4-beta.1", volatile)]
impl Actor for Session {}

impl Handler<Clear> for Session {
    async fn handle(&mut self, _: Clear, _: &mut Context<Self>) {}
}

/// The next version of the cart, in the same program.
mod next {
    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    pub(crate) struct Cart(usize);

    #[actor(kind = "cart", messages(Add), version = "2.0.0", unlisted)]
    impl Actor for Cart {}

    impl Handler<Add> for Cart {
        async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> usize {
            self.0
        }
    }
}

/// A kind that was not declared by the macro, which would refuse it.
macro_rules! by_hand {
    ($name:ident, $kind:literal, $version:literal $(, $message:ty)?) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        impl Kind for $name {
            const KIND: &'static str = $kind;
        }

        impl Hosted for $name {
            const VERSION: &'static str = $version;
            const VOLATILE: bool = false;
            const MOVABLE: bool = true;

            fn messages() -> Vec<MessageEntry> {
                vec![$(MessageEntry::of::<Self, $message>())?]
            }
        }

        impl Actor for $name {}
    };
}

/// A message that the macro would refuse.
#[derive(Serialize, Deserialize)]
struct OfQuark;

impl Message for OfQuark {
    type Reply = ();
    const NAME: &'static str = "quark.settled";
}

by_hand!(WithoutKind, "", "1.0.0");
by_hand!(WithoutVersion, "by-hand", "v1");
by_hand!(WithQuarksMessage, "deaf", "1.0.0", OfQuark);

impl Accepts<OfQuark> for WithQuarksMessage {}

impl Handler<OfQuark> for WithQuarksMessage {
    async fn handle(&mut self, _: OfQuark, _: &mut Context<Self>) {}
}

fn linked() -> Registry {
    Registry::linked().expect("no two kinds are equal")
}

fn kinds(registry: &Registry) -> Vec<&str> {
    registry.kinds().map(|kind| kind.entry.kind()).collect()
}

/// R74
#[test]
fn every_actor_of_the_program_is_linked_with_kind_version_and_messages() {
    let registry = linked();
    assert_eq!(kinds(&registry), ["cart", "session"]);

    let cart = registry.kind("cart").expect("linked");
    assert_eq!(
        cart.version.to_string(),
        env!("CARGO_PKG_VERSION"),
        "its crate's, unless given"
    );
    assert_eq!(cart.entry.type_name(), "registry::Cart");
    let names: Vec<_> = cart.entry.messages().iter().map(|message| message.name()).collect();
    assert_eq!(names, ["cart.add", "cart.clear"]);
    assert!(
        cart.entry
            .message("cart.add")
            .is_some_and(|entry| entry.name() == "cart.add")
    );
    assert!(cart.entry.message("cart.remove").is_none());
}

/// R74
#[test]
fn an_unknown_kind_is_none() {
    assert!(linked().kind("Cart").is_none());
    assert!(Registry::empty().is_empty());
}

/// R75
#[test]
fn a_given_version_overrides_that_of_the_crate() {
    let registry = linked();
    let session = registry.kind("session").expect("linked");
    assert_eq!(session.version.to_string(), "3.1.4-beta.1");
}

#[test]
fn an_actor_is_volatile_if_it_says_so() {
    assert_eq!([Session::VOLATILE, Cart::VOLATILE], [true, false]);
}

/// R75
#[test]
fn an_unlisted_actor_is_hosted_if_it_is_registered() {
    let mut registry = Registry::empty();
    registry.register::<next::Cart>().expect("the only cart");
    let cart = registry.kind("cart").expect("registered");
    assert_eq!(cart.version.to_string(), "2.0.0");
}

/// R75
#[test]
fn registering_a_type_again_changes_nothing() {
    let mut registry = linked();
    registry.register::<Cart>().expect("the same type");
    assert_eq!(kinds(&registry), ["cart", "session"]);
}

/// R76
#[test]
fn two_types_of_one_kind_are_refused_and_both_named() {
    let error = linked().register::<next::Cart>().expect_err("there is a cart");
    assert_eq!(
        error.to_string(),
        format!(
            "the kind \"cart\" is declared by registry::Cart {} and by registry::next::Cart 2.0.0; give one of them another kind",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn a_kind_or_version_that_the_macro_would_refuse_is_refused() {
    let mut registry = Registry::empty();
    let kind = registry.register::<WithoutKind>().expect_err("no kind");
    assert!(matches!(kind, RegistryError::Name(_)), "{kind}");
    let version = registry.register::<WithoutVersion>().expect_err("no semver");
    assert!(matches!(version, RegistryError::Version { .. }), "{version}");
    assert!(version.to_string().contains("registry::WithoutVersion"), "{version}");
}

/// Its silo would take it for one of its own, and no handler would ever see it.
#[test]
fn a_message_by_a_name_of_quarks_own_is_refused() {
    let error = Registry::empty()
        .register::<WithQuarksMessage>()
        .expect_err("nobody would get it");
    assert_eq!(
        error.to_string(),
        "the message \"quark.settled\" of \"deaf\" (registry::WithQuarksMessage) cannot be used: names that begin with \"quark.\" \
         are those of Quark's own messages, which come to no handler; give it a name that begins otherwise"
    );
}

/// R75
#[test]
fn a_selection_keeps_no_other_kind() {
    let mut registry = linked();
    registry.select(&["session".to_owned()]).expect("linked");
    assert_eq!(kinds(&registry), ["session"]);
}

#[test]
fn selecting_a_kind_that_is_not_linked_names_the_cure() {
    let mut registry = linked();
    let error = registry.select(&["crat".to_owned()]).expect_err("a slip of the pen");
    assert_eq!(
        error.to_string(),
        "the kind \"crat\" is not linked into this program (it has: cart, session); name its crate in a `use my_actors as _;`"
    );
    assert_eq!(kinds(&registry), ["cart", "session"], "and nothing is changed");
}
