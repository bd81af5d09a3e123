//! States: actors that are activated, each for the first time, and then saved.

use crate::{
    Found,
    figures::{Figure, Goal},
    start,
};
use quark::{actor::Accepts, prelude::*, silo::SiloHandle};
use std::time::Instant;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keeper {
    text: String,
    kept: u64,
}

#[derive(Debug, Default, Message, Serialize, Deserialize)]
#[message(name = "keeper.touch", reply = Result<(), String>)]
pub(crate) struct Touch;

#[derive(Debug, Default, Message, Serialize, Deserialize)]
#[message(name = "keeper.keep", reply = Result<(), String>)]
struct Keep;

#[actor(kind = "keeper", messages(Touch, Keep))]
impl Actor for Keeper {}

impl Handler<Touch> for Keeper {
    async fn handle(&mut self, _: Touch, ctx: &mut Context<Self>) -> Result<(), String> {
        // What is saved is of an ordinary size, and differs from what was.
        self.text = ctx.key().repeat(16);
        Ok(())
    }
}

impl Handler<Keep> for Keeper {
    async fn handle(&mut self, _: Keep, ctx: &mut Context<Self>) -> Result<(), String> {
        self.kept += 1;
        ctx.save(self).await.map(drop).map_err(|error| error.to_string())
    }
}

pub(crate) async fn run(cluster: &str, store: &str, count: usize, setters: usize) -> Found {
    let (silo, _folder) = start(cluster, store, 1).await?;
    let activated = each::<Touch>(&silo, "", count, setters).await?;
    let saved = each::<Keep>(&silo, "", count, setters).await?;
    silo.stop().await.map_err(|error| error.to_string())?;
    let what = |what: &str| format!("{store}: {what}, {setters} turns at a time");
    let goal = |goal| {
        if store == "redis" {
            Goal::AtLeast(goal)
        } else {
            Goal::None
        }
    };
    Ok(vec![
        Figure::new(what("actors activated"), "per s", goal(60_000.0), activated),
        Figure::new(what("states saved"), "per s", goal(50_000.0), saved),
    ])
}

/// Asks each of the actors whose keys begin so once; answers how many answered a second.
pub(crate) async fn each<M>(silo: &SiloHandle, keys: &str, count: usize, setters: usize) -> Result<f64, String>
where
    M: Message<Reply = Result<(), String>> + Default,
    Keeper: Accepts<M>,
{
    let begun = Instant::now();
    let tasks = (0..setters).map(|setter| async move {
        for n in (setter..count).step_by(setters) {
            let asked = silo.actor::<Keeper>(&format!("{keys}{n}")).ask(M::default()).await;
            asked.map_err(|error| error.to_string())??;
        }
        Ok::<_, String>(())
    });
    for asked in futures_util::future::join_all(tasks).await {
        asked?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
