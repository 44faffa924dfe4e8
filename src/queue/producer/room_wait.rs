//! A producer's wait for room.

use std::time::{Duration, Instant};

use super::BytesProducer;
use super::refused::lasting_cause;
use crate::error::SendError;
use crate::lane::Refusal;
use crate::queue::events::ParticipantEvents;
use crate::queue::kind::{Kind, Sender};
use crate::queue::name_watch::NameWatch;
use crate::wait::{self, Attempt, Ended, Parking, Until, WaitConfig};

/// How long a blocked producer waits for a quarter of the ring before it accepts the first free
/// room. A producer that continues immediately would follow closely after the consumer, and write
/// cache lines that the consumer's nearest cache holds.
pub(in crate::queue) const AMPLE_ROOM_WAIT: Duration = Duration::from_micros(50);
/// A wait with a shorter time limit does not wait for ample room.
const MIN_WAIT_FOR_AMPLE_ROOM: Duration = Duration::from_millis(1);

/// A dead consumer that holds the producers' room notifies no participant. Producers notice its
/// death sooner than consumers notice that of a producer.
const MAX_SLEEP: Duration = Duration::from_millis(20);

impl<K: Kind> BytesProducer<K> {
    /// Repeats `attempt` until the result is no longer `Full`; at first not until `is_ample`.
    #[cold]
    #[inline(never)]
    pub(in crate::queue) fn wait<R>(
        &mut self,
        len: usize,
        until: Until,
        is_ample: impl Fn(&K::Sender) -> bool,
        attempt: impl FnMut(&mut K::Sender, Attempt) -> Result<R, Refusal>,
    ) -> Result<R, SendError> {
        let Self { sender, wait_config, events, name, .. } = self;
        let wait_config = &*wait_config;
        let parking = Parking { event: &events.room, wait_config, max_sleep: MAX_SLEEP };
        let (until, pause) = (until.fixed(), sender.pause());
        let ample_since = ample_since(until);
        let mut room = RoomWait { sender, wait_config, events, name, is_ample, attempt, ample_since };
        let done = match wait::wait(until, pause, &parking, |which| room.poll(which)) {
            // The thread may have been suspended, or have waited for ample room, while the time ran
            // out.
            Err(Ended::Timeout) => room.poll(Attempt::BeforePark).ok_or(Ended::Timeout),
            done => done,
        };
        match done {
            Ok(done) => done.map_err(|refusal| match refusal {
                Refusal::Full => self.check_name().err().unwrap_or_else(|| self.full()),
                refusal => self.refused(refusal, len),
            }),
            Err(Ended::Timeout) => {
                let held_here = || self.sender.shared().held_here();
                let timeout = || SendError::Timeout { held_here: held_here(), holdup: self.sender.holdup() };
                Err(self.cause().unwrap_or_else(timeout))
            }
            Err(ended) => Err(ended.into()),
        }
    }
}

/// What is polled until it is no longer `Full`.
struct RoomWait<'a, S, A, P> {
    sender: &'a mut S,
    wait_config: &'a WaitConfig,
    events: &'a ParticipantEvents,
    name: &'a NameWatch,
    /// Whether there is so much room that it is worth continuing.
    is_ample: A,
    attempt: P,
    /// Since when the wait accepts ample room only; `None`: any room.
    ample_since: Option<Instant>,
}

/// Since when a wait that begins now accepts ample room only.
fn ample_since(until: Until) -> Option<Instant> {
    until.is_after(MIN_WAIT_FOR_AMPLE_ROOM).then(Instant::now)
}

impl<S, A, P, R> RoomWait<'_, S, A, P>
where
    S: Sender,
    A: Fn(&S) -> bool,
    P: FnMut(&mut S, Attempt) -> Result<R, Refusal>,
{
    /// `None` if the wait goes on.
    fn poll(&mut self, which: Attempt) -> Option<Result<R, Refusal>> {
        if !self.is_worthwhile(which) {
            return None;
        }
        // The caller has made an attempt before.
        match (self.attempt)(self.sender, which.after_one()) {
            Err(Refusal::Full) if self.events.messages.is_closed() => Some(Err(Refusal::Closed)),
            Err(Refusal::Full) if self.has_cause_to_end() => Some(Err(Refusal::Full)),
            // A truncated file also makes this false, and so ends the call.
            Err(Refusal::Full) if self.sender.is_own_process() => {
                self.wait_config.set_blocked(self.sender.is_blocked());
                None
            }
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
