//! Listens for new views, on a connection of its own.

use super::{failure::Failure, members, server::Server};
use crate::{clock::Clock, store::views::Views};
use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};

/// How long making the connection and subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a connection that worked, and the longest; each failure makes it twice as long.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Tells `views` of each view that the server speaks of, until it is dropped.
pub(super) async fn listen(server: Arc<Server>, clock: Clock, views: Arc<Views>) {
    let mut pause = PAUSES.0;
    loop {
        match subscribed(&server, &clock, &views).await {
            Ok(()) => pause = PAUSES.0,
            Err(failure) => {
                tracing::debug!(?failure, "new views are not heard of now; they are read instead");
                pause = PAUSES.1.min(pause * 2);
            }
        }
        clock.sleep(pause).await;
    }
}

/// Listens until the connection ends.
async fn subscribed(server: &Server, clock: &Clock, views: &Views) -> Result<(), Failure> {
    let subscribing = async {
        let mut subscription = server.subscription().await?;
        subscription.subscribe(server.keys().views()).await?;
        // What was said while nobody listened.
        views.heard(members::view(server).await?);
        Ok::<_, Failure>(subscription.into_on_message())
    };
    let late = || Failure::Unknown(format!("it took longer than {SUBSCRIBE_TIMEOUT:?}"));
    let mut messages = clock.timeout(SUBSCRIBE_TIMEOUT, subscribing).await.ok_or_else(late)??;
    while let Some(message) = messages.next().await {
        if let Ok(view) = message.get_payload::<u64>() {
            views.heard(view);
        }
    }
    Ok(())
}
