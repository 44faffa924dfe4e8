//! The commit word: eight bytes before the payload of a variable-size frame.
//!
//! ```text
//! 63                                   2 1    0
//! +-------------------------------------+------+
//! | payload length in bytes             | kind |
//! +-------------------------------------+------+
//! kind 0: not committed (the whole word is 0)   1: a message   2: padding up to the end of the ring
//! ```

/// Bytes of a commit word.
pub(crate) const WORD: u64 = 8;

/// Not committed yet.
pub(crate) const NONE: u64 = 0;
/// Padding: the next frame is at index 0 of the ring.
pub(crate) const PADDING: u64 = 2;

const KIND_BITS: u32 = 2;
const KIND_MESSAGE: u64 = 1;

/// The commit word of a message of `len` bytes.
#[inline(always)]
pub(crate) const fn message(len: u64) -> u64 {
    len << KIND_BITS | KIND_MESSAGE
}

/// The length of a message's payload, if `word` commits a message.
#[inline(always)]
pub(crate) const fn message_len(word: u64) -> Option<u64> {
    if word & ((1 << KIND_BITS) - 1) == KIND_MESSAGE { Some(word >> KIND_BITS) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        assert_eq!(message_len(NONE), None);
        assert_eq!(message_len(PADDING), None);
        assert_eq!(message_len(message(0)), Some(0));
        assert_eq!(message_len(message(1 << 40)), Some(1 << 40));
    }
}
