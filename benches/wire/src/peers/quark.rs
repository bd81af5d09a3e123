//! Quark through its public API: two silos with the defaults of a program, one worker each, on an embedded store. The actor's kind is
//! registered in one of them, so that it is there; the other's driver calls it from tasks of its arbiter.

use crate::{
    caller::{self, Caller, Scenario},
    children,
};
use ::quark::{
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
};
use anyhow::{Context as _, anyhow};
use std::sync::mpsc;

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[actor(kind = "counter", messages(Echo, Take, Count))]
impl Actor for Counter {}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.echo", reply = Payload)]
struct Echo(Payload);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.take")]
struct Take(Payload);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "counter.count", reply = u64)]
struct Count;

#[derive(Serialize, Deserialize, Shape)]
struct Payload(#[serde(with = "serde_bytes")] Vec<u8>);

impl Handler<Echo> for Counter {
    async fn handle(&mut self, Echo(payload): Echo, _: &mut Context<Self>) -> Payload {
        self.count += 1;
        payload
    }
}

impl Handler<Take> for Counter {
    async fn handle(&mut self, Take(payload): Take, _: &mut Context<Self>) {
        self.count += 1;
        std::hint::black_box(payload);
    }
}

impl Handler<Count> for Counter {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.count
    }
}

/// Carries the measurement to its arbiter.
#[derive(Default, Serialize, Deserialize)]
struct Driver;

#[actor(kind = "driver", messages(Run))]
impl Actor for Driver {}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "driver.run")]
struct Run {
    /// Does not travel: the driver is in this process.
    #[serde(skip)]
    job: Option<(Scenario, f64, mpsc::Sender<anyhow::Result<f64>>)>,
}

impl Handler<Run> for Driver {
    async fn handle(&mut self, run: Run, ctx: &mut Context<Self>) {
        let (scenario, seconds, result) = run.job.expect("the driver is in this process");
        let counter = Remote(ctx.actor("the-one"));
        actix_rt::spawn(async move {
            let _ = result.send(caller::measure(counter, scenario, seconds).await);
        });
    }
}

#[derive(Clone)]
struct Remote(ActorRef<Counter>);

impl Caller for Remote {
    async fn ask(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        Ok(self.0.ask(Echo(Payload(payload))).await?.0)
    }

    async fn tell(&self, payload: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.0.tell(Take(Payload(payload))).await?)
    }

    async fn count(&self) -> anyhow::Result<u64> {
        Ok(self.0.ask(Count).await?)
    }
}

async fn start(place: &str, name: &str, kind: &str) -> anyhow::Result<SiloHandle> {
    let options = SiloOptions {
        name: name.into(),
        cluster: "wire".into(),
        store: format!("embedded:{place}/quark.db"),
        workers: 1,
        handle_signals: false,
        ..SiloOptions::default()
    };
    Ok(Silo::builder().options(options).only([kind]).start().await?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(super) fn serve(folder: &str) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let _silo = start(folder, "server", "counter").await?;
        children::serve_until_told(folder);
        Ok(())
    })
}

pub(super) fn call(place: &str, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    runtime()?.block_on(async {
        let silo = start(place, "caller", "driver").await?;
        let (result, figure) = mpsc::channel();
        let job = Some((scenario, seconds, result));
        silo.actor::<Driver>("driver").tell(Run { job }).await?;
        let figure = figure.recv().context("the driver has gone").and_then(|figure| figure);
        silo.stop().await.map_err(|error| anyhow!("{error}"))?;
        figure
    })
}
