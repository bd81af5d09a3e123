//! The way of one process to one actor.

use crate::ident::{Epoch, Hint, SiloId};
use std::collections::VecDeque;

/// What a way wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step<I> {
    /// Send the message to the silo.
    Send {
        /// To whom.
        to: SiloId,
        /// The message.
        message: I,
    },
    /// Send a fence down the link to the silo.
    Fence {
        /// To whom.
        to: SiloId,
        /// Its number.
        k: u64,
    },
    /// Ask the silo to say when it has handled what was sent to it before.
    Mark {
        /// To whom.
        to: SiloId,
        /// Its number.
        k: u64,
    },
    /// Ask the silo to be let in.
    Enter {
        /// To whom.
        to: SiloId,
        /// Its number.
        k: u64,
    },
    /// Find out who owns the actor or who should; answered by `located` or `not_located`.
    Locate {
        /// How often in a row that came to nothing; wait longer the more.
        attempt: u32,
    },
}

/// Where a way stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Nobody has asked for the actor yet.
    New,
    /// Messages go to the route.
    Open,
    /// As `Open`, and so much was sent that more waits until some of it was handled (`Handled`).
    Paced,
    /// The old route is to say that all sent on it has come to rest (`Fenced`, or `Flushed` when it leaves).
    Fencing,
    /// The link to the route was lost with messages on it. Waits for a new link or the silo's death.
    Lost,
    /// As `Lost`, and the silo is dead, or said that it lost messages: the next owner is to be entered.
    Dead,
    /// The directory is asked where to enter.
    LocatingEntry,
    /// The next owner is to say when nothing older can reach the actor.
    Entering,
    /// The directory is asked.
    Locating,
}

/// What a fence is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Purpose {
    /// To find out where the way leads next.
    #[default]
    Switch,
    /// Only to show that the way can be forgotten.
    Retire,
    /// Only to show that what was sent has come to rest, so that more can be.
    Pace,
}

/// The way of one process to one actor, for all its senders. `I` is a message.
///
/// Steps are put into the vector that each event is given, to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way<I> {
    route: Option<Hint>,
    want: Option<Hint>,
    stage: Stage,
    k: u64,
    /// How many messages were sent on the route since its last `Fenced`, and how many of them came back.
    sent: u64,
    came_back: u64,
    /// How many of them are not known to have been handled.
    ahead: u64,
    /// How many marks are under way, each behind `MARK_EVERY` messages more than the one before. The number of the last is `k`, or they
    /// are not waited for any more.
    marked: u64,
    /// Whether the silo of the route has answered a mark: one of an older version does not.
    marks: bool,
    /// How often in a row all that was sent came back.
    attempt: u32,
    /// Whether something came back since the last `Fenced` that is not to be sent again at once.
    full: bool,
    /// What the fence under way is for.
    purpose: Purpose,
    returned: VecDeque<I>,
    held: VecDeque<I>,
}

impl<I> Default for Way<I> {
    fn default() -> Self {
        Self {
            route: None,
            want: None,
            stage: Stage::New,
            k: 0,
            sent: 0,
            came_back: 0,
            ahead: 0,
            marked: 0,
            marks: false,
            attempt: 0,
            full: false,
            purpose: Purpose::Switch,
            returned: VecDeque::new(),
            held: VecDeque::new(),
        }
    }
}

impl<I> Way<I> {
    /// The most messages that wait for a way; more are for the caller to hold back.
    pub const MAX_HELD: usize = 750;

    /// The most messages that are sent before it is known that they were handled. With those that may wait meanwhile a default
    /// mailbox and a half.
    pub const WINDOW: u64 = 750;

    /// After so many messages the silo is asked to say when it has handled them, while more are sent.
    pub const MARK_EVERY: u64 = 125;

    /// The silo that messages go to, if they can go now.
    pub fn open_route(&self) -> Option<&Hint> {
        self.route.as_ref().filter(|_| self.stage == Stage::Open)
    }

