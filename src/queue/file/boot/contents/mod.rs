//! The part of a file that decides about its messages: hashed for the seal, counted, and dropped.
//! All by `pread` and `pwrite`, under the attach lock and without participants.

mod clear;
mod mpmc;
mod spsc;

use std::fs::File;
use std::io;

use crate::layout::order::SlotKind;
use crate::layout::{Framing, Geometry, PREAMBLE_LEN};
use crate::queue::file::hash::Hash;
use crate::shm;

/// Bytes that are read at a time.
pub(super) const AT_ONCE: u64 = 1 << 16;

/// Bytes that are written to the disk at a time.
const WRITE_AT_ONCE: u64 = 8 << 20;

/// A file whose preamble was checked.
pub(super) struct Contents<'a> {
    pub(super) file: &'a File,
    pub(super) geometry: &'a Geometry,
    /// Called between pieces of long work, of [`AT_ONCE`] bytes or a MiB of computation: others may wait
    /// for the lock under which it is done.
    pub(super) on_progress: &'a dyn Fn(),
}

impl Contents<'_> {
    /// A hash of everything that decides which messages are delivered, and of their bytes; none if
    /// there are more than `most` bytes of them, or if words have invalid values. Two files of one
    /// queue with the same hash deliver the same messages.
    pub(super) fn hash(&self, most: u64) -> io::Result<Option<u64>> {
        let mut hash = Hash::new();
        hash.bytes(&self.bytes(0, PREAMBLE_LEN as u64)?);
        let is_whole = match self.geometry.order {
            None => self.hash_spsc(&mut hash, most)?,
            Some(order) => self.hash_mpmc(&mut hash, order, most)?,
        };
        Ok(is_whole.then(|| hash.finish()))
    }

    /// How many messages seem to be there, delivered or not, as far as they can be counted.
    pub(super) fn count(&self) -> io::Result<u64> {
        let Some(order) = self.geometry.order else {
            let words = self.spsc_words()?;
            let Framing::Variable = self.geometry.framing else {
                return Ok(words.tail.saturating_sub(words.released).min(self.geometry.capacity));
            };
            let mut count = 0;
            self.walk(words.released, |_| count += 1)?;
            return Ok(count);
        };
        let (mut count, free) = (0, self.free(order)?.unwrap_or(0));
        self.each_slot(order, |slot, state, place| {
            let position = state.lap().wrapping_mul(order.slots).wrapping_add(slot);
            let is_there = state.kind() != SlotKind::Free && position >= free;
            count += u64::from(is_there && place.len() <= self.geometry.max_payload);
            Ok(())
        })?;
        Ok(count)
    }

    /// Writes the file to the disk piece by piece, so that the flush afterwards is short.
    pub(super) fn write_back(&self) {
        for at in (0..self.geometry.file_len()).step_by(WRITE_AT_ONCE as usize) {
            shm::write_back(self.file, at..at + WRITE_AT_ONCE);
            (self.on_progress)();
        }
    }

    /// Writes bytes piece by piece: a write of many may have to wait for the disk.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        for (piece, at) in bytes.chunks(AT_ONCE as usize).zip((at..).step_by(AT_ONCE as usize)) {
            shm::write_at(self.file, piece, at)?;
            (self.on_progress)();
        }
        Ok(())
    }

    /// Stores a word.
    pub(super) fn put(&self, at: u64, word: u64) -> io::Result<()> {
        shm::write_word(self.file, word, at)
    }

    pub(super) fn word(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes, at)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    pub(super) fn bytes(&self, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes, at)?;
        Ok(bytes)
    }

    fn each_piece(
        &self,
        at: u64,
        len: u64,
        mut on_piece: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; len.min(AT_ONCE) as usize];
        let mut done = 0;
        while done < len {
            let piece = &mut buffer[..(len - done).min(AT_ONCE) as usize];
            self.fill(piece, at + done)?;
            on_piece(piece)?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        for (piece, at) in buffer.chunks_mut(AT_ONCE as usize).zip((at..).step_by(AT_ONCE as usize)) {
            if !shm::read_exact_at(self.file, piece, at)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (self.on_progress)();
        }
        Ok(())
    }
}

fn word_in(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
