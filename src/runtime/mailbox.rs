//! The mailbox: bounded, with a control lane ahead of the messages.

use super::Control;
use crate::actor::Letter;
use std::{collections::VecDeque, task::Waker};

/// What waits for an activation. Guarded by the activation's lock, which is held for pushes and pops only.
pub(super) struct Mailbox {
    letters: VecDeque<Letter>,
    controls: VecDeque<Control>,
    capacity: usize,
    /// Closed: senders are sent to the seat instead.
    open: bool,
    /// In the worker's queue, or being run.
    pub(super) scheduled: bool,
    /// The running turn can go on.
    pub(super) woken: bool,
    waiting_for_room: Vec<Waker>,
}

impl Mailbox {
    pub(super) fn new(capacity: usize, open: bool) -> Self {
        Self {
            letters: VecDeque::new(),
            controls: VecDeque::new(),
            capacity,
            open,
            scheduled: false,
            woken: false,
            waiting_for_room: Vec::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn set_open(&mut self, open: bool) {
        self.open = open;
        if !open {
            // Whoever waits for room here is to look elsewhere.
            self.wake_waiting();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.letters.len() < self.capacity
    }

    pub(super) fn push(&mut self, letter: Letter) {
        self.letters.push_back(letter);
    }

    pub(super) fn pop(&mut self) -> Option<Letter> {
        let letter = self.letters.pop_front();
        if self.letters.len() < self.capacity && !self.waiting_for_room.is_empty() {
            self.wake_waiting();
        }
        letter
    }

    pub(super) fn wait_for_room(&mut self, waker: &Waker) {
        if !self.waiting_for_room.iter().any(|other| other.will_wake(waker)) {
            self.waiting_for_room.push(waker.clone());
        }
    }

    fn wake_waiting(&mut self) {
        for waker in self.waiting_for_room.drain(..) {
            waker.wake();
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        self.controls.push_back(control);
    }

    pub(super) fn pop_control(&mut self) -> Option<Control> {
        self.controls.pop_front()
    }

    pub(super) fn has_control(&self) -> bool {
        !self.controls.is_empty()
    }

    pub(super) fn take_all(&mut self) -> VecDeque<Letter> {
        std::mem::take(&mut self.letters)
    }

    pub(super) fn put_back(&mut self, letters: VecDeque<Letter>) {
        debug_assert!(self.letters.is_empty(), "a stopped activation takes no letters");
        self.letters = letters;
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }
}
