//! Messages that a queue could not take, as they are stored elsewhere.

use async_nats::HeaderMap;

use crate::engine::EpochEnd;
use crate::inbound::source::{Incoming, Tag};
use crate::nats::types;
use crate::pack;

/// Why the queue could not take the message.
const REASON: &str = "Ringway-Reason";

/// The headers of such a message. The reason is left out if it does not fit: it is logged, too.
///
/// # Errors
/// If the message does not fit even so: the server would never take it.
pub(super) fn headers(
    stream: &str,
    message: &Incoming,
    reason: &str,
    max_payload: usize,
) -> Result<HeaderMap, EpochEnd> {
    let mut fields =
        vec![(REASON, one_line(reason)), ("Ringway-Origin", format!("{stream}.{}", message.sequence))];
    if let Some(count) = message.packed {
        fields.push((pack::HEADER, count.to_string()));
    }
    if let Tag::Type(tag) = message.tag {
        fields.push((types::TYPE, tag.to_string()));
    }
    let len = |fields: &[(&str, String)]| {
        let lines: usize = fields.iter().map(|(name, value)| name.len() + ": \r\n".len() + value.len()).sum();
        "NATS/1.0\r\n\r\n".len() + lines + message.payload.len()
    };
    if len(&fields) > max_payload {
        fields.remove(0);
    }
    let needed = len(&fields);
    if needed > max_payload {
        return Err(EpochEnd::Refused(format!(
            "message {} of the stream cannot be moved elsewhere: with its origin it has {needed} bytes, and the server takes \
             {max_payload} at most (max_payload). The queue cannot take it because {reason}",
            message.sequence
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Headers have one line.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_does_not_fit_is_left_out_and_a_message_that_does_not_is_refused() {
        let message = Incoming {
            sequence: 7,
            subject: "s".into(),
            tag: Tag::None,
            packed: Some(2),
            payload: vec![0; 1000].into(),
        };
        let lines = "NATS/1.0\r\nRingway-Origin: S.7\r\nRingway-Pack: 2\r\n\r\n".len();
        let reason = "Ringway-Reason: too\tlarge\r\n".len();
        let of = |max_payload| headers("S", &message, "too\tlarge", max_payload);
        let all = of(1000 + lines + reason).unwrap();
        assert_eq!(all.get(REASON).unwrap().as_str(), "too large");
        assert_eq!(all.get(pack::HEADER).unwrap().as_str(), "2");
        for max_payload in [1000 + lines + reason - 1, 1000 + lines] {
            let short = of(max_payload).unwrap();
            assert!(short.get(REASON).is_none() && short.get("Ringway-Origin").unwrap().as_str() == "S.7");
        }
        let Err(EpochEnd::Refused(why)) = of(1000 + lines - 1) else { panic!("it is refused") };
        assert!(why.contains("message 7") && why.contains("too\tlarge"), "{why}");
    }
}
