//! One task's place among those who wait.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Source;

/// A place that is taken while its owner waits. Dropping it gives it up, and passes on what it was notified of.
pub(crate) struct Registration {
    source: Arc<Source>,
    /// It was enlisted under this key, and has not looked since it was notified, if it was.
    key: Option<u64>,
}

impl Registration {
    pub(crate) fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), key: None }
    }

    /// Looks; if `look` finds nothing, the task is woken when it may. `look` is told whether this is the last look before
    /// that.
    ///
    /// `always`: it wants to look after every ring, not only when it is its turn. `pass_on` is called when something was found
    /// that a ring was for, and nobody else in this process waits: it epoch for others if there is more.
    pub(crate) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        always: bool,
        mut look: impl FnMut(bool) -> Option<R>,
        pass_on: impl FnOnce(),
    ) -> Poll<R> {
        if !self.source.is_own_process() {
            self.key = None;
            // It finds out why nothing will ever come.
            return look(true).map_or(Poll::Pending, Poll::Ready);
        }
        let mut was_notified = self.key.take_if(|key| !self.source.is_registered(*key)).is_some();
        if let Some(found) = look(false) {
            return self.found(found, was_notified, pass_on);
        }
        if let Some(key) = self.key {
            if self.source.update(key, context.waker()) {
                // It has looked after it was armed, and nobody has notified for it since.
                return Poll::Pending;
            }
            // Notified just now, by a waker that may be another task's.
            was_notified = true;
        }
        self.key = Some(self.source.register(context.waker().clone(), always));
        match look(true) {
            Some(found) => self.found(found, was_notified, pass_on),
            None => Poll::Pending,
        }
    }

    /// Looks may not be farther apart than that, from the next one on: as its owner has found just now.
    pub(crate) fn limit_slices(&self, most: Duration) {
        self.source.limit_slices(most);
    }

    /// It waits no longer, because it has found something.
    fn found<R>(&mut self, found: R, was_notified: bool, pass_on: impl FnOnce()) -> Poll<R> {
        self.leave();
        // There may be more than this.
        if was_notified && !self.source.pass() {
            pass_on();
        }
        Poll::Ready(found)
    }

    /// It waits no longer; if it was notified meanwhile, somebody else is.
    pub(crate) fn leave(&mut self) {
        let key = self.key.take();
        if let Some(key) = key
            && self.source.is_own_process()
            && !self.source.leave(key)
        {
            self.source.pass_anywhere();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leave();
    }
}
