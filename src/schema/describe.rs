//! How types say what they look like.

use super::{Container, Field, Form, Schema, Written};
use crate::ident::{ActorId, Epoch, SiloId};
use std::{
    any::type_name,
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque},
    marker::PhantomData,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// A type that says what it looks like on the wire. `#[derive(Shape)]` reads the type and its serde attributes.
pub trait Shape {
    /// Its form. Structs and enums are put into `types`, once each.
    fn shape(types: &mut Types) -> Form;
}

/// The schema of a type.
pub fn describe<T: Shape + ?Sized>() -> Schema {
    describe_by(T::shape)
}

/// The schema of what a function describes.
pub fn describe_by(form: impl FnOnce(&mut Types) -> Form) -> Schema {
    let mut types = Types::default();
    let root = form(&mut types);
    types.schema(root)
}

/// The form of a type that does not say what it looks like: its name without the paths, which may change.
pub fn opaque<T: ?Sized>() -> Form {
    let mut name = String::new();
    for part in type_name::<T>().split("::") {
        // A path ends where its last word does: `Vec<a::b::C>` is `Vec<C>`.
        let mut ends = name.char_indices().rev();
        let end = ends.find(|(_, c)| !c.is_alphanumeric() && *c != '_');
        let kept = end.map_or(0, |(at, c)| at + c.len_utf8());
        name.truncate(kept);
        name.push_str(part);
    }
    Form::Opaque(name)
}

/// The structs and enums that were met.
#[derive(Debug, Default)]
pub struct Types {
    /// By the path of the Rust type: its name in the schema.
    names: BTreeMap<&'static str, String>,
    /// `None` while it is being described.
    containers: BTreeMap<String, Option<Container>>,
}

impl Types {
    /// The form of a struct or enum that is called `name`; it is described the first time that it is met, so it may hold itself.
    pub fn named<T: ?Sized>(&mut self, name: &str, describe: impl FnOnce(&mut Self) -> Container) -> Form {
        let path = type_name::<T>();
        if let Some(known) = self.names.get(path) {
            return Form::Named(known.clone());
        }
        // Another type of that name, from elsewhere.
        let several = (2..).map(|n| format!("{name}#{n}"));
        let name = std::iter::once(name.to_owned())
            .chain(several)
            .find(|name| !self.containers.contains_key(name))
            .expect("invariant: there are more numbers than types");
        self.names.insert(path, name.clone());
        self.containers.insert(name.clone(), None);
        let container = describe(self);
        self.containers.insert(name.clone(), Some(container));
        Form::Named(name)
    }

    pub(super) fn schema(self, root: Form) -> Schema {
        let types = self
            .containers
            .into_iter()
            .filter_map(|(name, container)| Some((name, container?)));
        Schema {
            root,
            types: types.collect(),
        }
    }
}

/// Says what a type looks like if it can: for the macros, which do not know whether it does.
#[derive(Debug)]
pub struct Describe<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Default for Describe<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Shape + ?Sized> Describe<T> {
    /// The form of a type that has one; it comes before [`Unknown::form`].
    pub fn form(&self, types: &mut Types, _: &str) -> Form {
        T::shape(types)
    }
}

/// What a type that does not say what it looks like is called.
pub trait Unknown {
    /// The type as its user wrote it.
    fn form(&self, types: &mut Types, text: &str) -> Form;
}

impl<T: ?Sized> Unknown for Describe<T> {
    fn form(&self, _: &mut Types, text: &str) -> Form {
        Form::Opaque(text.to_owned())
    }
}

macro_rules! plain {
    ($($type:ty => $form:expr,)*) => { $(
        impl Shape for $type {
            fn shape(_: &mut Types) -> Form {
                $form
            }
        }
    )* };
}

