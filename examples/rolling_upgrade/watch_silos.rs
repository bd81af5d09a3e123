//! Asks the silos how they do, again and again, and writes it on the board.

use crate::board::{Board, Standing};
use futures_util::future::join_all;
use quark::client::Client;
use std::{sync::Arc, time::Duration};
use tokio::time::{self, MissedTickBehavior};

/// How often silos are asked.
const INTERVAL: Duration = Duration::from_millis(250);

/// Never ends. A silo that does not answer is shown as it was: it is leaving, or the load will tell.
pub(crate) async fn watch(client: Client, board: Arc<Board>) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let silos = board
            .view()
            .silos
            .into_iter()
            .filter(|silo| silo.standing != Standing::Left);
        join_all(silos.map(async |silo| {
            if let Ok(Ok(status)) = time::timeout(4 * INTERVAL, client.status(&silo.ready.silo)).await {
                board.heard(status);
            }
        }))
        .await;
    }
}
