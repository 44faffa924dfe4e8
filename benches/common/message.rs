//! What is sent: message `seq` has `seq` in its first word, and `seq` plus `i` in word `i`.

pub(crate) use workload::{Message, fill_bytes as fill, make};

/// The words of a message in place. The reader knows the size, as that of every queue by value does.
#[inline(always)]
pub(crate) fn words_of<const W: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = u64> {
    let words = workload::words_of::<W>(bytes).expect("the message's size");
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

/// The first word of a message, after a read of all of them.
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