    /// The silo that the way leads to or led to last.
    pub fn route(&self) -> Option<&Hint> {
        self.route.as_ref()
    }

    /// Whether one more message can be taken.
    pub fn has_room(&self) -> bool {
        self.stage == Stage::Open || self.held.len() < Self::MAX_HELD
    }

    /// Whether more waits until some of what was sent was handled.
    pub fn is_paced(&self) -> bool {
        self.stage == Stage::Paced
    }

    /// Whether the way can be forgotten without harm: a new one would do the same.
    pub fn is_idle(&self) -> bool {
        match self.stage {
            Stage::New => !self.waits(),
            Stage::Open => self.sent == 0,
            _ => false,
        }
    }

    /// Whether something is awaited: a fence, an entry, the directory, a link. Messages wait only in such a way.
    pub fn is_unsettled(&self) -> bool {
        !matches!(self.stage, Stage::New | Stage::Open | Stage::Dead)
    }

    /// Nobody uses the way now. If something was sent on it, a fence shows when all of it has come to rest; then the way is
    /// idle ([`Way::is_idle`]) and can be forgotten, and the next one may lead anywhere without overtaking anything. A
    /// message that is sent meanwhile waits for the fence and goes on as before.
    pub fn retire(&mut self, steps: &mut Vec<Step<I>>) {
        if self.stage == Stage::Open && self.sent > 0 {
            self.purpose = Purpose::Retire;
            self.start_fence(steps);
        }
    }

    /// A message was sent along the route. After [`Way::WINDOW`] of them the next wait until some were handled: else a mailbox that
    /// is full would send back whatever fits into a link. A silo that has not answered a mark shows by a fence that all have come
    /// to rest. `is_far`: the route leads to another process, which answers marks when it has handled what it read before.
    pub fn pace(&mut self, is_far: bool, steps: &mut Vec<Step<I>>) {
        let Some(route) = self.route.as_ref().filter(|_| self.stage == Stage::Open) else {
            return;
        };
        // One that is not answered is enough to show that the silo does not know marks.
        let may_mark = is_far && (self.marks || self.marked == 0);
        if may_mark && self.ahead >= (self.marked + 1) * Self::MARK_EVERY {
            self.k += 1;
            self.marked += 1;
            steps.push(Step::Mark {
                to: route.silo.clone(),
                k: self.k,
            });
        }
        if self.ahead >= Self::WINDOW {
            if self.marks {
                self.stage = Stage::Paced;
            } else {
                self.purpose = Purpose::Pace;
                self.start_fence(steps);
            }
        }
    }

    /// The silo has handled what was sent before the mark: nothing of it can come back any more that has not.
    pub fn handled(&mut self, from: &SiloId, k: u64, steps: &mut Vec<Step<I>>) {
        if !self.leads_to(from) {
            return;
        }
        self.marks = true;
        // What is under way behind a fence, or behind a lost link, is not waited for.
        let is_waited_for = matches!(self.stage, Stage::Open | Stage::Paced);
        let later = self
            .k
            .checked_sub(k)
            .filter(|later| is_waited_for && *later < self.marked);
        let Some(later) = later else { return };
        self.ahead -= (self.marked - later) * Self::MARK_EVERY;
        self.marked = later;
        if self.stage == Stage::Paced {
            self.stage = Stage::Open;
            self.send_held(steps);
        }
    }

    /// What waits behind an open way goes, as far as there is room.
    fn send_held(&mut self, steps: &mut Vec<Step<I>>) {
        while self.stage == Stage::Open && !self.held.is_empty() {
            let message = self.held.pop_front().expect("invariant: it was looked at");
            self.send(message, steps);
            self.pace(true, steps);
        }
    }

    /// What waits, in order, taken out: the process ends.
    pub fn drain(&mut self) -> Vec<I> {
        self.returned.drain(..).chain(self.held.drain(..)).collect()
    }

