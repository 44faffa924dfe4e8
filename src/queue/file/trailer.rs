//! The sixteen bytes after a message: serial number, and checksum.
#![allow(unsafe_code, reason = "reads and writes behind payloads")]

use super::hash::Hash;
use crate::layout::TRAILER;
use crate::queue::copy::copy_out;

pub(crate) const LEN: usize = TRAILER as usize;

/// The sum of a message, before its serial number is added.
pub(crate) fn sum(uuid: [u8; 16], message: &[u8]) -> u64 {
    let mut hash = begin(uuid, message.len());
    hash.bytes(message);
    hash.state()
}

fn begin(uuid: [u8; 16], len: usize) -> Hash {
    let mut hash = Hash::new();
    hash.bytes(&uuid);
    hash.word(len as u64);
    hash
}

/// The trailer of a message with that sum.
pub(crate) fn sealed(sum: u64, serial: u64) -> [u8; LEN] {
    let mut hash = Hash::resume(sum);
    hash.word(serial);
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&serial.to_ne_bytes());
    bytes[8..].copy_from_slice(&hash.finish().to_ne_bytes());
    bytes
}

/// The serial number of a payload, if it is one that is followed by a trailer.
pub(crate) fn serial(payload: &[u8]) -> Option<u64> {
    let (_, trailer) = payload.split_at_checked(payload.len().checked_sub(LEN)?)?;
    Some(u64::from_ne_bytes(*trailer.first_chunk()?))
}

/// The message and the serial number of a payload, if the trailer fits.
pub(crate) fn open(uuid: [u8; 16], payload: &[u8]) -> Option<(&[u8], u64)> {
    let (message, trailer) = payload.split_at_checked(payload.len().checked_sub(LEN)?)?;
    let serial = serial(payload)?;
    (trailer == sealed(sum(uuid, message), serial)).then_some((message, serial))
}

/// Whether a message with that trailer is whole and has that serial number. `next(piece, offset)` fills pieces of the
/// message, one after the other.
pub(crate) fn fits_pieces<E>(
    uuid: [u8; 16],
    len: usize,
    serial: u64,
    trailer: [u8; LEN],
    mut next: impl FnMut(&mut [u8], usize) -> Result<(), E>,
) -> Result<bool, E> {
    /// Bytes that are read at a time; whole words.
    const PIECE: usize = 1 << 16;
    let mut piece = vec![0; len.min(PIECE)];
    let mut hash = begin(uuid, len);
    let mut done = 0;
    while done < len {
        let piece = &mut piece[..(len - done).min(PIECE)];
        next(piece, done)?;
        hash.bytes(piece);
        done += piece.len();
    }
    Ok(trailer == sealed(hash.state(), serial))
}

/// Like [`sum`], of bytes that other processes may write at any time: with the values that they
/// have when they are read.
///
/// # Safety
/// The `len` bytes from `message` are mapped, and this process accesses them by atomics only.
pub(in crate::queue) unsafe fn sum_shared(uuid: [u8; 16], message: *const u8, len: usize) -> u64 {
    /// Bytes that are copied at a time; whole words.
    const PIECE: usize = 1024;
    let mut piece = [0; PIECE];
    let mut hash = begin(uuid, len);
    let mut done = 0;
    while done < len {
        let piece = &mut piece[..(len - done).min(PIECE)];
        // SAFETY: within the caller's bytes.
        unsafe { copy_out(message.wrapping_add(done), piece) };
        hash.bytes(piece);
        done += piece.len();
    }
    hash.state()
}

/// Whether such bytes are a message and its trailer, with that serial number.
///
/// # Safety
/// As [`sum_shared`].
pub(in crate::queue) unsafe fn fits_shared(
    uuid: [u8; 16],
    payload: *const u8,
    len: usize,
    serial: u64,
) -> bool {
    let Some(message_len) = len.checked_sub(LEN) else { return false };
    // SAFETY: the first of the caller's bytes.
    let sum = unsafe { sum_shared(uuid, payload, message_len) };
    let mut trailer = [0; LEN];
    // SAFETY: the last of the caller's bytes.
    unsafe { copy_out(payload.wrapping_add(message_len), &mut trailer) };
    trailer == sealed(sum, serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        let (uuid, message) = ([7; 16], [1_u8, 2, 3, 4, 5, 6, 7, 8, 9]);
        let mut payload = message.to_vec();
        payload.extend(sealed(sum(uuid, &message), 42));
        assert_eq!(open(uuid, &payload), Some((&message[..], 42)));
        assert_eq!(open([8; 16], &payload), None, "of another queue");
        assert_eq!(open(uuid, &payload[1..]), None);
        assert_eq!(open(uuid, &payload[..15]), None);
        // SAFETY: no other code has these bytes.
        let fits = |serial| unsafe { fits_shared(uuid, payload.as_ptr(), payload.len(), serial) };
        assert!(fits(42) && !fits(43), "at its place only");
        for bit in 0..payload.len() * 8 {
            let mut other = payload.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(uuid, &other), None, "bit {bit}");
        }
    }
}
