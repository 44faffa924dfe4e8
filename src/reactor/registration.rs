//! The registration of one task as a waiter.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Source;

/// A registration that is enlisted while its owner waits. Dropping it removes it, and passes on its
/// notification.
pub(crate) struct Registration {
    source: Arc<Source>,
    /// The key under which it was enlisted. If it was notified, it has not attempted since.
    key: Option<u64>,
}

impl Registration {
    pub(crate) fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), key: None }
    }

    /// Attempts; if `attempt` finds nothing, the task is woken when it may find something. `attempt` is
    /// told whether this is the last attempt before that.
    ///
    /// `always`: the task attempts after every wake, not only when it is its turn. `pass_on` is
    /// called when a notified task has found something and no other task of this process waits: it
    /// notifies other processes if there is more.
    pub(crate) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        always: bool,
        mut attempt: impl FnMut(bool) -> Option<R>,
        pass_on: impl FnOnce(),
    ) -> Poll<R> {
        if !self.source.is_own_process() {
            self.key = None;
            // The attempt returns the reason why nothing will ever come.
            return attempt(true).map_or(Poll::Pending, Poll::Ready);
        }
        let mut was_notified = self.key.take_if(|key| !self.source.is_registered(*key)).is_some();
        if let Some(found) = attempt(false) {
            return self.found(found, was_notified, pass_on);
        }
        if let Some(key) = self.key {
            if self.source.update(key, context.waker()) {
                // The task has attempted after it was armed, and was not notified since.
                return Poll::Pending;
            }
            // Notified just now, by a waker that may be another task's.
            was_notified = true;
        }
        self.key = Some(self.source.register(context.waker().clone(), always));
        match attempt(true) {
            Some(found) => self.found(found, was_notified, pass_on),
            None => Poll::Pending,
        }
    }

    /// Limits the time between two attempts, from the next one on, as its owner has just found
    /// necessary.
    pub(crate) fn limit_slices(&self, most: Duration) {
        self.source.limit_slices(most);
    }

    /// Stops waiting, because the task has found something.
    fn found<R>(&mut self, found: R, was_notified: bool, pass_on: impl FnOnce()) -> Poll<R> {
        self.leave();
        // There may be more than this.
        if was_notified && !self.source.pass() {
            pass_on();
        }
        Poll::Ready(found)
    }

    /// Stops waiting; if it was notified meanwhile, the notification is passed on.
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
