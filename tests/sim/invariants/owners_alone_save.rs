//! The store takes what an owner saves, by its entry at that moment, and nothing of anybody else. (Guarantee 8)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    match run.saves.iter().find(|saved| !saved.entry.is_owned_by(&saved.by)) {
        Some(saved) => Err(format!(
            "at {:?} {:?} saved {}, whose entry was {:?}",
            saved.at, saved.by, saved.actor, saved.entry
        )),
        None => Ok(()),
    }
}