    /// Messages that wait and need not any more are taken out.
    pub fn remove_if(&mut self, mut is_over: impl FnMut(&I) -> bool) -> Vec<I> {
        let mut over = Vec::new();
        for queue in [&mut self.returned, &mut self.held] {
            for item in std::mem::take(queue) {
                if is_over(&item) {
                    over.push(item);
                } else {
                    queue.push_back(item);
                }
            }
        }
        over
    }

    /// A sender's message.
    pub fn send(&mut self, message: I, steps: &mut Vec<Step<I>>) {
        match (&self.stage, &self.route) {
            (Stage::Open, Some(route)) => {
                self.sent += 1;
                self.ahead += 1;
                steps.push(Step::Send {
                    to: route.silo.clone(),
                    message,
                });
            }
            _ => {
                self.held.push_back(message);
                match self.stage {
                    Stage::New => self.locate(Stage::Locating, steps),
                    Stage::Dead => self.locate(Stage::LocatingEntry, steps),
                    _ => {}
                }
            }
        }
    }

    /// Nobody has asked for the actor yet, and this is where it is or should come up: the same as to send a message and to be
    /// told this by [`Way::located`], without the message. `false`: the way is not new.
    pub fn begin(&mut self, hint: Hint) -> bool {
        let is_new = self.is_new();
        if is_new {
            self.lead_to(hint);
            self.want = None;
            self.stage = Stage::Open;
            self.nothing_sent();
        }
        is_new
    }

    /// Whether nobody has asked for the actor yet, or it has been forgotten, so that placement's word will do.
    pub fn is_new(&self) -> bool {
        self.stage == Stage::New && self.route.is_none() && self.attempt == 0 && !self.waits()
    }

    /// A message was sent on the route by the short way, past [`Way::send`].
    pub fn sent_directly(&mut self) {
        self.sent += 1;
        self.ahead += 1;
        self.attempt = 0;
    }

    fn locate(&mut self, stage: Stage, steps: &mut Vec<Step<I>>) {
        self.stage = stage;
        steps.push(Step::Locate { attempt: self.attempt });
    }

    /// The directory's (or placement's) word.
    pub fn located(&mut self, hint: Hint, steps: &mut Vec<Step<I>>) {
        match self.stage {
            Stage::Locating => {
                self.lead_to(hint);
                self.switched(steps);
            }
            Stage::LocatingEntry => {
                self.k += 1;
                steps.push(Step::Enter {
                    to: hint.silo.clone(),
                    k: self.k,
                });
                self.lead_to(hint);
                self.stage = Stage::Entering;
            }
            _ => {}
        }
    }

    /// Nobody could say where the actor is, or nobody may have it. Answers what waits: to be failed, or to be sent again.
    pub fn not_located(&mut self) -> Vec<I> {
        self.stage = match self.stage {
            Stage::Locating => Stage::New,
            Stage::LocatingEntry => Stage::Dead,
            _ => return Vec::new(),
        };
        self.want = None;
        self.drain()
    }

    /// Asks the directory again: it could not answer.
    pub fn locate_again(&mut self, steps: &mut Vec<Step<I>>) {
        if matches!(self.stage, Stage::Locating | Stage::LocatingEntry) {
            self.attempt += 1;
            steps.push(Step::Locate { attempt: self.attempt });
        }
    }

    fn learn(&mut self, hint: Option<Hint>) {
        let Some(hint) = hint else { return };
        if self.want.as_ref().is_none_or(|want| hint.epoch > want.epoch) {
            self.want = Some(hint);
        }
    }

    /// No way leads to this silo from now on.
    fn unlearn(&mut self, silo: &SiloId) {
        self.want.take_if(|want| want.silo == *silo);
    }

