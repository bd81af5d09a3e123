//! A worker on a thread that it shares: while it is polled, and only then, it is the worker of the thread.

use super::local::{HERE, Local};
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A worker's future that leaves the thread to others between its polls.
pub(super) struct Apart<F> {
    worker: Option<Pin<Box<F>>>,
    local: Option<Rc<Local>>,
}

impl<F: Future<Output = ()>> Apart<F> {
    pub(super) fn new(worker: F) -> Self {
        Self {
            worker: Some(Box::pin(worker)),
            local: None,
        }
    }
}

impl<F> Apart<F> {
    /// Does something with the worker as the one of this thread.
    fn here<T>(&mut self, run: impl FnOnce(&mut Option<Pin<Box<F>>>) -> T) -> T {
        let outer = HERE.with(|here| here.replace(self.local.take()));
        let ran = run(&mut self.worker);
        self.local = HERE.with(|here| here.replace(outer));
        ran
    }
}

impl<F: Future<Output = ()>> Future for Apart<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.here(|worker| match worker {
            Some(running) => {
                let polled = running.as_mut().poll(cx);
                if polled.is_ready() {
                    *worker = None;
                }
                polled
            }
            None => Poll::Ready(()),
        })
    }
}

impl<F> Drop for Apart<F> {
    fn drop(&mut self) {
        // It takes itself off the thread that it finds itself on.
        self.here(|worker| drop(worker.take()));
    }
}
