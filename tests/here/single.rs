//! One turn at a time, whatever runs it.

use super::*;

/// Notes whether anything of it ever ran beside anything else of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Single {
    ran: u64,
}

static INSIDE: Mutex<BTreeMap<String, &str>> = Mutex::new(BTreeMap::new());
static OVERLAPS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOKS: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);

struct Inside(String);

impl Inside {
    fn enter(key: &str, what: &'static str) -> Self {
        if let Some(other) = INSIDE.lock().insert(key.to_owned(), what) {
            OVERLAPS.lock().push(format!("{what} beside {other}"));
        }
        Self(key.to_owned())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.lock().remove(&self.0);
    }
}

async fn give_way() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "single.touch", reply = u64)]
struct Touch {
    waits: bool,
    leaves: bool,
}

#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "single.tick")]
struct Tick;

#[actor(kind = "single", messages(Touch, Tick))]
impl Actor for Single {
    async fn on_activate(&mut self, ctx: &mut Context<Self>) -> Result<(), ActivationError> {
        let _inside = Inside::enter(ctx.key(), "on_activate");
        give_way().await;
        ctx.set_interval("tick", Duration::from_millis(1), Tick);
        HOOKS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn on_deactivate(&mut self, ctx: &mut Context<Self>, _: DeactivateReason) {
        let _inside = Inside::enter(ctx.key(), "on_deactivate");
        give_way().await;
        HOOKS.fetch_add(1, Ordering::Relaxed);
    }
}

impl Handler<Touch> for Single {
    async fn handle(&mut self, touch: Touch, ctx: &mut Context<Self>) -> u64 {
        let _inside = Inside::enter(ctx.key(), "a turn");
        if touch.waits {
            give_way().await;
        }
        if touch.leaves {
            ctx.deactivate();
        }
        self.ran += 1;
        self.ran
    }
}

impl Handler<Tick> for Single {
    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        let _inside = Inside::enter(ctx.key(), "a tick");
        give_way().await;
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Guarantee 9: turns from the queue, turns that run where they are asked for and those of them that wait, ticks, and hooks.
#[tokio::test]
async fn one_turn_at_a_time() {
    const EACH: u64 = 500;
    let silo = silo(&cluster_name(), "one")
        .workers(1)
        .start()
        .await
        .expect("the silo starts");
    let keys = ["a", "b"];
    let touch = |silo: &SiloHandle, salt: u64| {
        let singles = keys.map(|key| silo.actor::<Single>(key));
        async move {
            for n in 0..EACH {
                let touch = Touch {
                    waits: (n + salt).is_multiple_of(3),
                    leaves: (n + salt).is_multiple_of(61),
                };
                let single = &singles[(n % 2) as usize];
                if n % 5 == salt % 5 {
                    single.tell(touch).await.expect("sent");
                } else {
                    single.ask(touch).await.expect("answered");
                }
            }
        }
    };
    let from_turn = on_arbiter(&silo, Place::Turn, touch(&silo, 0));
    let tasks: Vec<_> = (1..4).map(|salt| touch(&silo, salt)).collect();
    let from_tasks = on_arbiter(&silo, Place::Task, async {
        join_all(tasks).await;
    });
    tokio::join!(from_turn, from_tasks, touch(&silo, 4), touch(&silo, 5));
    let mut ran = 0;
    for key in keys {
        let last = Touch {
            waits: true,
            leaves: false,
        };
        ran += silo.actor::<Single>(key).ask(last).await.expect("answered");
    }
    assert_eq!(ran, 6 * EACH + 2, "each once");
    until("it ticks", || TICKS.load(Ordering::Relaxed) > 0).await;
    silo.stop().await.expect("stops in order");
    assert_eq!(*OVERLAPS.lock(), [""; 0]);
    assert!(HOOKS.load(Ordering::Relaxed) >= 8, "they ran between turns");
    assert!(INSIDE.lock().is_empty());
}