    /// A message came back from `from` unrun. `wait`: the silo could not take it now, so that it is not to be sent at once.
    pub fn bounced(&mut self, from: &SiloId, message: I, hint: Option<Hint>, wait: bool, steps: &mut Vec<Step<I>>) {
        self.returned.push_back(message);
        let is_route = self.route.as_ref().is_some_and(|route| route.silo == *from);
        if is_route {
            self.learn(hint);
        }
        self.came_back += 1;
        self.full |= wait;
        match self.stage {
            Stage::Open | Stage::Paced => self.start_fence(steps),
            Stage::New => self.locate(Stage::Locating, steps),
            Stage::Dead => self.locate(Stage::LocatingEntry, steps),
            _ => {}
        }
    }

    /// The actor has moved; a hint that never switches the way by itself.
    pub fn moved(&mut self, hint: Hint, steps: &mut Vec<Step<I>>) {
        let newer = |route: &Hint| hint.epoch > route.epoch;
        if self.route.as_ref().is_some_and(newer) {
            self.learn(Some(hint));
            if matches!(self.stage, Stage::Open | Stage::Paced) {
                self.start_fence(steps);
            }
        }
    }

    fn start_fence(&mut self, steps: &mut Vec<Step<I>>) {
        let Some(route) = &self.route else { return };
        if self.sent == 0 {
            return self.finish_fence(steps);
        }
        self.k += 1;
        self.stage = Stage::Fencing;
        steps.push(Step::Fence {
            to: route.silo.clone(),
            k: self.k,
        });
    }

    /// A fence or an entry was answered by `from`.
    pub fn fenced(&mut self, from: &SiloId, k: u64, hint: Option<Hint>, lost: bool, steps: &mut Vec<Step<I>>) {
        if k != self.k || self.route.as_ref().is_none_or(|route| route.silo != *from) {
            return;
        }
        match self.stage {
            Stage::Entering => {
                if let (Some(route), Some(hint)) = (&mut self.route, hint)
                    && hint.silo == route.silo
                    && hint.epoch > route.epoch
                {
                    route.epoch = hint.epoch;
                }
                self.switched(steps);
            }
            Stage::Fencing => {
                self.learn(hint);
                if lost && self.purpose == Purpose::Retire && !self.waits() {
                    self.purpose = Purpose::Switch;
                    self.want = None;
                    self.stage = Stage::Dead;
                } else if lost {
                    self.locate(Stage::LocatingEntry, steps);
                } else {
                    self.finish_fence(steps);
                }
            }
            _ => {}
        }
    }

    /// The silo that was to be entered does not own the actor.
    pub fn not_here(&mut self, from: &SiloId, k: u64, steps: &mut Vec<Step<I>>) {
        let is_route = self.route.as_ref().is_some_and(|route| route.silo == *from);
        if self.stage == Stage::Entering && k == self.k && is_route {
            self.attempt += 1;
            self.locate(Stage::LocatingEntry, steps);
        }
    }

    fn waits(&self) -> bool {
        !self.returned.is_empty() || !self.held.is_empty()
    }

    /// Nobody waits: the next sender finds out anew where the actor is.
    fn forget_route(&mut self) {
        self.stage = Stage::New;
        self.route = None;
        self.want = None;
        self.nothing_sent();
    }

    fn finish_fence(&mut self, steps: &mut Vec<Step<I>>) {
        let purpose = std::mem::take(&mut self.purpose);
        if purpose == Purpose::Retire && !self.waits() {
            return self.forget_route();
        }
        if self.came_back < self.sent {
            // Something came to rest: the way works.
            self.attempt = 0;
        }
        if self.came_back > 0 {
            self.attempt = (self.attempt + 1).max(1 + u32::from(self.full));
        }
        let route_epoch = self.route.as_ref().map_or(Epoch::ZERO, |route| route.epoch);
        match self.want.take() {
            Some(want) if want.epoch > route_epoch => {
                self.lead_to(want);
                self.attempt = 0;
                self.switched(steps);
            }
            // It is in use, and nothing says that it leads elsewhere.
            _ if purpose != Purpose::Switch && self.came_back == 0 => self.switched(steps),
            _ => self.locate(Stage::Locating, steps),
        }
    }

