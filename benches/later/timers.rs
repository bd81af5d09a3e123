//! Timers: of many actors, all due within a few seconds.

use crate::{
    Found,
    figures::{Figure, Goal, quantile},
    start,
};
use parking_lot::Mutex;
use quark::{clock::Clock, prelude::*};
use std::time::{Duration, Instant};

/// Within how long they are due.
const SPREAD: Duration = Duration::from_secs(5);

/// How late each was, in milliseconds.
static LATE: Mutex<Vec<f64>> = Mutex::new(Vec::new());

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sleeper;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "sleeper.set")]
struct Set {
    after: Duration,
}

#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[message(name = "sleeper.ring")]
struct Ring {
    due_micros: u64,
}

#[actor(kind = "sleeper", messages(Set, Ring), volatile)]
impl Actor for Sleeper {}

impl Handler<Set> for Sleeper {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) {
        let after = u64::try_from(set.after.as_micros()).expect("small");
        let due_micros = ctx.clock().wall_micros() + after;
        ctx.set_timer("ring", set.after, Ring { due_micros });
    }
}

impl Handler<Ring> for Sleeper {
    async fn handle(&mut self, ring: Ring, ctx: &mut Context<Self>) {
        let late = ctx.clock().wall_micros().saturating_sub(ring.due_micros);
        LATE.lock().push(late as f64 / 1000.0);
    }
}

pub(crate) async fn run(cluster: &str, count: usize) -> Found {
    let (silo, _folder) = start(cluster, "memory", 1).await?;
    LATE.lock().clear();
    let wait = Duration::from_micros(count as u64 * 20) + Duration::from_secs(1);
    let begun = Instant::now();
    for n in 0..count {
        let at = wait + SPREAD * u32::try_from(n).expect("fewer") / u32::try_from(count).expect("fewer");
        let after = at.saturating_sub(begun.elapsed());
        let set = silo.actor::<Sleeper>(&n.to_string()).tell(Set { after }).await;
        set.map_err(|error| error.to_string())?;
    }
    let end = begun + wait + SPREAD + Duration::from_secs(5);
    while LATE.lock().len() < count && Instant::now() < end {
        Clock::system().sleep(Duration::from_millis(20)).await;
    }
    silo.stop().await.map_err(|error| error.to_string())?;
    let mut late = std::mem::take(&mut *LATE.lock());
    if late.len() != count {
        return Err(format!("{} of {count} ticked", late.len()));
    }
    let what = |figure: &str| format!("{count} timers within {SPREAD:?}, {figure}");
    Ok(vec![
        Figure::new(what("lateness, median"), "ms", Goal::None, quantile(&mut late, 0.5)),
        Figure::new(
            what("lateness, p99"),
            "ms",
            Goal::AtMost(20.0),
            quantile(&mut late, 0.99),
        ),
    ])
}
