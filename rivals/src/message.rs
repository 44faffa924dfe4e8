//! What is sent, and how it is looked at: word `i` of a message is its first word plus `i`.

/// A message by value.
pub(crate) type Message<const W: usize> = [u64; W];

#[inline(always)]
pub(crate) fn make<const W: usize>(first: u64) -> Message<W> {
    std::array::from_fn(|i| first.wrapping_add(i as u64))
}

/// In place.
#[inline(always)]
pub(crate) fn fill(first: u64, words: &mut [u64]) {
    for (i, word) in words.iter_mut().enumerate() {
        *word = first.wrapping_add(i as u64);
    }
}

/// In place, of `W` words.
///
/// # Panics
/// If there is room for another number of bytes.
#[inline(always)]
pub(crate) fn fill_bytes<const W: usize>(first: u64, payload: &mut [u8]) {
    assert_eq!(payload.len(), W * 8, "the room for a message");
    let words: &mut [[u8; 8]; W] = payload.as_chunks_mut::<8>().0.try_into().expect("that many words");
    for (i, word) in words.iter_mut().enumerate() {
        *word = first.wrapping_add(i as u64).to_ne_bytes();
    }
}

/// The words of a message of `W` words in place; none if it has another size.
///
/// A reference to an array: compilers must see the length where the words are looked at, or they count.
#[inline(always)]
pub(crate) fn words_of<const W: usize>(bytes: &[u8]) -> Option<&[[u8; 8]; W]> {
    if bytes.len() != W * 8 {
        return None;
    }
    bytes.as_chunks::<8>().0.try_into().ok()
}

/// The first word of a message, and 0 if all its words are right.
#[inline(always)]
pub(crate) fn look_at(words: impl ExactSizeIterator<Item = u64>) -> (u64, u64) {
    let (mut first, mut wrong) = (0, 0);
    for (i, word) in words.enumerate() {
        if i == 0 {
            first = word;
        }
        wrong |= word ^ first.wrapping_add(i as u64);
    }
    (first, wrong)
}
