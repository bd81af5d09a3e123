//! Asks the silos how they do, again and again, and writes it on the board.

use crate::board::{Board, Standing};
use futures_util::future::join_all;
use quark::client::Client;
use std::{sync::Arc, time::Duration};
use tokio::time::{self, MissedTickBehavior};

/// How often silos are asked.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often one that drains is asked: it may be done within a tenth of a second.
const INTERVAL_OF_DRAIN: Duration = Duration::from_millis(10);

/// Asks all that serve. Never ends. A silo that does not answer is shown as it was: it is leaving, or the load will tell.
pub(crate) async fn serving(client: Client, board: Arc<Board>) {
    ask(client, board, Standing::Serving, INTERVAL).await;
}

/// Asks those that drain. Never ends.
pub(crate) async fn draining(client: Client, board: Arc<Board>) {
    ask(client, board, Standing::Draining, INTERVAL_OF_DRAIN).await;
}

async fn ask(client: Client, board: Arc<Board>, standing: Standing, interval: Duration) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let silos = board.view().silos.into_iter().filter(|silo| silo.standing == standing);
        join_all(silos.map(async |silo| {
            if let Ok(Ok(status)) = time::timeout(4 * INTERVAL, client.status(&silo.ready.silo)).await {
                board.heard(status);
            }
        }))
        .await;
    }
}
