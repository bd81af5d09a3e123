//! An event of a stream comes to each subscriber at most once and in its publisher's order; where nothing fails each comes, and all
//! subscribers see one order. (Guarantees 1, 3, 4)

use crate::{story::Run, watcher::WATCHERS};
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let heard = |watcher: &str| run.history.heard.get(watcher).map_or(&[][..], Vec::as_slice);
    for watcher in WATCHERS {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for (by, n) in heard(watcher) {
            let before = last.insert(by, *n).unwrap_or(0);
            if before >= *n {
                return Err(format!("{watcher} heard {n} of {by} behind {before}"));
            }
            if run.is_planned() && before + 1 != *n {
                return Err(format!(
                    "nothing failed, but {watcher} heard {n} of {by} behind {before}"
                ));
            }
        }
    }
    if !run.is_planned() || run.stuck.is_some() {
        return Ok(());
    }
    for (by, n, told) in &run.history.published {
        if let Err(why) = told {
            return Err(format!("nothing failed, but {n} of {by} was not published: {why}"));
        }
        for watcher in WATCHERS {
            if !heard(watcher).iter().any(|(other, m)| (other, m) == (by, n)) {
                return Err(format!("nothing failed, but {watcher} never heard {n} of {by}"));
            }
        }
    }
    let [one, other] = WATCHERS.map(heard);
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some(two) => Err(format!("one subscriber heard first what another did not: {two:?}")),
        None => Ok(()),
    }
}
