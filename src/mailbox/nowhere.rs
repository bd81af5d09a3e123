//! A host for tests of mailboxes that nothing runs.

use super::{Host, Mailbox, NotHere};
use std::{
    any::{Any, TypeId},
    sync::Arc,
};

/// Runs nothing.
pub(crate) struct Nowhere;

impl Host for Nowhere {
    fn offers(&self) -> &dyn Any {
        &()
    }

    fn inject(&self, _: &Arc<Mailbox>) {}

    fn run_here(&self, _: &Arc<Mailbox>, _: TypeId, _: &mut dyn Any) -> Result<(), NotHere> {
        Err(NotHere)
    }
}
