//! Items of callers that know nothing of each other, done by the same scripts: most of what one item costs by itself is its script.

use super::{
    batch::{Item, Part, in_parts},
    failure::Failure,
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::mem;
use tokio::{sync::oneshot, task};

/// How many batches are under way at a time: what comes meanwhile waits, and goes with the next.
const MOST_UNDER_WAY: usize = 2;

/// The most items of one batch.
const MAX_BATCH: usize = 1_024;

type Outcome<O> = Result<O, Failure>;

/// An item, and who waits for what becomes of it.
type Waiting<I, O> = Item<(I, oneshot::Sender<Outcome<O>>)>;

/// What waits to be done together.
pub(super) struct Together<I, O> {
    state: Mutex<State<I, O>>,
}

struct State<I, O> {
    waiting: Vec<Waiting<I, O>>,
    under_way: usize,
}

impl<I, O> Default for Together<I, O> {
    fn default() -> Self {
        let waiting = Vec::new();
        Self {
            state: Mutex::new(State { waiting, under_way: 0 }),
        }
    }
}

impl<I, O> Together<I, O> {
    /// Adds an item. Answers also whether somebody has to [do](Self::go) what waits, in a task of its own.
    pub(super) fn add(&self, item: Item<I>) -> (oneshot::Receiver<Outcome<O>>, bool) {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        state.waiting.push(Item {
            partition: item.partition,
            bytes: item.bytes,
            item: (item.item, tell),
        });
        let begins = state.under_way < MOST_UNDER_WAY;
        state.under_way += usize::from(begins);
        (told, begins)
    }

    /// Has `call` do what waits until nothing does. It answers of each of its items, or fails all of them; those of a partition are done in
    /// the order that they came in.
    pub(super) async fn go<F>(&self, call: impl Fn(u64, Vec<I>, usize) -> F)
    where
        F: Future<Output = Result<Vec<Outcome<O>>, Failure>>,
    {
        let _ends = Ends(self);
        // Others are about to come.
        task::yield_now().await;
        while let Some(batch) = self.next() {
            let parts = in_parts(batch).map(|(partition, part)| done(partition, part, &call));
            join_all(parts).await;
        }
    }

    /// What is done next; `None` ends the doing.
    fn next(&self) -> Option<Vec<Waiting<I, O>>> {
        let mut state = self.state.lock();
        let rest = state.waiting.len().min(MAX_BATCH);
        let rest = state.waiting.split_off(rest);
        let batch = mem::replace(&mut state.waiting, rest);
        (!batch.is_empty()).then_some(batch)
    }
}

/// One less is under way, however that ends.
struct Ends<'t, I, O>(&'t Together<I, O>);

impl<I, O> Drop for Ends<'_, I, O> {
    fn drop(&mut self) {
        self.0.state.lock().under_way -= 1;
    }
}

async fn done<I, O, F>(
    partition: u64,
    part: Part<(I, oneshot::Sender<Outcome<O>>)>,
    call: &impl Fn(u64, Vec<I>, usize) -> F,
) where
    F: Future<Output = Result<Vec<Outcome<O>>, Failure>>,
{
    for chunk in part.chunks {
        let (items, tell): (Vec<I>, Vec<_>) = chunk.items.into_iter().unzip();
        match call(partition, items, chunk.bytes).await {
            Ok(outcomes) if outcomes.len() == tell.len() => {
                for (tell, outcome) in tell.into_iter().zip(outcomes) {
                    // Who does not wait any more does not want to know.
                    let _gone = tell.send(outcome);
                }
            }
            Ok(outcomes) => {
                let why = format!("{} answers to {} items", outcomes.len(), tell.len());
                for tell in tell {
                    let _gone = tell.send(Err(Failure::corrupt("the answer of a script", &why)));
                }
            }
            Err(failure) => {
                for tell in tell {
                    let _gone = tell.send(Err(failure.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn add(together: &Together<usize, usize>, number: usize) -> (oneshot::Receiver<Outcome<usize>>, bool) {
        together.add(Item {
            partition: number as u64 % 2,
            bytes: 0,
            item: number,
        })
    }

    fn outcome(told: oneshot::Receiver<Outcome<usize>>) -> Outcome<usize> {
        told.now_or_never().expect("it is done").expect("it is told")
    }

    #[tokio::test]
    async fn what_comes_in_a_moment_is_done_together_and_each_hears_of_its_own() {
        let (together, calls) = (Together::default(), Mutex::new(Vec::new()));
        let (told, begins): (Vec<_>, Vec<_>) = (0..5).map(|number| add(&together, number)).unzip();
        assert_eq!(begins, [true, true, false, false, false]);
        let call = |partition, items: Vec<usize>, _| {
            calls.lock().push((partition, items.clone()));
            async move {
                let outcome = |item| match item {
                    3 => Err(Failure::corrupt("it", "three")),
                    item => Ok(item * 10),
                };
                Ok(items.into_iter().map(outcome).collect())
            }
        };
        together.go(call).await;
        together.go(call).await;
        assert_eq!(*calls.lock(), [(0, vec![0, 2, 4]), (1, vec![1, 3])], "in order");
        let found: Vec<_> = told.into_iter().map(|told| outcome(told).ok()).collect();
        assert_eq!(
            found,
            [Some(0), Some(10), Some(20), None, Some(40)],
            "a failure is of one item"
        );
        assert!(add(&together, 5).1, "nothing is under way any more");
    }

    #[tokio::test]
    async fn what_comes_while_batches_are_under_way_goes_with_the_next() {
        let (together, calls) = (Together::default(), Mutex::new(Vec::new()));
        let mut told = vec![add(&together, 0).0];
        let late = Mutex::new(Vec::new());
        together
            .go(|_, items: Vec<usize>, _| {
                if calls.lock().is_empty() {
                    // Another batch may begin beside it, and no third.
                    late.lock()
                        .extend([add(&together, 2), add(&together, 4), add(&together, 6)]);
                }
                calls.lock().push(items.clone());
                async { Ok(items.into_iter().map(Ok).collect()) }
            })
            .await;
        let (more, begins): (Vec<_>, Vec<_>) = late.into_inner().into_iter().unzip();
        assert_eq!(begins, [true, false, false]);
        assert_eq!(*calls.lock(), [vec![0], vec![2, 4, 6]]);
        told.extend(more);
        let found: Vec<_> = told.into_iter().filter_map(|told| outcome(told).ok()).collect();
        assert_eq!(found, [0, 2, 4, 6]);
    }

    #[tokio::test]
    async fn a_script_that_fails_or_answers_too_little_fails_its_own_items_alone() {
        let together = Together::default();
        let told: Vec<_> = (0..4).map(|number| add(&together, number).0).collect();
        let call = |partition, items: Vec<usize>, _| async move {
            match partition {
                0 => Err(Failure::Refused("not now".into())),
                _ => Ok(items.into_iter().take(1).map(Ok).collect()),
            }
        };
        together.go(call).await;
        let found: Vec<_> = told.into_iter().map(outcome).collect();
        assert!(
            matches!(
                found[..],
                [
                    Err(Failure::Refused(_)),
                    Err(Failure::Corrupt { .. }),
                    Err(Failure::Refused(_)),
                    Err(Failure::Corrupt { .. })
                ]
            ),
            "{found:?}"
        );
    }
}
