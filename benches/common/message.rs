//! What is sent: message `seq` has `seq` in its first word, and `seq` plus `i` in word `i`.

/// By value.
pub(crate) type Message<const W: usize> = [u64; W];

#[inline(always)]
pub(crate) fn make<const W: usize>(seq: u64) -> Message<W> {
    std::array::from_fn(|i| seq.wrapping_add(i as u64))
}

/// In place.
#[inline(always)]
pub(crate) fn fill<const W: usize>(seq: u64, payload: &mut [u8]) {
    let words: &mut [[u8; 8]; W] = payload.as_chunks_mut::<8>().0.try_into().expect("the message's size");
    for (i, word) in words.iter_mut().enumerate() {
        *word = seq.wrapping_add(i as u64).to_ne_bytes();
    }
}

/// The words of a message in place. The reader knows the size, as that of every queue by value does.
#[inline(always)]
pub(crate) fn words_of<const W: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = u64> {
    let (words, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty());
    let words: &[[u8; 8]; W] = words.try_into().expect("the message's size");
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

/// The first word of a message, after a look at all of them.
#[inline(always)]
pub(crate) fn checked(words: impl ExactSizeIterator<Item = u64>) -> u64 {
    let count = words.len() as u64;
    let mut first = None;
    let mut sum = 0_u64;
    for word in words {
        first.get_or_insert(word);
        sum = sum.wrapping_add(word);
    }
    let first = first.expect("a message has words");
    let expected = first.wrapping_mul(count).wrapping_add(count * (count - 1) / 2);
    assert_eq!(sum, expected, "content");
    first
}
