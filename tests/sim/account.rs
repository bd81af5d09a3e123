//! The actor of all these tests: a list that messages append themselves to, in three versions.

use crate::history::{self, Running};
use quark::prelude::*;
use std::time::Duration;

/// One message that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) sender: String,
    pub(crate) n: u64,
    /// By which right it ran, and where.
    pub(crate) epoch: u64,
    pub(crate) silo: String,
}

/// Appends, and answers how long the list then is, once it is saved. A save that fails ends the activation: the next one
/// begins from what is saved.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "account.append", reply = u64)]
pub(crate) struct Append {
    pub(crate) sender: String,
    pub(crate) n: u64,
    /// How long the turn takes before it saves, in milliseconds.
    pub(crate) takes: u64,
}

/// Answers how long the list is.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "account.read", reply = u64)]
pub(crate) struct Read {
    pub(crate) sender: String,
    pub(crate) n: u64,
}

/// Answers the list.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "account.list", reply = Vec<Note>)]
pub(crate) struct List;

/// Sets a one-shot timer.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "account.set", reply = ())]
pub(crate) struct SetTimer {
    pub(crate) id: u64,
    pub(crate) after_ms: u64,
}

/// The timer.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "account.fire")]
pub(crate) struct Fire {
    pub(crate) id: u64,
}

macro_rules! account {
    ($module:ident, $version:literal) => {
        pub(crate) mod $module {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize)]
            pub(crate) struct Account {
                list: Vec<Note>,
            }

            #[actor(kind = "account", version = $version, messages(Append, Read, List, SetTimer, Fire))]
            impl Actor for Account {}

            impl Handler<Append> for Account {
                async fn handle(&mut self, append: Append, ctx: &mut Context<Self>) -> u64 {
                    let epoch = ctx.epoch().0;
                    let _runs = Running::begin(ctx.key(), epoch, $version, &append.sender, append.n);
                    if append.takes > 0 {
                        let clock = ctx.clock().clone();
                        clock.sleep(Duration::from_millis(append.takes)).await;
                    }
                    self.list.push(Note {
                        sender: append.sender,
                        n: append.n,
                        epoch,
                        silo: quark::testkit::here().unwrap_or_default(),
                    });
                    if let Err(error) = ctx.save(self).await {
                        panic!("sim: not saved: {error}");
                    }
                    self.list.len() as u64
                }
            }

            impl Handler<Read> for Account {
                async fn handle(&mut self, read: Read, ctx: &mut Context<Self>) -> u64 {
                    let _runs = Running::begin(ctx.key(), ctx.epoch().0, $version, &read.sender, read.n);
                    self.list.len() as u64
                }
            }

            impl Handler<List> for Account {
                async fn handle(&mut self, _: List, _: &mut Context<Self>) -> Vec<Note> {
                    self.list.clone()
                }
            }

            impl Handler<SetTimer> for Account {
                async fn handle(&mut self, set: SetTimer, ctx: &mut Context<Self>) {
                    let after = Duration::from_millis(set.after_ms);
                    ctx.set_timer(&format!("timer-{}", set.id), after, Fire { id: set.id });
                    history::record(|history, world| {
                        let timer = history.timers.entry((ctx.key().to_owned(), set.id)).or_default();
                        (timer.set, timer.due) = (Some(world.now()), world.now() + after);
                    });
                }
            }

            impl Handler<Fire> for Account {
                async fn handle(&mut self, fire: Fire, ctx: &mut Context<Self>) {
                    history::record(|history, world| {
                        let timer = history.timers.entry((ctx.key().to_owned(), fire.id)).or_default();
                        timer
                            .fired
                            .push((world.now(), quark::testkit::here().unwrap_or_default()));
                    });
                }
            }
        }
    };
}

account!(v1, "1.0.0");
account!(v2, "1.1.0");
account!(v3, "1.2.0");
