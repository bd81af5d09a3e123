//! What is measured, on whoever can be called.

use anyhow::ensure;
use clap::ValueEnum;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Bytes of a message, and of its answer.
const PAYLOAD: usize = 64;

/// Tells between two looks at what has been handled.
const TELLS: u64 = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 512 tasks that ask one after the other: asks per second.
    #[value(name = "ask-512")]
    Ask512,
    /// Asks one after the other: p50 in microseconds.
    Ask,
    /// Tells one after the other until all are handled: tells per second.
    Tell,
}

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::Ask512, Self::Ask, Self::Tell];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ask512 => "wire-ask-512",
            Self::Ask => "wire-ask",
            Self::Tell => "wire-tell",
        }
    }
}

/// Whoever reaches an actor of another process, which echoes and counts.
pub(crate) trait Caller: Clone + 'static {
    async fn ask(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>>;
    async fn tell(&self, payload: Vec<u8>) -> anyhow::Result<()>;
    /// How many messages with a payload were handled.
    async fn count(&self) -> anyhow::Result<u64>;
}

/// The figure of a scenario. Runs tasks of this thread.
pub(crate) async fn measure(caller: impl Caller, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    caller.ask(vec![1; PAYLOAD]).await?;
    asks(&caller, 512, Duration::from_millis(200)).await?;
    let time = Duration::from_secs_f64(seconds);
    match scenario {
        Scenario::Ask512 => asks(&caller, 512, time).await,
        Scenario::Ask => one_at_a_time(&caller, time).await,
        Scenario::Tell => tells(&caller, time).await,
    }
}

async fn asks(caller: &impl Caller, tasks: usize, time: Duration) -> anyhow::Result<f64> {
    let before = caller.count().await?;
    let (local, start) = (LocalSet::new(), Instant::now());
    let end = start + time;
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let caller = caller.clone();
            local.spawn_local(async move {
                let mut asked = 0u64;
                while Instant::now() < end {
                    let answer = caller.ask(vec![7; PAYLOAD]).await?;
                    ensure!(answer.len() == PAYLOAD, "an answer of {} bytes", answer.len());
                    asked += 1;
                }
                anyhow::Ok(asked)
            })
        })
        .collect();
    let mut asked = 0;
    local
        .run_until(async {
            for task in tasks {
                asked += task.await??;
            }
            anyhow::Ok(())
        })
        .await?;
    let rate = asked as f64 / start.elapsed().as_secs_f64();
    let handled = caller.count().await? - before;
    ensure!(handled == asked, "{asked} asks were answered and {handled} handled");
    Ok(rate)
}

async fn one_at_a_time(caller: &impl Caller, time: Duration) -> anyhow::Result<f64> {
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        caller.ask(vec![7; PAYLOAD]).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(report::median(&times))
}

async fn tells(caller: &impl Caller, time: Duration) -> anyhow::Result<f64> {
    let before = caller.count().await?;
    let (start, mut told) = (Instant::now(), 0);
    while start.elapsed() < time {
        for _ in 0..TELLS {
            caller.tell(vec![7; PAYLOAD]).await?;
        }
        told += TELLS;
        while caller.count().await? - before < told {}
    }
    Ok(told as f64 / start.elapsed().as_secs_f64())
}
