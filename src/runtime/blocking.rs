//! The threads that do blocking work for actors.
//!
//! ```text
//!   run: try_send --full--> wait for room --woken--> try_send again
//!              | taken
//!              v
//!        bounded channel --recv--> a thread: wake who waits for room, do the job
//! ```

use crate::{
    actor::Job,
    clock::{Clock, Moment},
};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};
use tokio::sync::Notify;

/// How many jobs wait for a thread; more wait for room.
const QUEUE: usize = 256;

/// The threads that do blocking work; none before the first.
pub struct BlockingPool {
    threads: usize,
    shared: Arc<Shared>,
    jobs: Mutex<Jobs>,
}

enum Jobs {
    None,
    Here(Sender<Job>),
    Ended,
    #[cfg(feature = "testkit")]
    AtOnce,
}

#[derive(Default)]
struct Shared {
    /// Who waits for room.
    waiting: Mutex<Vec<Waker>>,
    /// How many jobs wait for a thread or run.
    under_way: AtomicUsize,
    idle: Notify,
    /// Nothing more is taken.
    closed: AtomicBool,
    /// What waits for a thread is dropped.
    ended: AtomicBool,
}

impl BlockingPool {
    /// A pool of at most so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            shared: Arc::default(),
            jobs: Mutex::new(Jobs::None),
        }
    }

    /// A pool without threads: a job is done at once, where it is wanted.
    #[cfg(feature = "testkit")]
    pub(crate) fn at_once() -> Self {
        let mut pool = Self::new(0);
        pool.jobs = Mutex::new(Jobs::AtOnce);
        pool
    }

    /// Has a job done. Ready with `true` when it is in the queue, with `false` if it will not be done: the pool has ended, or no
    /// thread could be started.
    pub fn run(&self, job: Job) -> BoxFuture<'static, bool> {
        #[cfg(feature = "testkit")]
        if let Jobs::AtOnce = *self.jobs.lock() {
            return Box::pin(async move {
                job();
                true
            });
        }
        let Some(jobs) = self.jobs() else {
            return Box::pin(std::future::ready(false));
        };
        let (shared, mut job) = (self.shared.clone(), Some(job));
        Box::pin(poll_fn(move |cx| {
            let Some(wanted) = job.take() else {
                return Poll::Ready(false);
            };
            match shared.offer(&jobs, wanted, cx.waker()) {
                Ok(taken) => Poll::Ready(taken),
                Err(back) => {
                    job = Some(back);
                    Poll::Pending
                }
            }
        }))
    }

    fn jobs(&self) -> Option<Sender<Job>> {
        let mut jobs = self.jobs.lock();
        if let Jobs::None = *jobs {
            *jobs = self.start().map_or(Jobs::None, Jobs::Here);
        }
        match &*jobs {
            Jobs::Here(sender) => Some(sender.clone()),
            _ => None,
        }
    }

    fn start(&self) -> Option<Sender<Job>> {
        let (sender, receiver) = bounded(QUEUE);
        let mut started = 0;
        for number in 0..self.threads {
            let (shared, receiver) = (self.shared.clone(), receiver.clone());
            let thread = std::thread::Builder::new().name(format!("quark-block-{number}"));
            match thread.spawn(move || shared.work(&receiver)) {
                Ok(_) => started += 1,
                Err(error) => tracing::error!(%error, "a thread for blocking work could not be started"),
            }
        }
        (started > 0).then_some(sender)
    }

    /// How many jobs wait for a thread or run.
    pub fn under_way(&self) -> usize {
        self.shared.under_way.load(Ordering::Acquire)
    }

    /// Takes no more jobs and waits for those it has until the given moment; answers how many were not done by then. What runs
    /// then runs on, what waits for a thread is dropped.
    pub async fn end(&self, clock: &Clock, until: Moment) -> usize {
        self.shared.closed.store(true, Ordering::Release);
        *self.jobs.lock() = Jobs::Ended;
        self.shared.let_in();
        let done = async {
            loop {
                let idle = self.shared.idle.notified();
                if self.under_way() == 0 {
                    return;
                }
                idle.await;
            }
        };
        let done = clock.timeout_at(until, done).await;
        self.shared.ended.store(true, Ordering::Release);
        done.map_or_else(|| self.under_way(), |()| 0)
    }
}