    /// The way leads to the new route: first what was given back, in order, then what was held.
    fn switched(&mut self, steps: &mut Vec<Step<I>>) {
        self.want = None;
        self.stage = Stage::Open;
        self.nothing_sent();
        if !self.marks {
            for message in self.drain() {
                self.send(message, steps);
            }
            return;
        }
        self.held = self.drain().into();
        self.send_held(steps);
    }

    fn lead_to(&mut self, hint: Hint) {
        self.marks &= self.leads_to(&hint.silo);
        self.route = Some(hint);
    }

    fn nothing_sent(&mut self) {
        self.sent = 0;
        self.came_back = 0;
        self.ahead = 0;
        self.marked = 0;
        self.full = false;
    }

    /// The silo leaves: if the way leads there, messages are held until it is flushed.
    pub fn leaving(&mut self, silo: &SiloId) {
        self.unlearn(silo);
        if self.leads_to(silo) {
            // It is not to be used again after the fence.
            self.purpose = Purpose::Switch;
        }
        if matches!(self.stage, Stage::Open | Stage::Paced) && self.leads_to(silo) {
            self.k += 1;
            self.stage = Stage::Fencing;
        }
    }

    /// Everything sent to a leaving silo has come to rest elsewhere.
    pub fn flushed(&mut self, silo: &SiloId, steps: &mut Vec<Step<I>>) {
        if !self.leads_to(silo) {
            return;
        }
        self.purpose = Purpose::Switch;
        match self.stage {
            Stage::Open | Stage::Paced | Stage::Fencing | Stage::Lost if !self.waits() => self.forget_route(),
            Stage::Open | Stage::Paced | Stage::Fencing | Stage::Lost => self.finish_fence(steps),
            Stage::Entering => self.locate(Stage::LocatingEntry, steps),
            _ => {}
        }
    }

    fn leads_to(&self, silo: &SiloId) -> bool {
        self.route.as_ref().is_some_and(|route| route.silo == *silo)
    }

    /// The link to a silo was lost. What was sent on it and not answered is for the process to end as unknown.
    pub fn link_lost(&mut self, silo: &SiloId, steps: &mut Vec<Step<I>>) {
        if !self.leads_to(silo) {
            return;
        }
        match self.stage {
            // A way that nothing was sent on has nothing to lose: the next message goes on a new link.
            Stage::Open if self.sent > 0 => self.stage = Stage::Lost,
            Stage::Paced => self.stage = Stage::Lost,
            Stage::Fencing => {
                self.stage = Stage::Lost;
                self.purpose = Purpose::Switch;
            }
            Stage::Entering => {
                // Until the silo is known to be dead the directory may go on naming it.
                self.attempt += 1;
                self.locate(Stage::LocatingEntry, steps);
            }
            _ => {}
        }
    }

    /// There is a link to a silo again.
    pub fn link_renewed(&mut self, silo: &SiloId, steps: &mut Vec<Step<I>>) {
        if self.stage == Stage::Lost && self.leads_to(silo) {
            self.sent = self.sent.max(1);
            self.start_fence(steps);
        }
    }

    /// A silo is dead.
    pub fn silo_died(&mut self, silo: &SiloId, steps: &mut Vec<Step<I>>) {
        self.unlearn(silo);
        if !self.leads_to(silo) {
            return;
        }
        self.purpose = Purpose::Switch;
        match self.stage {
            Stage::Open | Stage::Paced | Stage::Fencing | Stage::Lost => {
                let unsent = self.stage == Stage::Open && self.sent == 0;
                if unsent {
                    self.stage = Stage::New;
                    self.route = None;
                } else if !self.waits() {
                    self.stage = Stage::Dead;
                } else {
                    self.locate(Stage::LocatingEntry, steps);
                }
            }
            Stage::Entering => self.locate(Stage::LocatingEntry, steps),
            _ => {}
        }
    }
}
