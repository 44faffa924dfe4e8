//! Copying messages out of a queue: each by itself, or many in a pack.

use bytes::BytesMut;

use crate::engine::Outgoing;
use crate::identity::MessageId;
use crate::pack;

/// Copies of messages that were taken together, in one buffer.
pub(crate) struct Copy {
    buffer: BytesMut,
    done: Vec<Outgoing>,
    /// The most bytes of a pack, if messages are packed.
    limit: Option<usize>,
    /// Whether a pack has consecutive positions only. One that is missing may be with another consumer: so a pack's name and
    /// length say which messages are stored.
    is_consecutive: bool,
    /// Of the pack that is being made: its last message, and how many it has.
    open: Option<(MessageId, Option<u64>, u64)>,
}

impl Copy {
    pub(crate) fn new(bytes: usize, messages: usize, limit: Option<usize>, has_many_consumers: bool) -> Self {
        let (prefixes, packs) = if limit.is_some() { (messages * pack::PREFIX, 1) } else { (0, messages) };
        let buffer = BytesMut::with_capacity(bytes + prefixes);
        Self {
            buffer,
            done: Vec::with_capacity(packs),
            limit,
            is_consecutive: has_many_consumers,
            open: None,
        }
    }

    /// Copies one message. `after`: see [`Outgoing::after`].
    pub(crate) fn add(&mut self, id: MessageId, after: Option<u64>, payload: &[u8]) {
        let Some(limit) = self.limit else {
            self.buffer.extend_from_slice(payload);
            return self.finish(id, after, 1);
        };
        let follows = |last: MessageId| last.position.checked_add(1) == Some(id.position);
        let leaves_out = self.is_consecutive && self.open.is_some_and(|(last, ..)| !follows(last));
        if leaves_out || self.buffer.len() + pack::PREFIX + payload.len() > limit {
            self.close();
        }
        pack::push(&mut self.buffer, payload);
        let (before, count) = self.open.map_or((None, 0), |(_, before, count)| (before, count));
        self.open = Some((id, after.max(before), count + 1));
    }

    /// Ends the pack that is being made.
    fn close(&mut self) {
        if let Some((id, after, count)) = self.open.take() {
            if count == 1 {
                // A message by itself, which every client of the stream can read.
                let _ = self.buffer.split_to(pack::PREFIX);
            }
            self.finish(id, after.filter(|after| *after > id.position), count);
        }
    }

    fn finish(&mut self, id: MessageId, after: Option<u64>, count: u64) {
        let payload = self.buffer.split().freeze();
        self.done.push(Outgoing { id, after, payload, count, ends_run: false });
    }

    /// All that was copied; the last one ends the run.
    pub(crate) fn end(mut self) -> Vec<Outgoing> {
        self.close();
        if let Some(last) = self.done.last_mut() {
            last.ends_run = true;
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packs_have_every_message_once_and_keep_the_limit(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..50),
            limit in proptest::option::of(1_usize..200),
        ) {
            let bytes = messages.iter().map(Vec::len).sum();
            let mut copy = Copy::new(bytes, messages.len(), limit, true);
            for (position, message) in messages.iter().enumerate() {
                copy.add(MessageId { queue: [1; 16].into(), position: position as u64 }, None, message);
            }
            let mut got = Vec::new();
            let done = copy.end();
            for outgoing in &done {
                match outgoing.count {
                    1 => got.push(outgoing.payload.clone()),
                    count => {
                        prop_assert!(outgoing.payload.len() <= limit.unwrap());
                        got.extend(pack::unpack(&outgoing.payload, count as u32).unwrap());
                    }
                }
                prop_assert_eq!(outgoing.id.position, got.len() as u64 - 1, "the name of the last");
            }
            prop_assert_eq!(got, messages);
            prop_assert_eq!(done.iter().filter(|outgoing| outgoing.ends_run).count(), 1);
        }
    }

    #[test]
    fn a_pack_leaves_out_no_position_of_a_queue_with_many_consumers() {
        let packs = |has_many_consumers| {
            let mut copy = Copy::new(5, 5, Some(1000), has_many_consumers);
            for position in [1, 2, 4, 5, 3] {
                copy.add(MessageId { queue: [1; 16].into(), position }, (position == 3).then_some(5), b"x");
            }
            copy.end().iter().map(|pack| (pack.id.position, pack.count)).collect::<Vec<_>>()
        };
        assert_eq!(packs(true), [(2, 2), (5, 2), (3, 1)]);
        assert_eq!(packs(false), [(3, 5)], "positions count bytes");
    }
}
