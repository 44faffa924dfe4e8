//! What a new epoch finds in the store, and what follows from it for the messages in flight.
//!
//! # Why nothing is lost or stored twice
//! The store takes a message only if its last message has the number that the bridge expects (the engine's business). As
//! long as nothing else stores into it, what is stored of a link is therefore a prefix of what was submitted, in the
//! order of submission. The place, read at the beginning of an epoch, names the last message of that prefix. Messages of
//! an older connection may still arrive after that: they continue the prefix, and the next submission is then refused,
//! because the store's last message has another number; another epoch reads a later place. What was released before is a
//! prefix of what was acknowledged, hence stored.
//!
//! A message that something else stores takes a number: one of the link is refused, and those after it, whose expected
//! numbers are right again, are stored. The place alone does not show that. Nor does it show, when an earlier bridge has
//! died, that a message in flight was with another consumer of the queue then, and never submitted: the prefix is one of
//! what that bridge took. So what the place says is stored is looked at, message by message ([`Progress::confirm`]), before
//! any of it is released.

use std::collections::VecDeque;

use ringway::Uuid;

use super::stored::check_stored;
use crate::engine::{Last, Outgoing, Place};

/// How far a link has come, as it knows itself.
#[derive(Debug)]
pub(crate) struct Progress {
    queue: Uuid,
    /// Positions before this one had been delivered before this process attached.
    attached_at: u64,
    /// Whether what the first epoch finds does not matter.
    takes_over: bool,
    /// Whether another consumer may have held some of what the first epoch finds in flight.
    has_many_consumers: bool,
    /// The number of the last message in the store that is known to be this link's, or to be the last before its
    /// first; none before the first epoch.
    known: Option<u64>,
}

/// What follows from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// How many of the messages in flight, from the oldest, are stored.
    pub(crate) stored: usize,
    /// How many acknowledged messages the store has lost.
    pub(crate) lost: u64,
}

const NOTHING: Resumed = Resumed { stored: 0, lost: 0 };

impl Progress {
    pub(crate) fn new(queue: Uuid, attached_at: u64, takes_over: bool, has_many_consumers: bool) -> Self {
        Self { queue, attached_at, takes_over, has_many_consumers, known: None }
    }

    /// Everything up to this number is accounted for: stored by this link, or before its first message.
    pub(crate) fn stored(&mut self, sequence: u64) {
        self.known = Some(sequence);
    }

    /// Compares the place with what is known. `in_flight` are the messages that are not acknowledged, oldest first. Changes
    /// nothing: what follows must be done first, and may fail. Then [`stored`](Self::stored) is told the place's number.
    ///
    /// # Errors
    /// Why going on would lose messages, or store them twice.
    pub(crate) fn resume(&self, place: &Place, in_flight: &VecDeque<Outgoing>) -> Result<Resumed, String> {
        match self.known {
            _ if place.last == Last::Shared => Ok(NOTHING),
            None => match self.first(place, in_flight) {
                Err(_) if self.takes_over => Ok(NOTHING),
                resumed => resumed,
            },
            Some(known) => self.next(known, place, in_flight),
        }
    }

    /// Compares the messages that the place says are stored, the `count` oldest in flight, with the last ones of the store.
    /// Returns how many are. A first epoch that takes over goes on with none: all are sent, some a second time.
    ///
    /// # Errors
    /// Why some of them are not proven to be stored.
    pub(crate) fn confirm(
        &self,
        count: usize,
        in_flight: &VecDeque<Outgoing>,
        stored: &[Last],
    ) -> Result<usize, String> {
        let is_first = self.known.is_none();
        match check_stored(in_flight.iter().take(count), stored, is_first && self.has_many_consumers) {
            Err(_) if is_first && self.takes_over => Ok(0),
            checked => checked.map(|()| count),
        }
    }

    /// The first epoch: the place is that of an earlier bridge, or of none.
    fn first(&self, place: &Place, in_flight: &VecDeque<Outgoing>) -> Result<Resumed, String> {
        let is_in_doubt = in_flight.iter().any(|message| message.id.position < self.attached_at);
        match &place.last {
            Last::None | Last::Shared => Ok(NOTHING),
            // Nothing that this queue still holds was ever given to a bridge.
            Last::Gone if !is_in_doubt => Ok(NOTHING),
            Last::Gone => Err("the stream's last message is gone (removed by age, by a limit, or by hand), and with it the \
                               proof of what is stored: messages that an earlier bridge held may be stored or not. \
                               --takeover sends them, perhaps a second time; to keep the proof, let the stream keep \
                               its last message (no max-age shorter than the longest pause)"
                .into()),
            Last::Unnamed => Err("the stream's last message does not come from a bridge. In strict order a stream belongs \
                                  to one queue: give this queue another stream, or, if this one may be continued, say \
                                  --takeover"
                .into()),
            Last::Of { id, .. } if id.queue != self.queue => Err(format!(
                "the stream ends with a message of another queue, {} (this queue is {}). If the queue was made anew and is \
                 to continue the stream, say --takeover; else give it a stream of its own",
                id.queue, self.queue
            )),
            Last::Of { id, after, .. } => {
                let reached = after.map_or(id.position, |after| after.max(id.position));
                if reached >= self.attached_at {
                    return Err(format!(
                        "the stream has come to position {reached} of this queue, but by its file nothing from position {} \
                         on was ever delivered. Either a bridge carries a copy of this file elsewhere: stop it; or the file \
                         is older than the stream, from a backup or by a power loss: --takeover sends all that it has, \
                         perhaps a second time",
                        self.attached_at
                    ));
                }
                let stored = in_flight.iter().take_while(|message| message.id.position <= reached).count();
                Ok(Resumed { stored, lost: 0 })
            }
        }
    }

