//! The actor of all these tests: a list that messages append themselves to.

use quark::prelude::*;
use std::sync::OnceLock;

/// The name of the silo that this process is.
pub(crate) static HERE: OnceLock<String> = OnceLock::new();

/// Keeps what was appended, in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    list: Vec<Note>,
}

/// One message that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) client: u32,
    pub(crate) n: u64,
    /// By which right it ran, and where.
    pub(crate) epoch: u64,
    pub(crate) silo: String,
}

/// Appends; answers when it is saved, or why it is not. Not to be sent twice.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "notes.append", reply = Result<(), String>)]
pub(crate) struct Append {
    pub(crate) client: u32,
    pub(crate) n: u64,
}

/// Appends unless it is there. May be sent again.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "notes.put", reply = Result<(), String>)]
pub(crate) struct Put {
    pub(crate) client: u32,
    pub(crate) n: u64,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "notes.list", reply = Vec<Note>)]
pub(crate) struct List;

/// Where the actor is, and by which epoch. Saves nothing.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "notes.where", reply = (String, u64))]
pub(crate) struct Where;

#[actor(kind = "notes", messages(Append, Put, List, Where))]
impl Actor for Notes {}

fn here() -> String {
    HERE.get().cloned().unwrap_or_default()
}

impl Notes {
    async fn append(&mut self, client: u32, n: u64, ctx: &mut Context<Self>) -> Result<(), String> {
        self.list.push(Note {
            client,
            n,
            epoch: ctx.epoch().0,
            silo: here(),
        });
        self.save(ctx).await
    }

    async fn save(&self, ctx: &mut Context<Self>) -> Result<(), String> {
        ctx.save(self).await.map(|_| ()).map_err(|error| error.to_string())
    }
}

impl Handler<Append> for Notes {
    async fn handle(&mut self, append: Append, ctx: &mut Context<Self>) -> Result<(), String> {
        self.append(append.client, append.n, ctx).await
    }
}

impl Handler<Put> for Notes {
    async fn handle(&mut self, put: Put, ctx: &mut Context<Self>) -> Result<(), String> {
        if self
            .list
            .iter()
            .any(|note| (note.client, note.n) == (put.client, put.n))
        {
            // It may be in memory alone: an earlier one could not save.
            return self.save(ctx).await;
        }
        self.append(put.client, put.n, ctx).await
    }
}

impl Handler<List> for Notes {
    async fn handle(&mut self, _: List, _: &mut Context<Self>) -> Vec<Note> {
        self.list.clone()
    }
}

impl Handler<Where> for Notes {
    async fn handle(&mut self, _: Where, ctx: &mut Context<Self>) -> (String, u64) {
        (here(), ctx.epoch().0)
    }
}
