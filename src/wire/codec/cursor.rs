//! Reads the head of a frame, front to back.

use super::interner::Interner;
use crate::{
    ident::{ActorId, ClientId, InvalidName, ProcessId, SiloId},
    wire::{FrameError, Limits, decode},
};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

/// What is left of a head.
pub(super) struct Cursor<'a> {
    pub(super) kind: u8,
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn malformed(&self, field: &'static str, why: &'static str) -> FrameError {
        let kind = self.kind;
        FrameError::Malformed { kind, field, why }
    }

    fn bad_name(&self, source: InvalidName) -> FrameError {
        let kind = self.kind;
        FrameError::BadName { kind, source }
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed(field, "is cut off"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, FrameError> {
        self.take(field).map(u64::from_le_bytes)
    }

    fn name_bytes(&mut self, field: &'static str) -> Result<&'a [u8], FrameError> {
        let length = usize::from(u16::from_le_bytes(self.take(field)?));
        let Some((name, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.malformed(field, "is cut off"));
        };
        self.rest = rest;
        Ok(name)
    }

    fn text(&self, field: &'static str, name: &'a [u8]) -> Result<&'a str, FrameError> {
        std::str::from_utf8(name).map_err(|_| self.malformed(field, "is not UTF-8"))
    }

    /// The bytes from `start`, where the cursor was before, up to where it is.
    fn since(&self, start: &'a [u8]) -> &'a [u8] {
        &start[..start.len() - self.rest.len()]
    }

    pub(super) fn actor(&mut self, names: &mut Interner) -> Result<ActorId, FrameError> {
        let start = self.rest;
        let (kind, key) = (self.name_bytes("the kind")?, self.name_bytes("the key")?);
        let bytes = self.since(start);
        if let Some(known) = names.recent.actor(bytes) {
            return Ok(known.clone());
        }
        let (kind, key) = (self.text("the kind", kind)?, self.text("the key", key)?);
        let actor = self.actor_id(names, kind, key)?;
        names.recent.keep_actor(bytes, &actor);
        Ok(actor)
    }

    fn actor_id(&self, names: &mut Interner, kind: &str, key: &str) -> Result<ActorId, FrameError> {
        names
            .get("kind", kind)
            .and_then(|kind| ActorId::new(kind, key))
            .map_err(|source| self.bad_name(source))
    }

    /// The same actor; its kind shares the allocation of the link's others.
    pub(super) fn interned(&self, names: &mut Interner, actor: &ActorId) -> Result<ActorId, FrameError> {
        self.actor_id(names, actor.kind(), actor.key())
    }

    pub(super) fn message(&mut self, names: &mut Interner) -> Result<Arc<str>, FrameError> {
        let name = self.name_bytes("the message's name")?;
        if let Some(same) = names.same_message(name) {
            return Ok(same.clone());
        }
        let name = self.text("the message's name", name)?;
        names.message(name).map_err(|source| self.bad_name(source))
    }

    pub(super) fn process(&mut self, names: &mut Interner) -> Result<ProcessId, FrameError> {
        let start = self.rest;
        match self.take("the sender")? {
            [0] => {
                let name = self.name_bytes("the sender's name")?;
                let incarnation = self.u64("the sender's incarnation")?;
                let bytes = self.since(start);
                if let Some(known) = names.recent.process(bytes) {
                    return Ok(known.clone());
                }
                let name = self.text("the sender's name", name)?;
                let name = names.get("silo name", name).map_err(|source| self.bad_name(source))?;
                let process = ProcessId::Silo(SiloId::new(name, incarnation));
                names.recent.keep_process(bytes, &process);
                Ok(process)
            }
            [1] => {
                let process = ProcessId::Client(ClientId(self.u64("the sender's id")?));
                let bytes = self.since(start);
                if names.recent.process(bytes).is_none() {
                    names.recent.keep_process(bytes, &process);
                }
                Ok(process)
            }
            _ => Err(self.malformed("the sender", "is neither a silo nor a client")),
        }
    }

    /// The actor, if its name has just come before.
    pub(super) fn known_actor<'n>(&mut self, names: &'n Interner) -> Option<&'n ActorId> {
        let start = self.rest;
        self.name_bytes("the kind").ok()?;
        self.name_bytes("the key").ok()?;
        names.recent.actor(self.since(start))
    }

    /// The message's name, if it is that of the last one.
    pub(super) fn known_message<'n>(&mut self, names: &'n Interner) -> Option<&'n Arc<str>> {
        names.same_message(self.name_bytes("the message's name").ok()?)
    }

    /// The sender, if it is that of the last call.
    pub(super) fn known_process<'n>(&mut self, names: &'n Interner) -> Option<&'n ProcessId> {
        let start = self.rest;
        match self.take("the sender").ok()? {
            [0] => {
                self.name_bytes("the sender's name").ok()?;
                self.u64("the sender's incarnation").ok()?;
            }
            _ => {
                self.u64("the sender's id").ok()?;
            }
        }
        names.recent.process(self.since(start))
    }

    pub(super) fn time_left(&mut self) -> Result<Option<Duration>, FrameError> {
        let millis = u32::from_le_bytes(self.take("the time left")?);
        Ok((millis > 0).then(|| Duration::from_millis(millis.into())))
    }

    pub(super) fn chain(&mut self, names: &mut Interner, limits: &Limits) -> Result<Vec<ActorId>, FrameError> {
        let actors = usize::from(u16::from_le_bytes(self.take("the chain")?));
        if actors == 0 {
            return Ok(Vec::new());
        }
        limits.check_chain(actors, || "the chain of a call that comes in".into())?;
        (0..actors).map(|_| self.actor(names)).collect()
    }

    /// The extension; one that was left out is an empty map.
    pub(super) fn extension<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        const EMPTY_MAP: &[u8] = &[0x80];
        let bytes = if self.rest.is_empty() { EMPTY_MAP } else { self.rest };
        decode(bytes).map_err(|source| FrameError::Undecodable {
            kind: self.kind,
            source,
        })
    }
}
