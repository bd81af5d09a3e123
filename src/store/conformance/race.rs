//! Callers that truly run at the same time: a thread each, let go together.

use crate::store::Store;
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, Barrier},
    thread,
};
use tokio::{runtime, sync::oneshot};

/// How many callers race.
pub(super) const CALLERS: u64 = 8;

/// A runtime for one thread.
pub(super) fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the conformance suite can be made")
}

/// Has [`CALLERS`] callers, numbered from 0, do the same on the store at the same time; answers what each came to.
///
/// The caller of this waits without blocking its own thread: a store's client may need it.
pub(super) async fn race<T: Send + 'static>(
    store: &Arc<dyn Store>,
    act: impl Fn(Arc<dyn Store>, u64) -> BoxFuture<'static, T> + Send + Sync + 'static,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(usize::try_from(CALLERS).expect("a small number")));
    let act = Arc::new(act);
    let callers: Vec<oneshot::Receiver<T>> = (0..CALLERS)
        .map(|number| {
            let (store, start, act) = (Arc::clone(store), Arc::clone(&start), Arc::clone(&act));
            let (done, outcome) = oneshot::channel();
            thread::spawn(move || {
                start.wait();
                drop(done.send(runtime().block_on(act(store, number))));
            });
            outcome
        })
        .collect();
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.push(caller.await.expect("a caller of the race panicked: see above"));
    }
    outcomes
}
