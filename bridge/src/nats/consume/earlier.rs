//! Acknowledgements of what was delivered before the epoch.
//!
//! Such messages are read from the stream, and do not come with the subject that acknowledges them. A server gives them out
//! again with one only after its ack wait, and gives out nothing new before if they are all that may be outstanding. So
//! the subject is made here: `$JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.DELIVERY.TIME.PENDING`, of which the server reads the
//! message's number in the stream and the delivery's in the consumer. With the policy `all` it forgets all messages up to
//! that number, and takes no acknowledgement of a delivery that is not after the last one. The delivery of a single
//! message is not known, but bounds of it are: each message was delivered once or more since the consumer's
//! acknowledgement floor, and the last one no later than the consumer's state says. Any number between is right, as long as
//! it grows.
//!
//! Where an account imports the consumer under other subjects, nothing listens on this one. Then these messages are
//! acknowledged with the next that are delivered.

use std::collections::VecDeque;

use async_nats::jetstream::consumer::{Info, SequenceInfo};

/// A message in the stream, and a delivery of the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    sequence: u64,
    delivery: u64,
}

/// What was delivered before the epoch and is not acknowledged.
#[derive(Debug)]
pub(super) struct Earlier {
    /// `$JS.ACK.STREAM.CONSUMER`; none if the server does not listen there.
    subject: Option<String>,
    /// The acknowledgement floor.
    floor: Point,
    /// The last delivery.
    delivered: Point,
    /// Which messages were given out in this epoch.
    pub(super) given: VecDeque<u64>,
    /// Whether such an acknowledgement is on its way.
    pub(super) is_asked: bool,
    /// Whether nothing listened for one.
    pub(super) is_unheard: bool,
}

impl Earlier {
    /// What the consumer's state says; nothing is acknowledged unless the server `listens`.
    pub(super) fn new(info: &Info, listens: bool) -> Self {
        let point =
            |info: &SequenceInfo| Point { sequence: info.stream_sequence, delivery: info.consumer_sequence };
        let subject = format!("$JS.ACK.{}.{}", info.stream_name, info.name);
        Self::of(listens.then_some(subject), point(&info.ack_floor), point(&info.delivered))
    }

    fn of(subject: Option<String>, floor: Point, delivered: Point) -> Self {
        Self { subject, floor, delivered, given: VecDeque::new(), is_asked: false, is_unheard: false }
    }

    /// The subject that acknowledges everything up to this message, if there is anything to acknowledge.
    pub(super) fn acknowledge(&mut self, through: u64) -> Option<String> {
        let sequence = through.min(self.delivered.sequence);
        let mut count = 0;
        while self.given.front().is_some_and(|given| *given <= sequence) {
            self.given.pop_front();
            count += 1;
        }
        let subject = self.subject.as_ref()?;
        let Point { sequence: last, delivery: end } = self.delivered;
        let delivery = match sequence == last {
            true => end,
            false => (self.floor.delivery + count.max(1)).min(end),
        };
        if sequence <= self.floor.sequence || delivery <= self.floor.delivery {
            return None;
        }
        self.floor = Point { sequence, delivery };
        self.is_asked = true;
        Some(format!("{subject}.1.{sequence}.{delivery}.0.0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(floor: (u64, u64), delivered: (u64, u64), given: &[u64]) -> Earlier {
        let point = |(sequence, delivery)| Point { sequence, delivery };
        let mut earlier = Earlier::of(Some("A".into()), point(floor), point(delivered));
        earlier.given.extend(given);
        earlier
    }

    #[test]
    fn deliveries_grow_up_to_the_last_one() {
        let mut some = earlier((10, 12), (20, 40), &[11, 13, 17, 20]);
        assert_eq!(some.acknowledge(10), None);
        assert_eq!(some.acknowledge(13).as_deref(), Some("A.1.13.14.0.0"));
        assert_eq!(some.acknowledge(13), None, "once");
        assert_eq!(some.acknowledge(17).as_deref(), Some("A.1.17.15.0.0"));
        assert_eq!(some.acknowledge(25).as_deref(), Some("A.1.20.40.0.0"), "with all before");
        assert_eq!(some.acknowledge(30), None);
    }

    #[test]
    fn the_last_message_keeps_its_delivery() {
        let mut tight = earlier((10, 10), (12, 12), &[11, 12]);
        assert_eq!(tight.acknowledge(11).as_deref(), Some("A.1.11.11.0.0"));
        assert_eq!(tight.acknowledge(12).as_deref(), Some("A.1.12.12.0.0"));
        let mut single = earlier((0, 0), (7, 1), &[5]);
        assert_eq!(single.acknowledge(5).as_deref(), Some("A.1.5.1.0.0"));
        assert_eq!(single.acknowledge(7), None, "6 and 7 were not for this consumer");
    }

    #[test]
    fn what_a_ledger_has_is_acknowledged_although_it_was_not_given_out() {
        let mut ledger = earlier((10, 10), (20, 20), &[]);
        assert_eq!(ledger.acknowledge(15).as_deref(), Some("A.1.15.11.0.0"));
        assert_eq!(ledger.acknowledge(20).as_deref(), Some("A.1.20.20.0.0"));
        let mut new = earlier((0, 0), (0, 0), &[]);
        assert_eq!(new.acknowledge(15), None, "a consumer made anew has delivered nothing");
    }
}
