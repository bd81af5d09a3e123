//! Batches: split by partition, since a script touches one; sent together; answered in the order asked.

use super::failure::Failure;
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// The most items of one script: Redis does nothing else meanwhile.
const MAX_ITEMS: usize = 128;

/// The most bytes of state that one script takes beside its first item.
const MAX_BYTES: usize = 1 << 20;

/// An item of a batch.
pub(super) struct Item<I> {
    /// Whose script takes it.
    pub(super) partition: u64,
    /// How many bytes of state it brings.
    pub(super) bytes: usize,
    /// The item.
    pub(super) item: I,
}

/// Has `call` do all items, at the same time for different partitions and one after the other within one, so that items
/// of one actor take effect in order.
pub(super) async fn by_partition<I, O, F>(
    items: impl IntoIterator<Item = Item<I>>,
    call: impl Fn(u64, Vec<I>, usize) -> F,
) -> Result<Vec<O>, Failure>
where
    F: Future<Output = Result<Vec<O>, Failure>>,
{
    let partitions = in_parts(items);
    let call = &call;
    let mut asked = 0;
    let parts = partitions.inspect(|(_, part)| asked += part.places.len());
    let parts: Vec<_> = parts
        .map(|(partition, part)| async move {
            let mut answers = Vec::with_capacity(part.places.len());
            for chunk in part.chunks {
                let asked = chunk.items.len();
                let found = match call(partition, chunk.items, chunk.bytes).await {
                    Err(Failure::Refused(why)) if !answers.is_empty() => return Err(Failure::Unknown(why)),
                    found => found?,
                };
                if found.len() != asked {
                    let why = format!("{} answers to {asked} items", found.len());
                    return Err(Failure::corrupt("the answer of a script", why));
                }
                answers.extend(found);
            }
            Ok(part.places.into_iter().zip(answers).collect::<Vec<_>>())
        })
        .collect();
    let mut answers: Vec<Option<O>> = std::iter::repeat_with(|| None).take(asked).collect();
    for (place, answer) in Failure::of_parts(join_all(parts).await)?.into_iter().flatten() {
        answers[place] = Some(answer);
    }
    Ok(answers
        .into_iter()
        .map(|answer| answer.expect("invariant: each item is in one part"))
        .collect())
}

/// The items by their partitions.
pub(super) fn in_parts<I>(items: impl IntoIterator<Item = Item<I>>) -> impl Iterator<Item = (u64, Part<I>)> {
    let mut partitions: BTreeMap<u64, Part<I>> = BTreeMap::new();
    for (place, item) in items.into_iter().enumerate() {
        partitions.entry(item.partition).or_default().push(place, item);
    }
    partitions.into_iter()
}

/// The items of one partition, and where they stood in the batch.
pub(super) struct Part<I> {
    places: Vec<usize>,
    pub(super) chunks: Vec<Chunk<I>>,
}

/// The items of one script.
pub(super) struct Chunk<I> {
    pub(super) items: Vec<I>,
    pub(super) bytes: usize,
}

impl<I> Default for Part<I> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            chunks: Vec::new(),
        }
    }
}

impl<I> Part<I> {
    fn push(&mut self, place: usize, item: Item<I>) {
        self.places.push(place);
        match self.chunks.last_mut() {
            Some(last) if last.items.len() < MAX_ITEMS && last.bytes + item.bytes <= MAX_BYTES => {
                last.items.push(item.item);
                last.bytes += item.bytes;
            }
            _ => self.chunks.push(Chunk {
                items: vec![item.item],
                bytes: item.bytes,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use parking_lot::Mutex;

    fn items(partitions: &[u64], bytes: usize) -> impl Iterator<Item = Item<usize>> {
        partitions
            .iter()
            .enumerate()
            .map(move |(item, &partition)| Item { partition, bytes, item })
    }

    #[test]
    fn answers_come_in_the_order_asked() {
        let asked = by_partition(
            items(&[3, 1, 3, 2, 1], 0),
            |partition, items: Vec<usize>, _| async move {
                Ok(items.into_iter().map(|item| (partition, item)).collect::<Vec<_>>())
            },
        );
        let answers = asked.now_or_never().expect("nothing waits").expect("no failure");
        assert_eq!(answers, [(3, 0), (1, 1), (3, 2), (2, 3), (1, 4)]);
    }

    #[test]
    fn a_script_takes_no_more_than_its_share() {
        for (count, bytes, expected) in [(300, 0, vec![128, 128, 44]), (3, MAX_BYTES / 2, vec![2, 1])] {
            let sizes = Mutex::new(Vec::new());
            let partitions = vec![7; count];
            let asked = by_partition(items(&partitions, bytes), |_, items: Vec<usize>, _| {
                sizes.lock().push(items.len());
                async { Ok(items) }
            });
            let answers = asked.now_or_never().expect("nothing waits").expect("no failure");
            assert_eq!(answers, (0..count).collect::<Vec<_>>());
            assert_eq!(*sizes.lock(), expected);
        }
    }

    #[test]
    fn too_few_answers_are_no_answer() {
        let asked = by_partition(items(&[1, 1], 0), |_, _: Vec<usize>, _| async { Ok(vec![()]) });
        let failure = asked.now_or_never().expect("nothing waits");
        assert!(matches!(failure, Err(Failure::Corrupt { .. })));
    }

    #[test]
    fn what_is_refused_after_a_part_was_done_is_not_known() {
        let asked = by_partition(items(&[1; MAX_ITEMS + 1], 0), |_, items: Vec<usize>, _| async {
            match items.len() {
                MAX_ITEMS => Ok(items),
                _ => Err(Failure::Refused("not now".into())),
            }
        });
        let failure = asked.now_or_never().expect("nothing waits");
        assert!(matches!(failure, Err(Failure::Unknown(_))));
    }
}
