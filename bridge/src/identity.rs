//! The name of a message outside its queue: the queue's identity and the message's position.

use std::fmt;
use std::str::FromStr;

use ringway::Uuid;

/// Names a message for good: a position is never used twice in a queue, and keeps its value over redeliveries.
///
/// As text: the queue's 16 bytes in base64url without padding (22 characters), a dot, the position in decimal.
///
/// ```
/// use ringway_nats::identity::MessageId;
///
/// let id = MessageId { queue: [7; 16].into(), position: 4096 };
/// assert_eq!(id.to_string(), "BwcHBwcHBwcHBwcHBwcHBw.4096");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// The identity of the queue.
    pub queue: Uuid,
    /// The message's position in the queue's order.
    pub position: u64,
}

/// A text that is not the name of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message id: 22 characters of base64url, a dot and a number in decimal are expected")]
pub struct InvalidId;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// 16 bytes are 21 digits of six bits, and one of two.
const UUID_DIGITS: usize = 22;

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(*self.queue.as_bytes());
        let mut text = [0; UUID_DIGITS];
        for (at, digit) in text.iter_mut().enumerate() {
            let six = if at == UUID_DIGITS - 1 { bits << 4 } else { bits >> (122 - 6 * at) };
            *digit = DIGITS[six as usize & 63];
        }
        let text = std::str::from_utf8(&text).expect("the digits are ASCII");
        write!(f, "{text}.{}", self.position)
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (queue, position) = text.split_once('.').ok_or(InvalidId)?;
        if queue.len() != UUID_DIGITS || !position.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidId);
        }
        let mut bits = 0_u128;
        for (at, byte) in queue.bytes().enumerate() {
            let six = DIGITS.iter().position(|digit| *digit == byte).ok_or(InvalidId)? as u128;
            match at == UUID_DIGITS - 1 {
                // Only one text names a message.
                true if six & 15 != 0 => return Err(InvalidId),
                true => bits = bits << 2 | six >> 4,
                false => bits = bits << 6 | six,
            }
        }
        let position = position.parse().map_err(|_| InvalidId)?;
        Ok(Self { queue: bits.to_be_bytes().into(), position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_is_read_back(queue: [u8; 16], position: u64) {
            let id = MessageId { queue: queue.into(), position };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_or_refused(text in "[A-Za-z0-9_.-]{0,40}") {
            if let Ok(id) = text.parse::<MessageId>() {
                // Leading zeros are the only other spelling.
                let (queue, position) = text.split_once('.').unwrap();
                let spelt = format!("{queue}.{}", position.parse::<u64>().unwrap());
                prop_assert_eq!(id.to_string(), spelt);
            }
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let wrong =
            ["", ".", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA.", "AAAAAAAAAAAAAAAAAAAAAB.1"];
        let more = ["AAAAAAAAAAAAAAAAAAAAAA.-1", "AAAAAAAAAAAAAAAAAAAAAA.+1", "AAAAAAAAAAAAAAAAAAAAA.1"];
        for text in wrong.into_iter().chain(more).chain(["AAAAAAAAAAAAAAAAAAAAAA.18446744073709551616"]) {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidId), "{text}");
        }
    }
}
