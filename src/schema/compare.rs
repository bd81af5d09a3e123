//! Whether two programs read what the other writes.

use super::{Container, Field, Form, Schema, Variant, Written};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// Something that one program cannot read of what another writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// Where, from the root: `Cart.items[].price`.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// How to keep it readable.
    pub cure: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.cure)
    }
}

/// What two programs cannot read of each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaks {
    /// What the new one cannot read of the old one's.
    pub new_reads_old: Vec<Break>,
    /// What the old one cannot read of the new one's.
    pub old_reads_new: Vec<Break>,
}

impl Breaks {
    /// Whether each reads all that the other writes.
    pub fn is_empty(&self) -> bool {
        self.new_reads_old.is_empty() && self.old_reads_new.is_empty()
    }
}

/// Compares an older schema with a newer one.
pub fn compare(old: &Schema, new: &Schema) -> Breaks {
    Breaks {
        new_reads_old: reads(new, old, Side::New),
        old_reads_new: reads(old, new, Side::Old),
    }
}

/// Which program reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

fn reads(reader: &Schema, writer: &Schema, side: Side) -> Vec<Break> {
    let mut reading = Reading {
        reader,
        writer,
        side,
        seen: BTreeSet::new(),
        breaks: Vec::new(),
    };
    // By the newer name, so that both ways speak of the same place.
    let newer = match side {
        Side::Old => writer,
        Side::New => reader,
    };
    reading.form(&root_name(newer), &reader.root, &writer.root);
    reading.breaks
}

fn root_name(schema: &Schema) -> String {
    match &schema.root {
        Form::Named(name) => name.clone(),
        form => form.to_string(),
    }
}

struct Reading<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    side: Side,
    /// Pairs of named types that were compared, or are being compared.
    seen: BTreeSet<(&'a str, &'a str)>,
    breaks: Vec<Break>,
}

impl<'a> Reading<'a> {
    fn broken(&mut self, at: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.breaks.push(Break {
            at: at.to_owned(),
            what: what.into(),
            cure: cure.into(),
        });
    }

    fn form(&mut self, at: &str, reader: &'a Form, writer: &'a Form) {
        let (reader_type, writer_type) = (self.reader.types.get_of(reader), self.writer.types.get_of(writer));
        match ((reader, reader_type), (writer, writer_type)) {
            // Newtypes are what they hold.
            ((_, Some(Container::Transparent(inner))), _) => {
                self.once(reader, writer, |own| own.form(at, inner, writer))
            }
            (_, (_, Some(Container::Transparent(inner)))) => {
                self.once(reader, writer, |own| own.form(at, reader, inner))
            }
            ((_, Some(reads)), (_, Some(writes))) => self.once(reader, writer, |own| own.container(at, reads, writes)),
            ((Form::Option(reads), _), (Form::Option(writes), _)) => self.form(at, reads, writes),
            ((Form::Option(_), _), (Form::Unit, _)) => {}
            ((Form::Option(reads), _), _) => self.form(at, reads, writer),
            (_, (Form::Option(_), _)) => {
                let cure = "read an Option, one version before nothing is written";
                self.broken(at, "nothing may come where a value is expected", cure);
            }
            ((Form::List(reads), _), (Form::List(writes), _)) => self.form(&format!("{at}[]"), reads, writes),
            ((Form::Map(reads), _), (Form::Map(writes), _)) => {
                self.form(&format!("{at}{{key}}"), &reads.0, &writes.0);
                self.form(&format!("{at}{{}}"), &reads.1, &writes.1);
            }
            ((Form::Tuple(reads), _), (Form::Tuple(writes), _)) if reads.len() == writes.len() => {
                for (number, (reads, writes)) in reads.iter().zip(writes).enumerate() {
                    self.form(&format!("{at}.{number}"), reads, writes);
                }
            }
            ((Form::List(reads), _), (Form::Tuple(writes), _)) => {
                writes
                    .iter()
                    .for_each(|writes| self.form(&format!("{at}[]"), reads, writes));
            }
            ((Form::Opaque(reads), _), (Form::Opaque(writes), _)) if reads != writes => {
                let (old, new) = self.both(reads, writes);
                let what = format!("it was {old} and is {new}, and neither says what it looks like");
                self.broken(at, what, "derive Shape for both");
            }
            // Nothing is known of one of them: it began, or ended, to say what it looks like.
            ((Form::Opaque(_), _), _) | (_, (Form::Opaque(_), _)) => {}
            ((reads, _), (writes, _)) if plain_reads(reads, writes) => {}
            ((reads, _), (writes, _)) => {
                let (old, new) = self.both(reads, writes);
                self.broken(
                    at,
                    format!("it was {old} and is {new}"),
                    "take a new field, and keep the old one beside it",
                );
            }
        }
    }

