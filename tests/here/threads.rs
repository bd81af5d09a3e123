//! What a worker owes to all else on its thread, and asks between threads.

use super::*;

/// Guarantee 13
#[tokio::test]
async fn a_worker_that_always_has_work_starves_no_timers_and_no_other_actor() {
    let silo = one_arbiter(1000).await;
    let (spins, other) = (silo.actor::<One>("spins"), silo.actor::<One>("other"));
    spins.tell(Spin("spins".into())).await.expect("sent");
    let ticks = Arc::new(AtomicU64::new(0));
    let ticking = ticks.clone();
    on_arbiter(&silo, Place::Turn, async move {
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticking.fetch_add(1, Ordering::Relaxed);
            }
        });
    })
    .await;
    until("timers ring while messages never end", || {
        ticks.load(Ordering::Relaxed) >= 20
    })
    .await;
    other.ask(Book(1)).await.expect("answered");
    assert_eq!(gate("spins").available_permits(), 0, "it spins on");
    open("spins");
    silo.stop().await.expect("stops in order");
}

/// With `spin`: on a thread of no actor, in a task of another arbiter, and in a turn there.
#[tokio::test]
async fn with_spin_an_ask_of_another_thread_lets_all_else_of_its_own_go_first_and_is_answered() {
    struct Woken(AtomicU64);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let silo = two_arbiters(Duration::from_micros(20)).await;
    let mut ones = Vec::new();
    for n in 0..4 {
        ones.push(active(&silo, &n.to_string()).await);
    }
    let woken = Arc::new(Woken(AtomicU64::new(0)));
    {
        let mut ask = pin!(ones[0].ask(Book(1)));
        let waker = woken.clone().into();
        let booked = match ask.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            Poll::Ready(booked) => booked,
            Poll::Pending => {
                assert!(woken.0.load(Ordering::SeqCst) > 0, "it comes back by itself");
                ask.await
            }
        };
        assert_eq!(booked.expect("answered"), [0, 1]);
    }
    let job = || {
        let ones = ones.clone();
        async move {
            for n in 0..200 {
                for one in &ones {
                    let booked = one.ask(Book(n)).await.expect("answered");
                    assert!(booked.contains(&n));
                }
                let all = ones.iter().map(|one| one.ask(Save));
                assert!(join_all(all).await.iter().all(Result::is_ok));
            }
        }
    };
    let (task, turn) = (job(), job());
    tokio::join!(
        on_arbiter(&silo, Place::Task, task),
        on_arbiter(&silo, Place::Turn, turn),
        job()
    );
    silo.stop().await.expect("stops in order");
}

/// Some of the actors are of the other arbiter, and such asks set no alarm of their own until their deadlines come near.
#[tokio::test]
async fn a_task_of_an_arbiter_hears_at_its_deadline_that_an_actor_of_another_has_not_answered() {
    const PATIENCE: Duration = Duration::from_millis(3500);
    let silo = two_arbiters(Duration::ZERO).await;
    let mut ones = Vec::new();
    for n in 0..4 {
        ones.push(active(&silo, &format!("late-{n}")).await);
    }
    on_arbiter(&silo, Place::Task, async move {
        let clock = Clock::system();
        let begin = clock.now();
        let ask = async |one: &ActorRef<One>| one.ask(Wait("late".into(), 1)).within(PATIENCE).await;
        for answer in join_all(ones.iter().map(ask)).await {
            let error = answer.expect_err("nobody answers");
            assert!(matches!(error, CallError::TimedOut(_)), "{error}");
        }
        assert!(clock.now().since(begin) >= PATIENCE);
        // One that is answered in time is not woken for nothing, and one that was given up is forgotten.
        open("late");
        for one in &ones {
            one.ask(Book(2)).await.expect("answered");
        }
    })
    .await;
    silo.stop().await.expect("stops in order");
}

/// Tells on which threads it has run and was dropped.
#[derive(Default)]
struct Threads {
    ran: Option<(ThreadId, mpsc::Sender<(ThreadId, ThreadId)>)>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some((ran, tell)) = self.ran.take() {
            let _ = tell.send((ran, thread::current().id()));
        }
    }
}

/// An actor that may not leave its thread.
#[derive(Default, Serialize, Deserialize)]
struct Bound {
    #[serde(skip)]
    threads: Rc<Mutex<Threads>>,
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "bound.begin")]
struct Begin {
    #[serde(skip)]
    tell: Option<mpsc::Sender<(ThreadId, ThreadId)>>,
    waits: bool,
}

#[actor(kind = "bound", messages(Begin), volatile)]
impl Actor for Bound {}

impl Handler<Begin> for Bound {
    async fn handle(&mut self, begin: Begin, _: &mut Context<Self>) {
        self.threads.lock().ran = begin.tell.map(|tell| (thread::current().id(), tell));
        // Held by the turn as well.
        let _held = self.threads.clone();
        if begin.waits {
            pass("never").await;
        }
    }
}

#[tokio::test]
async fn a_state_that_may_not_leave_its_thread_and_a_turn_that_waits_are_dropped_on_it() {
    for waits in [false, true] {
        let cluster = cluster_name();
        let options = SiloOptions {
            name: "one".into(),
            store: format!("memory:{cluster}"),
            cluster,
            workers: 1,
            handle_signals: false,
            shutdown_timeout: Duration::from_millis(300),
            freeze_timeout: Duration::from_millis(100),
            migration_timeout: Duration::from_millis(200),
            ..SiloOptions::default()
        };
        let silo = Silo::builder().options(options).start().await.expect("the silo starts");
        let (tell, told) = mpsc::channel();
        let bound = silo.actor::<Bound>("b");
        let asked = bound
            .try_ask(Begin {
                tell: Some(tell),
                waits,
            })
            .expect("room");
        if !waits {
            asked.await.expect("answered");
        }
        // The reference goes on another thread than the actor, and before it.
        drop(bound);
        let report = silo.stop().await.expect("it stops");
        assert_eq!(report.forced.len(), usize::from(waits), "{report:?}");
        let (ran, dropped) = told.recv().expect("it was dropped");
        assert_eq!(ran, dropped);
        assert_ne!(dropped, thread::current().id());
    }
}
