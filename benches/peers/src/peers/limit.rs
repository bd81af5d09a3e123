//! The limit on one thread: a run queue of boxed messages, written by hand. No future, no bound between threads, no reply
//! that anybody could wait for elsewhere.

use std::{
    cell::Cell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

pub(crate) struct Limit {
    actors: Vec<u64>,
    queue: VecDeque<(usize, Box<dyn Message>)>,
}

trait Message {
    fn run(self: Box<Self>, actor: usize, limit: &mut Limit);
}

struct Tell(u64);

impl Message for Tell {
    fn run(self: Box<Self>, actor: usize, limit: &mut Limit) {
        limit.actors[actor] += 1;
        std::hint::black_box(self.0);
    }
}

struct Ask(Rc<Cell<Option<u64>>>);

impl Message for Ask {
    fn run(self: Box<Self>, actor: usize, limit: &mut Limit) {
        limit.actors[actor] += 1;
        self.0.set(Some(limit.actors[actor]));
    }
}

struct Ball(u64);

impl Message for Ball {
    fn run(self: Box<Self>, actor: usize, limit: &mut Limit) {
        limit.actors[actor] += 1;
        if self.0 > 0 {
            limit.queue.push_back((1 - actor, Box::new(Self(self.0 - 1))));
        }
    }
}

impl Limit {
    pub(crate) const NAME: &'static str = "limit";

    fn new(actors: usize) -> Self {
        Self {
            actors: vec![0; actors],
            queue: VecDeque::new(),
        }
    }

    fn run(&mut self) {
        while let Some((actor, message)) = self.queue.pop_front() {
            message.run(actor, self);
        }
    }

    fn finish(self, start: Instant, messages: u64) -> Duration {
        let took = start.elapsed();
        assert_eq!(self.actors.iter().sum::<u64>(), messages, "every message was handled");
        took
    }

    fn tells(actors: usize, burst: usize, messages: u64) -> Duration {
        let mut limit = Self::new(actors);
        let start = Instant::now();
        let mut actor = 0;
        for value in 0..messages {
            limit.queue.push_back((actor, Box::new(Tell(value))));
            actor = if actor + 1 == actors { 0 } else { actor + 1 };
            if limit.queue.len() == burst {
                limit.run();
            }
        }
        limit.run();
        limit.finish(start, messages)
    }

    pub(crate) fn tell(messages: u64) -> Duration {
        Self::tells(1, 1000, messages)
    }

    pub(crate) fn tell_thousand(messages: u64) -> Duration {
        Self::tells(1000, 1000, messages)
    }

    pub(crate) fn tell_thousand_greedily(messages: u64) -> Duration {
        Self::tells(1000, 1_000_000, messages)
    }

    pub(crate) fn ask(messages: u64) -> Duration {
        Self::asks(1, messages)
    }

    pub(crate) fn ask_many(messages: u64) -> Duration {
        Self::asks(256, messages / 256 * 256)
    }

    fn asks(outstanding: usize, messages: u64) -> Duration {
        let mut limit = Self::new(1);
        let replies: Vec<_> = (0..outstanding).map(|_| Rc::new(Cell::new(None))).collect();
        let start = Instant::now();
        for round in 0..messages / outstanding as u64 {
            for reply in &replies {
                limit.queue.push_back((0, Box::new(Ask(reply.clone()))));
            }
            limit.run();
            for (at, reply) in replies.iter().enumerate() {
                assert_eq!(reply.take(), Some(round * outstanding as u64 + at as u64 + 1));
            }
        }
        limit.finish(start, messages)
    }

    pub(crate) fn rally(hops: u64) -> Duration {
        let mut limit = Self::new(2);
        let start = Instant::now();
        limit.queue.push_back((0, Box::new(Ball(hops - 1))));
        limit.run();
        limit.finish(start, hops)
    }
}
