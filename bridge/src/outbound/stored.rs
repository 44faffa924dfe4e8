//! Whether messages in flight are stored: each is looked for among the last ones of the store.

use crate::engine::{Last, Outgoing};

/// Compares messages with the last ones of the store. Goes from the newest back: messages that an earlier bridge packed
/// together may be in flight one by one. `is_any_foreign`: another consumer may have held some of them.
///
/// # Errors
/// If something else stored between them, or if one of them was not submitted.
pub(crate) fn check_stored<'m>(
    in_flight: impl DoubleEndedIterator<Item = &'m Outgoing>,
    stored: &[Last],
    is_any_foreign: bool,
) -> Result<(), String> {
    let mut newest_first = in_flight.rev().peekable();
    for stored in stored.iter().rev() {
        let Some(message) = newest_first.next() else { return Ok(()) };
        match stored {
            // Such packs have consecutive positions. Some of its messages may have been released.
            Last::Of { id, count, .. } if *id == message.id && is_any_foreign => {
                let is_in_pack = |packed: &&Outgoing| {
                    id.position.checked_sub(packed.id.position).is_some_and(|before| before < *count)
                };
                while newest_first.next_if(is_in_pack).is_some() {}
            }
            Last::Of { id, count, .. } if *id == message.id => {
                let mut covered = count.saturating_sub(message.count);
                while covered > 0
                    && let Some(packed) = newest_first.next()
                {
                    covered = covered.saturating_sub(packed.count);
                }
            }
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
            Last::Of { id, .. } if is_any_foreign && id.queue == message.id.queue => {
                return Err(not_there(message));
            }
            Last::Of { .. } | Last::None | Last::Unnamed | Last::Shared => {
                return Err(format!(
                    "another program or bridge stores into the stream: it took the place of the message at position {}, so \
                     that this one is not stored, although later ones are. They stay in the queue. In strict order a stream \
                     belongs to one queue; --takeover, once nothing else stores, sends them, some a second time",
                    message.id.position
                ));
            }
        }
    }
    // These were all messages that the store has.
    newest_first.next().map_or(Ok(()), |message| Err(not_there(message)))
}

fn not_there(message: &Outgoing) -> String {
    format!(
        "the message at position {} is not in the stream, although later ones are: another consumer of the queue held it when \
         an earlier bridge ended. It stays in the queue. In strict order the bridge must be the only consumer; --takeover \
         sends all that is in doubt, some a second time",
        message.id.position
    )
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

    #[test]
    fn a_pack_covers_no_message_that_another_consumer_held() {
        let pack = |position, count| Last::Of { id: message(position).id, after: None, count };
        let check = |in_flight: &[u64], stored: &[Last]| {
            let in_flight: Vec<_> = in_flight.iter().map(|position| message(*position)).collect();
            check_stored(in_flight.iter(), stored, true)
        };
        // The second pack has positions 4 and 5, of which 4 is released. Another consumer held 3.
        let why = check(&[3, 5], &[pack(2, 2), pack(5, 2)]).unwrap_err();
        assert!(why.contains("position 3 is not in the stream"), "{why}");
        let why = check(&[3, 4, 5], &[pack(5, 2)]).unwrap_err();
        assert!(why.contains("position 3 is not in the stream"), "{why}");
        assert_eq!(check(&[2, 4, 5], &[pack(2, 2), pack(5, 2)]), Ok(()));
        assert_eq!(check(&[4, 5], &[pack(2, 2), pack(5, 2)]), Ok(()));
        assert_eq!(check(&[1, 2, 4, 5], &[pack(2, 2), pack(5, 2)]), Ok(()));
    }
}
