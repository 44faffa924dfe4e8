//! The words of a message: word `i` is the first word plus `i`, so that every word is checked, and
//! a word of another message is detected.

/// A message of `W` words by value.
pub type Message<const W: usize> = [u64; W];

/// The message with this first word, by value.
#[inline(always)]
pub fn make<const W: usize>(first: u64) -> Message<W> {
    std::array::from_fn(|i| first.wrapping_add(i as u64))
}

/// Writes the message with this first word into `words`.
#[inline(always)]
pub fn fill(first: u64, words: &mut [u64]) {
    for (i, word) in words.iter_mut().enumerate() {
        *word = first.wrapping_add(i as u64);
    }
}

/// Writes the message of `W` words with this first word into bytes.
///
/// # Panics
/// If `bytes` has another length than the message.
#[inline(always)]
pub fn fill_bytes<const W: usize>(first: u64, room: &mut [u8]) {
    assert_eq!(room.len(), W * 8, "the room for a message");
    let words: &mut [[u8; 8]; W] = room.as_chunks_mut::<8>().0.try_into().expect("that many words");
    for (i, word) in words.iter_mut().enumerate() {
        *word = first.wrapping_add(i as u64).to_ne_bytes();
    }
}

/// Returns a message of `W` words in place, from its bytes; `None` if it has another size.
///
/// A reference to an array: the compiler must know the length where the words are checked;
/// otherwise it generates a counting loop.
#[inline(always)]
pub fn words_of<const W: usize>(bytes: &[u8]) -> Option<&[[u8; 8]; W]> {
    if bytes.len() != W * 8 {
        return None;
    }
    bytes.as_chunks::<8>().0.try_into().ok()
}

/// The first word of a message, and 0 if all its words are right.
#[inline(always)]
pub fn examine(words: impl Iterator<Item = u64>) -> (u64, u64) {
    let (mut first, mut wrong) = (0, 0);
    for (i, word) in words.enumerate() {
        if i == 0 {
            first = word;
        }
        wrong |= word ^ first.wrapping_add(i as u64);
    }
    (first, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined<const W: usize>(bytes: &[u8]) -> Option<(u64, u64)> {
        Some(examine(words_of::<W>(bytes)?.iter().map(|word| u64::from_ne_bytes(*word))))
    }

    #[test]
    fn what_was_written_is_right_and_one_bit_is_noticed() {
        let mut bytes = [0; 64];
        fill_bytes::<8>(u64::MAX - 2, &mut bytes);
        assert_eq!(examined::<8>(&bytes), Some((u64::MAX - 2, 0)));
        bytes[60] ^= 1;
        assert_ne!(examined::<8>(&bytes).unwrap().1, 0);
        assert_eq!(examined::<8>(&bytes[..56]), None);
        let mut words = [0; 8];
        fill(7, &mut words);
        assert_eq!(words, make::<8>(7));
    }

    #[test]
    #[should_panic(expected = "the room for a message")]
    fn a_message_has_its_own_size() {
        fill_bytes::<8>(0, &mut [0; 65]);
    }
}
