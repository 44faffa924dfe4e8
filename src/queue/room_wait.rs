//! A producer's wait for room.

use std::time::{Duration, Instant};

use super::events::ParticipantEvents;
use super::kind::Sender;
use super::name_watch::NameWatch;
use super::producer::lasting_cause;
use crate::lane::Refusal;
use crate::wait::{Attempt, Until};

/// How long a blocked producer waits for a quarter of the ring before it accepts the first free
/// room. A producer that continues immediately would follow closely after the consumer, and write
/// cache lines that the consumer's nearest cache holds.
pub(super) const AMPLE_ROOM_WAIT: Duration = Duration::from_micros(50);
/// A wait with a shorter time limit does not wait for ample room.
const MIN_WAIT_FOR_AMPLE_ROOM: Duration = Duration::from_millis(1);

/// What is polled until it is no longer `Full`.
pub(super) struct RoomWait<'a, S, A, P> {
    pub(super) sender: &'a mut S,
    pub(super) events: &'a ParticipantEvents,
    pub(super) name: &'a NameWatch,
    /// Whether there is so much room that it is worth continuing.
    pub(super) is_ample: A,
    pub(super) attempt: P,
    /// Since when the wait accepts ample room only; `None`: any room.
    pub(super) ample_since: Option<Instant>,
}

/// Since when a wait that begins now accepts ample room only.
pub(super) fn ample_since(until: Until) -> Option<Instant> {
    until.is_after(MIN_WAIT_FOR_AMPLE_ROOM).then(Instant::now)
}

impl<S, A, P, R> RoomWait<'_, S, A, P>
where
    S: Sender,
    A: Fn(&S) -> bool,
    P: FnMut(&mut S, Attempt) -> Result<R, Refusal>,
{
    /// `None` if the wait goes on.
    pub(super) fn poll(&mut self, which: Attempt) -> Option<Result<R, Refusal>> {
        if !self.is_worthwhile(which) {
            return None;
        }
        // The caller has made an attempt before.
        match (self.attempt)(self.sender, which.after_one()) {
            Err(Refusal::Full) if self.events.messages.is_closed() => Some(Err(Refusal::Closed)),
            Err(Refusal::Full) if self.has_cause_to_end() => Some(Err(Refusal::Full)),
            // A truncated file also makes this false, and so ends the call.
            Err(Refusal::Full) if self.sender.is_own_process() => None,
            done => Some(done),
        }
    }

    /// Whether to attempt now: there is ample room, or it has been waited for long enough.
    fn is_worthwhile(&mut self, which: Attempt) -> bool {
        let Some(since) = self.ample_since else { return true };
        if which.is_before_park() || (self.is_ample)(self.sender) {
            return true;
        }
        if since.elapsed() <= AMPLE_ROOM_WAIT {
            return false;
        }
        self.ample_since = None;
        true
    }

    fn has_cause_to_end(&self) -> bool {
        self.name.is_orphaned(self.sender.shared()) || lasting_cause(self.sender).is_some()
    }
}
