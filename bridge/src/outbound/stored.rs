//! Whether messages in flight are stored: each is looked for among the last ones of the store.

use crate::engine::{Last, Outgoing};

/// Compares messages with the last ones of the store. Goes from the newest back: messages that an earlier bridge packed
/// together may be in flight one by one. `is_any_foreign`: another consumer may have held some of them.
///
/// # Errors
/// If something else stored between them, or if one of them was not submitted.
pub(crate) fn check_stored<'m>(
    mut in_flight: impl DoubleEndedIterator<Item = &'m Outgoing>,
    stored: &[Last],
    is_any_foreign: bool,
) -> Result<(), String> {
    for stored in stored.iter().rev() {
        let Some(message) = in_flight.next_back() else { return Ok(()) };
        let mut covered = match stored {
            Last::Of { id, count, .. } if *id == message.id => count.saturating_sub(message.count),
            // A store with a limit has removed it, and all before it, after it stored those behind it.
            Last::Gone if !is_any_foreign => return Ok(()),
            Last::Gone => {
                return Err(format!(
                    "the stream has removed the messages that would show whether the one at position {} is stored: another \
                     consumer of the queue may have held it when an earlier bridge ended. It stays in the queue; --takeover \
                     sends what is in doubt, some a second time. To keep the proof, let the stream keep as many messages as \
                     may be in flight",
                    message.id.position
                ));
            }
            Last::Of { .. } | Last::None | Last::Unnamed | Last::Shared => {
                return Err(format!(
                    "another program or bridge stores into the stream: it took the place of the message at position {}, so \
                     that this one is not stored, although later ones are. They stay in the queue. In strict order a stream \
                     belongs to one queue; --takeover, once nothing else stores, sends them, some a second time",
                    message.id.position
                ));
            }
        };
        while covered > 0
            && let Some(packed) = in_flight.next_back()
        {
            covered = covered.saturating_sub(packed.count);
        }
    }
    // These were all messages that the store has.
    match in_flight.next_back() {
        None => Ok(()),
        Some(message) => Err(format!(
            "the message at position {} is not in the stream, although later ones are: another consumer of the queue held it \
             when an earlier bridge ended. It stays in the queue. In strict order the bridge must be the only consumer; \
             --takeover sends all that is in doubt, some a second time",
            message.id.position
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::MessageId;

    fn message(position: u64) -> Outgoing {
        let id = MessageId { queue: [1; 16].into(), position };
        Outgoing { id, after: None, payload: bytes::Bytes::new(), count: 1, ends_run: true }
    }

    #[test]
    fn what_is_stored_may_be_packed_otherwise_than_what_is_in_flight() {
        let in_flight: Vec<_> = [10, 20, 30, 40].map(message).into();
        let pack = |position, count| Last::Of { id: message(position).id, after: None, count };
        let check = |stored: &[Last]| check_stored(in_flight.iter(), stored, false);
        assert_eq!(check(&[pack(10, 1), pack(20, 1), pack(30, 1), pack(40, 1)]), Ok(()));
        // The first pack begins before what is in flight.
        assert_eq!(check(&[pack(2, 1), pack(10, 7), pack(40, 3)]), Ok(()));
        assert_eq!(check(&[pack(20, 2), pack(40, 2)]), Ok(()));
        assert_eq!(check(&[Last::Gone, pack(40, 2)]), Ok(()));
        assert!(check(&[pack(10, 1), Last::Unnamed, pack(40, 2)]).is_err());
        assert!(check(&[pack(10, 1), pack(40, 2)]).is_err(), "20 is missing");
        assert!(check(&[pack(30, 3), pack(10, 1)]).is_err());
        assert!(check(&[pack(20, 1), pack(40, 2)]).is_err(), "10 is missing, at the stream's beginning");
    }
}