    /// Compares two forms, unless that was done or is being done.
    fn once(&mut self, reader: &'a Form, writer: &'a Form, compare: impl FnOnce(&mut Self)) {
        match (reader, writer) {
            (Form::Named(reads), Form::Named(writes)) if !self.seen.insert((reads, writes)) => {}
            _ => compare(self),
        }
    }

    /// In the order of time.
    fn both<T>(&self, reader: T, writer: T) -> (T, T) {
        match self.side {
            Side::New => (writer, reader),
            Side::Old => (reader, writer),
        }
    }

    fn container(&mut self, at: &str, reader: &'a Container, writer: &'a Container) {
        match (reader, writer) {
            (Container::Struct { fields: reads, closed }, Container::Struct { fields: writes, .. }) => {
                self.fields(at, reads, writes);
                if *closed {
                    self.closed(at, reads, writes);
                }
            }
            (
                Container::Enum {
                    variants: reads,
                    tagging: reader,
                },
                Container::Enum {
                    variants: writes,
                    tagging: writer,
                },
            ) => {
                if reader != writer {
                    let (old, new) = self.both(reader, writer);
                    let what = format!("it was tagged by ({old}) and is by ({new})");
                    self.broken(at, what, "keep the tagging");
                }
                self.variants(at, reads, writes);
            }
            (Container::Transparent(reads), Container::Transparent(writes)) => self.form(at, reads, writes),
            _ => {
                let what = "a struct stands where an enum stood, or another sort of container";
                self.broken(at, what, "take a new field, and keep the old one beside it");
            }
        }
    }

    fn fields(&mut self, at: &str, reads: &'a [Field], writes: &'a [Field]) {
        for field in reads {
            let place = format!("{at}.{}", field.name);
            let written = (writes.iter()).find(|other| other.written != Written::Never && field.is_called(&other.name));
            if let Some(written) = written
                && written.written == Written::Sometimes
                && !field.optional
            {
                self.broken(
                    &place,
                    "it is not always written",
                    "give it #[serde(default)] where it is read",
                );
            }
            match written {
                Some(written) if field.optional => {
                    // An optional field may be missing, but if it is there it has to be read.
                    self.form(&place, strip(&field.form, &written.form), &written.form);
                }
                Some(written) => self.form(&place, &field.form, &written.form),
                None if field.optional => {}
                None => match self.side {
                    Side::New => self.broken(&place, "the old version does not write it", "give it #[serde(default)]"),
                    Side::Old => self.broken(
                        &place,
                        "the old version cannot do without it",
                        "keep writing it until no old version is left",
                    ),
                },
            }
        }
    }

    /// The reader refuses what it does not know.
    fn closed(&mut self, at: &str, reads: &'a [Field], writes: &'a [Field]) {
        for field in writes.iter().filter(|field| field.written != Written::Never) {
            if !reads.iter().any(|known| known.is_called(&field.name)) {
                let what = "it is refused as unknown (deny_unknown_fields)";
                self.broken(
                    &format!("{at}.{}", field.name),
                    what,
                    "take deny_unknown_fields away one version earlier",
                );
            }
        }
    }

    fn variants(&mut self, at: &str, reads: &'a [Variant], writes: &'a [Variant]) {
        for variant in writes {
            let place = format!("{at}::{}", variant.name);
            match reads.iter().find(|known| known.is_called(&variant.name)) {
                Some(known) => self.container(&place, &known.holds, &variant.holds),
                None if reads.iter().any(|known| known.other) => {}
                None => match self.side {
                    Side::New => self.broken(
                        &place,
                        "the new version does not know it any more",
                        "keep the variant, or add an alias",
                    ),
                    Side::Old => self.broken(
                        &place,
                        "the old version does not know it",
                        "first release a version that reads it (or has #[serde(other)]), then one that writes it",
                    ),
                },
            }
        }
    }
}

/// What an optional field of a plain type is read as: an `Option` only where one is written too.
fn strip<'a>(reader: &'a Form, writer: &Form) -> &'a Form {
    match (reader, writer) {
        (Form::Option(inner), other) if !matches!(other, Form::Option(_)) => inner,
        _ => reader,
    }
}

/// Whether a plain value is read whatever it is.
fn plain_reads(reader: &Form, writer: &Form) -> bool {
    match (reader, writer) {
        (Form::Unsigned(reads), Form::Unsigned(writes)) | (Form::Signed(reads), Form::Signed(writes)) => {
            reads >= writes
        }
        (Form::Signed(reads), Form::Unsigned(writes)) => reads > writes,
        (Form::Float(reads), Form::Float(writes)) => reads >= writes,
        // Text of one character is text.
        (Form::Text, Form::Char) => true,
        (reads, writes) => reads == writes,
    }
}

trait Resolve {
    fn get_of(&self, form: &Form) -> Option<&Container>;
}

impl Resolve for std::collections::BTreeMap<String, Container> {
    fn get_of(&self, form: &Form) -> Option<&Container> {
        match form {
            Form::Named(name) => self.get(name),
            _ => None,
        }
    }
}

impl Field {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl Variant {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}
