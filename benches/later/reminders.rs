//! Reminders: set by their actors, then ticking for as long as their period is.

use crate::{
    Found,
    figures::{Figure, Goal, quantile},
    start,
};
use parking_lot::Mutex;
use quark::{
    actor::{Schedule, Tick},
    clock::Clock,
    prelude::*,
};
use std::{
    collections::HashSet,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// How long all reminders take to tick once.
const ROUND: Duration = Duration::from_secs(20);

/// How late each tick was, in milliseconds, and which came.
static TICKED: LazyLock<Mutex<Ticked>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Ticked {
    late: Vec<f64>,
    which: HashSet<(String, u64)>,
    twice: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Clerk;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "clerk.set", reply = Result<(), String>)]
struct Set {
    first: Duration,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "clerk.ring")]
struct Ring;

#[actor(kind = "clerk", messages(Set, Tick<Ring>), volatile)]
impl Actor for Clerk {}

impl Handler<Set> for Clerk {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) -> Result<(), String> {
        let schedule = Schedule::every(ROUND).starting(set.first);
        let set = ctx.set_reminder("ring", schedule, &Ring).await;
        set.map_err(|error| error.to_string())
    }
}

impl Handler<Tick<Ring>> for Clerk {
    async fn handle(&mut self, tick: Tick<Ring>, ctx: &mut Context<Self>) {
        let late = ctx.clock().wall_micros().saturating_sub(tick.due_micros);
        let mut ticked = TICKED.lock();
        ticked.late.push(late as f64 / 1000.0);
        let is_new = ticked.which.insert((ctx.key().to_owned(), tick.due_micros));
        ticked.twice += usize::from(!is_new);
    }
}

pub(crate) async fn run(cluster: &str, store: &str, count: usize, setters: usize) -> Found {
    let (silo, _folder) = start(cluster, store, 1).await?;
    let clock = Clock::system();
    while silo.reminder_status().unsettled > 0 {
        clock.sleep(Duration::from_millis(5)).await;
    }
    *TICKED.lock() = Ticked::default();
    // After all of them are set.
    let wait = Duration::from_micros(count as u64 * 60) + Duration::from_secs(2);
    let begun = Instant::now();
    let tasks = (0..setters).map(|setter| {
        let silo = silo.clone();
        async move {
            for n in (setter..count).step_by(setters) {
                let at = wait + ROUND * u32::try_from(n).expect("fewer") / u32::try_from(count).expect("fewer");
                let first = at.saturating_sub(begun.elapsed());
                let set = silo.actor::<Clerk>(&n.to_string()).ask(Set { first }).await;
                set.map_err(|error| error.to_string())??;
            }
            Ok::<_, String>(())
        }
    });
    for set in futures_util::future::join_all(tasks).await {
        set?;
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let end = begun + wait + ROUND + Duration::from_secs(5);
    while TICKED.lock().late.len() < count && Instant::now() < end {
        clock.sleep(Duration::from_millis(20)).await;
    }
    let status = silo.reminder_status();
    silo.stop().await.map_err(|error| error.to_string())?;
    let ticked = std::mem::take(&mut *TICKED.lock());
    if ticked.late.len() < count || ticked.twice > 0 {
        return Err(format!(
            "{} of {count} ticked, {} twice; {status:?}",
            ticked.late.len(),
            ticked.twice
        ));
    }
    let mut late = ticked.late;
    let per_second = count as f64 / ROUND.as_secs_f64();
    let what = |figure: &str| format!("{store}: {count} reminders, {per_second} ticks/s, {figure}");
    Ok(vec![
        Figure::new(
            format!("{store}: reminders set, {setters} turns at a time"),
            "per s",
            Goal::AtLeast(20_000.0),
            rate,
        ),
        Figure::new(what("lateness, median"), "ms", Goal::None, quantile(&mut late, 0.5)),
        Figure::new(
            what("lateness, p99"),
            "ms",
            Goal::AtMost(100.0),
            quantile(&mut late, 0.99),
        ),
    ])
}