impl Shared {
    /// Whether the job was taken, if that is known; else here it is again and `waker` is woken.
    fn offer(&self, jobs: &Sender<Job>, job: Job, waker: &Waker) -> Result<bool, Job> {
        // Under the lock by which a thread that makes room looks for who waits.
        let mut waiting = self.waiting.lock();
        if self.closed.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.under_way.fetch_add(1, Ordering::AcqRel);
        match jobs.try_send(job) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(job)) => {
                self.under_way.fetch_sub(1, Ordering::AcqRel);
                if !waiting.iter().any(|other| other.will_wake(waker)) {
                    waiting.push(waker.clone());
                }
                Err(job)
            }
            Err(TrySendError::Disconnected(_)) => {
                self.done();
                Ok(false)
            }
        }
    }

    fn let_in(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for waker in waiting {
            waker.wake();
        }
    }

    fn work(&self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.let_in();
            let ended = self.ended.load(Ordering::Acquire);
            let done = catch_unwind(AssertUnwindSafe(|| if ended { drop(job) } else { job() }));
            if done.is_err() {
                tracing::error!("what blocking work left behind panicked when it was dropped");
            }
            self.done();
        }
    }

    fn done(&self) {
        if self.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::{sync::mpsc, time::Duration};

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    }

    /// A job that tells that it has begun and then waits for a word.
    fn held() -> (Job, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let ((tell, begun), (word, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let job = Box::new(move || {
            tell.send(()).expect("heard");
            // Without a word, when the test is over.
            let _word = wait.recv();
        });
        (job, begun, word)
    }

    #[test]
    fn who_finds_the_queue_full_waits_without_blocking_and_is_let_in() {
        let pool = BlockingPool::new(1);
        let (job, begun, word) = held();
        assert_eq!(pool.run(job).now_or_never(), Some(true));
        begun.recv().expect("it begins");
        for _ in 0..QUEUE {
            assert_eq!(pool.run(Box::new(|| {})).now_or_never(), Some(true));
        }
        let (tell, told) = mpsc::channel();
        let mut waits = pool.run(Box::new(move || tell.send(()).expect("heard")));
        assert_eq!((&mut waits).now_or_never(), None, "there is no room");
        word.send(()).expect("it waits for it");
        assert!(block_on(waits));
        told.recv().expect("it is done");
    }

    #[test]
    fn the_end_waits_for_what_is_under_way_and_no_longer_than_it_may() {
        let clock = Clock::system();
        let pool = BlockingPool::new(1);
        let (job, begun, word) = held();
        assert_eq!(pool.run(job).now_or_never(), Some(true));
        begun.recv().expect("it begins");
        let (tell, told) = mpsc::channel();
        assert_eq!(
            pool.run(Box::new(move || tell.send(()).expect("heard"))).now_or_never(),
            Some(true)
        );
        assert_eq!(pool.under_way(), 2);
        let left = block_on(pool.end(&clock, clock.now() + Duration::from_millis(20)));
        assert_eq!(left, 2);
        assert_eq!(
            pool.run(Box::new(|| {})).now_or_never(),
            Some(false),
            "no more is taken"
        );
        word.send(()).expect("it waits for it");
        assert!(told.recv().is_err(), "what had not begun is dropped");
    }

    #[test]
    fn the_end_comes_as_soon_as_all_is_done() {
        let clock = Clock::system();
        let pool = BlockingPool::new(2);
        let jobs: Vec<_> = (0..2).map(|_| held()).collect();
        let mut words = Vec::new();
        for (job, begun, word) in jobs {
            assert_eq!(pool.run(job).now_or_never(), Some(true));
            begun.recv().expect("both run at once");
            words.push(word);
        }
        let end = pool.end(&clock, clock.now() + Duration::from_secs(3600));
        let left = block_on(async move {
            let mut end = std::pin::pin!(end);
            assert_eq!((&mut end).now_or_never(), None);
            drop(words);
            end.await
        });
        assert_eq!(left, 0);
    }
}
