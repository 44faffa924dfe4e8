//! Many messages of a queue in one message of a stream.
//!
//! The header [`HEADER`] has the number of messages, in decimal. The payload is, for each of them, its length as a `u32` in
//! little-endian order, then its bytes, without padding. Only an inbound bridge reads it; other clients of the stream see
//! one message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The header of a packed message.
pub const HEADER: &str = "Ringway-Pack";

/// Bytes before each message.
pub const PREFIX: usize = 4;

/// Adds a message to a pack.
///
/// # Panics
/// If it has 4 GiB or more, which no server takes.
pub fn push(pack: &mut BytesMut, message: &[u8]) {
    let len = u32::try_from(message.len()).expect("a message has less than 4 GiB");
    pack.put_u32_le(len);
    pack.put_slice(message);
}

/// Takes a pack apart, without copying.
///
/// # Errors
/// [`Damaged`] unless it has exactly `count` messages.
pub fn unpack(pack: &Bytes, count: u32) -> Result<Vec<Bytes>, Damaged> {
    let mut rest = pack.clone();
    // The count comes from the stream: no more is allocated for than can be there.
    let mut messages = Vec::with_capacity((count as usize).min(pack.len() / PREFIX));
    while messages.len() < count as usize {
        if rest.len() < PREFIX {
            return Err(Damaged);
        }
        let len = rest.get_u32_le() as usize;
        if rest.len() < len {
            return Err(Damaged);
        }
        messages.push(rest.split_to(len));
    }
    if rest.is_empty() && count > 0 { Ok(messages) } else { Err(Damaged) }
}

/// A pack that does not hold what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pack does not hold as many messages as its header says")]
pub struct Damaged;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..20)) {
            let mut pack = BytesMut::new();
            messages.iter().for_each(|message| push(&mut pack, message));
            let pack = pack.freeze();
            let count = messages.len() as u32;
            let unpacked = unpack(&pack, count).unwrap();
            prop_assert!(unpacked.iter().map(|part| &part[..]).eq(messages.iter().map(|message| &message[..])));
            prop_assert_eq!(unpack(&pack, count + 1), Err(Damaged));
            prop_assert_eq!(unpack(&pack, count - 1), Err(Damaged));
        }

        #[test]
        fn any_bytes_are_a_pack_or_damaged(bytes in proptest::collection::vec(any::<u8>(), 0..40), count: u32) {
            if let Ok(parts) = unpack(&bytes.into(), count) {
                prop_assert_eq!(parts.len(), count as usize);
            }
        }
    }
}