    /// A later epoch: what is stored, this process stored.
    fn next(&self, known: u64, place: &Place, in_flight: &VecDeque<Outgoing>) -> Result<Resumed, String> {
        let last = place.last_sequence;
        if last == known {
            return Ok(NOTHING);
        }
        let is_last = |message: &Outgoing| matches!(&place.last, Last::Of { id, after, .. } if *id == message.id && *after == message.after);
        if let Some(at) = in_flight.iter().position(is_last) {
            return Ok(Resumed { stored: at + 1, lost: 0 });
        }
        match &place.last {
            Last::Of { id, .. } if id.queue == self.queue && last < known => {
                Ok(Resumed { stored: 0, lost: known - last })
            }
            Last::Of { id, .. } if id.queue == self.queue => Err(format!(
                "another bridge stores messages of this queue into the stream: it has come to message {last} (position {}), \
                 which this bridge did not send",
                id.position
            )),
            Last::None | Last::Gone if last < known => Err(format!(
                "the stream was made anew: its last message was number {known}, and now it has come to {last} only. \
                 --takeover continues in the new stream"
            )),
            Last::None | Last::Gone => Err(format!(
                "messages up to number {last} were stored and are gone from the stream, so that nothing proves which of those \
                 without an acknowledgement (after number {known}) they were; --takeover sends these again"
            )),
            Last::Unnamed | Last::Shared | Last::Of { .. } => Err(format!(
                "another program stores into the stream: message {last} is not from this queue. In strict order a stream \
                 belongs to one queue"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::MessageId;

    fn uuid(byte: u8) -> Uuid {
        [byte; 16].into()
    }

    fn message(position: u64, after: Option<u64>) -> Outgoing {
        let id = MessageId { queue: uuid(1), position };
        Outgoing { id, after, payload: bytes::Bytes::new(), count: 1, ends_run: true }
    }

    fn place(last_sequence: u64, last: Last) -> Place {
        Place { last_sequence, last, max_payload: 100 }
    }

    fn of(queue: u8, position: u64) -> Last {
        Last::Of { id: MessageId { queue: uuid(queue), position }, after: None, count: 1 }
    }

    fn first(last: Last, in_flight: &[u64]) -> Result<usize, String> {
        let in_flight = in_flight.iter().map(|position| message(*position, None)).collect();
        let resumed = Progress::new(uuid(1), 50, false, true).resume(&place(9, last.clone()), &in_flight);
        // With a takeover, nothing is refused.
        let takes_over = Progress::new(uuid(1), 50, true, true);
        let anyway = takes_over.resume(&place(9, last), &in_flight).unwrap();
        assert_eq!(anyway.stored, resumed.as_ref().map_or(0, |resumed| resumed.stored));
        resumed.map(|resumed| resumed.stored)
    }

    #[test]
    fn the_first_epoch_goes_on_behind_an_earlier_bridge() {
        assert_eq!(first(Last::None, &[10, 20, 60]), Ok(0));
        assert_eq!(first(of(1, 9), &[10, 20, 60]), Ok(0));
        assert_eq!(first(of(1, 20), &[10, 20, 60]), Ok(2));
        assert_eq!(first(of(1, 49), &[10, 20, 60]), Ok(2));
        // The place is the highest position, not that of a message which was returned later.
        let id = MessageId { queue: uuid(1), position: 5 };
        assert_eq!(first(Last::Of { id, after: Some(20), count: 1 }, &[10, 20, 30]), Ok(2));
        // What was never delivered before can't be what is gone.
        assert_eq!(first(Last::Gone, &[60]), Ok(0));
    }

    #[test]
    fn the_first_epoch_refuses_what_proves_nothing() {
        assert!(first(Last::Gone, &[10]).unwrap_err().contains("is gone"));
        assert!(first(Last::Unnamed, &[]).unwrap_err().contains("does not come from a bridge"));
        assert!(first(of(2, 9), &[]).unwrap_err().contains("of another queue"));
        assert!(first(of(1, 50), &[60]).unwrap_err().contains("copy of this file"));
    }

    fn next(last_sequence: u64, last: Last) -> Result<Resumed, String> {
        let in_flight = [message(10, None), message(5, Some(10)), message(20, None)].into();
        let mut progress = Progress::new(uuid(1), 0, false, true);
        progress.stored(7);
        progress.resume(&place(last_sequence, last), &in_flight)
    }

    #[test]
    fn a_later_epoch_goes_on_behind_itself() {
        let stored = |stored| Ok(Resumed { stored, lost: 0 });
        assert_eq!(next(7, of(1, 9)), stored(0));
        assert_eq!(next(7, Last::Gone), stored(0), "nothing was stored since");
        assert_eq!(next(8, of(1, 10)), stored(1));
        let id = MessageId { queue: uuid(1), position: 5 };
        assert_eq!(next(9, Last::Of { id, after: Some(10), count: 1 }), stored(2));
        assert_eq!(next(10, of(1, 20)), stored(3));
        assert_eq!(next(4, of(1, 3)), Ok(Resumed { stored: 0, lost: 3 }));
    }

    #[test]
    fn a_later_epoch_refuses_what_it_did_not_store() {
        assert!(next(8, of(1, 30)).unwrap_err().contains("another bridge"));
        assert!(next(8, of(2, 10)).unwrap_err().contains("another program"));
        assert!(next(8, Last::Unnamed).unwrap_err().contains("another program"));
        assert!(next(8, Last::Gone).unwrap_err().contains("gone from the stream"));
        assert!(next(3, Last::Gone).unwrap_err().contains("made anew"));
        assert!(next(0, Last::None).unwrap_err().contains("made anew"));
    }
}
