//! Blocking work of actors, off the threads that run them.

use super::{Context, panic_text};
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// A piece of blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Why blocking work has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// It panicked.
    #[error("the blocking work panicked: {text}")]
    Panicked {
        /// What it said.
        text: String,
    },
    /// It was not begun, or not ended, when the silo ended (or no thread for it could be started).
    #[error("the blocking work has no result: its silo has ended, or could start no thread for it")]
    Ended,
}

impl<A: Serialize> Context<A> {
    /// Runs work that computes for long or blocks its thread (files, compression, a synchronous client) on a thread of the silo
    /// that runs no actors ([`crate::silo::SiloOptions::blocking_threads`]). Other actors go on meanwhile; this one has a
    /// turn under way.
    ///
    /// The work begins after the first poll, as soon as one of the threads is free. While many wait for one, the future waits for
    /// room among them. Dropping the future gives up the result, and the work if it still waits for room.
    ///
    /// ```
    /// # use quark::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Archive;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # #[message(name = "archive.sum", reply = Result<u64, String>)]
    /// # struct Sum(Vec<u64>);
    /// # #[actor(kind = "archive", messages(Sum))]
    /// # impl Actor for Archive {}
    /// impl Handler<Sum> for Archive {
    ///     async fn handle(&mut self, sum: Sum, ctx: &mut Context<Self>) -> Result<u64, String> {
    ///         let work = ctx.blocking(move || sum.0.iter().sum());
    ///         work.await.map_err(|error| error.to_string())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`BlockingError`].
    pub fn blocking<T, F>(&self, work: F) -> impl Future<Output = Result<T, BlockingError>> + Send + use<A, T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let services = self.services().clone();
        async move {
            let (tell, told) = oneshot::channel();
            let job: Job = Box::new(move || {
                let result = catch_unwind(AssertUnwindSafe(work));
                let result = result.map_err(|panic| panic_text(&*panic));
                // Nobody hears it if the future was dropped.
                let _gone = tell.send(result);
            });
            let taken: BoxFuture<'static, bool> = services.blocking(job);
            if !taken.await {
                return Err(BlockingError::Ended);
            }
            match told.await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(text)) => Err(BlockingError::Panicked { text }),
                Err(_) => Err(BlockingError::Ended),
            }
        }
    }
}
