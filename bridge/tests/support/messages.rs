//! Messages that carry their number and a checksum.

/// The message with this number.
pub(crate) fn message(number: u64) -> Vec<u8> {
    let len = 16 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
    let mut bytes: Vec<u8> = (0..len).map(|at| (number as usize + at) as u8).collect();
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(&bytes[16..], number);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The number of a message that is whole.
#[track_caller]
pub(crate) fn number(message: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().expect("eight bytes"));
    let number = word(0);
    assert_eq!(word(8), checksum(&message[16..], number), "message {number} is damaged");
    number
}

fn checksum(bytes: &[u8], number: u64) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ number, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