plain! {
    () => Form::Unit,
    bool => Form::Bool,
    u8 => Form::Unsigned(8),
    u16 => Form::Unsigned(16),
    u32 => Form::Unsigned(32),
    u64 => Form::Unsigned(64),
    u128 => Form::Unsigned(128),
    usize => Form::Unsigned(64),
    i8 => Form::Signed(8),
    i16 => Form::Signed(16),
    i32 => Form::Signed(32),
    i64 => Form::Signed(64),
    i128 => Form::Signed(128),
    isize => Form::Signed(64),
    f32 => Form::Float(32),
    f64 => Form::Float(64),
    char => Form::Char,
    str => Form::Text,
    String => Form::Text,
    PathBuf => Form::Text,
    bytes::Bytes => Form::Bytes,
    serde_bytes::ByteBuf => Form::Bytes,
    semver::Version => Form::Text,
    Epoch => Form::Unsigned(64),
}

macro_rules! same {
    ($($type:ty),*) => { $(
        impl<T: Shape + ?Sized> Shape for $type {
            fn shape(types: &mut Types) -> Form {
                T::shape(types)
            }
        }
    )* };
}

same!(&T, Box<T>, Rc<T>, Arc<T>);

impl<T: Shape + ToOwned + ?Sized> Shape for Cow<'_, T> {
    fn shape(types: &mut Types) -> Form {
        T::shape(types)
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape(types: &mut Types) -> Form {
        Form::Option(Box::new(T::shape(types)))
    }
}

macro_rules! lists {
    ($([$($with:tt)*] $type:ty),*) => { $(
        impl<T: Shape, $($with)*> Shape for $type {
            fn shape(types: &mut Types) -> Form {
                Form::List(Box::new(T::shape(types)))
            }
        }
    )* };
}

lists!([] [T], [] Vec<T>, [] VecDeque<T>, [] LinkedList<T>, [] BTreeSet<T>, [S] HashSet<T, S>);

impl<T: Shape, const N: usize> Shape for [T; N] {
    fn shape(types: &mut Types) -> Form {
        Form::Tuple(vec![T::shape(types); N])
    }
}

macro_rules! maps {
    ($([$($with:tt)*] $type:ty),*) => { $(
        impl<K: Shape, V: Shape, $($with)*> Shape for $type {
            fn shape(types: &mut Types) -> Form {
                let key = K::shape(types);
                Form::Map(Box::new((key, V::shape(types))))
            }
        }
    )* };
}

maps!([] BTreeMap<K, V>, [S] HashMap<K, V, S>);

macro_rules! tuples {
    ($(($($part:ident),+)),*) => { $(
        impl<$($part: Shape),+> Shape for ($($part,)+) {
            fn shape(types: &mut Types) -> Form {
                Form::Tuple(vec![$($part::shape(types)),+])
            }
        }
    )* };
}

tuples!(
    (A),
    (A, B),
    (A, B, C),
    (A, B, C, D),
    (A, B, C, D, E),
    (A, B, C, D, E, F)
);

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    fn shape(types: &mut Types) -> Form {
        types.named::<Self>("Result", |types| {
            let variant = |name: &str, form| super::Variant {
                name: name.to_owned(),
                aliases: Vec::new(),
                holds: Container::Transparent(form),
                other: false,
            };
            let ok = variant("Ok", T::shape(types));
            Container::Enum {
                variants: vec![ok, variant("Err", E::shape(types))],
                tagging: String::new(),
            }
        })
    }
}

/// A struct all of whose fields must be there.
fn record(fields: &[(&str, Form)]) -> Container {
    let field = |(name, form): &(&str, Form)| Field {
        name: (*name).to_owned(),
        aliases: Vec::new(),
        form: form.clone(),
        optional: false,
        written: Written::Always,
    };
    Container::Struct {
        fields: fields.iter().map(field).collect(),
        closed: false,
    }
}

impl Shape for Duration {
    fn shape(types: &mut Types) -> Form {
        types.named::<Self>("Duration", |_| {
            record(&[("secs", Form::Unsigned(64)), ("nanos", Form::Unsigned(32))])
        })
    }
}

impl Shape for ActorId {
    fn shape(types: &mut Types) -> Form {
        types.named::<Self>("ActorId", |_| record(&[("kind", Form::Text), ("key", Form::Text)]))
    }
}

impl Shape for SiloId {
    fn shape(types: &mut Types) -> Form {
        types.named::<Self>("SiloId", |_| {
            record(&[("name", Form::Text), ("incarnation", Form::Unsigned(64))])
        })
    }
}
