//! Long work on a file shows progress to those who wait for the attach lock.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::queue::file::boot::contents::{AT_ONCE, Contents};
use crate::queue::file::boot::remedy::{Remedy, remake};
use crate::shm::boot::pretend::FileOperation;

/// What a remedy writes at once, and how often it shows progress.
fn observe<K: Kind>(queue: &BytesQueue<K>, remedy: Remedy) -> (u64, u64) {
    let shared = Arc::clone(queue.shared());
    let calls = Cell::new(0);
    let on_progress = || calls.set(calls.get() + 1);
    let contents = Contents { file: shared.file(), geometry: shared.geometry(), on_progress: &on_progress };
    let (done, operations) = pretend::journal(|| remake(&contents, [2, 2], remedy));
    done.unwrap();
    let sizes = operations.iter().map(|operation| match operation {
        FileOperation::Write { bytes, .. } => bytes.len() as u64,
        FileOperation::Sync => 0,
    });
    (sizes.max().unwrap(), calls.get())
}

/// Two MiB of slots.
#[test]
fn slots_are_written_piece_by_piece() {
    for remedy in [Remedy::Salvage, Remedy::Empty(None)] {
        let place = Place::new();
        let options = options().max_messages(1 << 17);
        // SAFETY: no other process knows the file.
        let queue = unsafe { BytesQueue::<Mpmc>::create_with(place.path(), &options) }.unwrap();
        queue.producer().unwrap().send(b"one message").unwrap();
        let (largest, calls) = observe(&queue, remedy);
        assert!(largest <= AT_ONCE, "{largest} bytes in one write");
        // They are read to be counted, read, and written.
        assert!(calls >= 3 * (2 << 20) / AT_ONCE, "{calls} calls");
    }
}

/// Sums are computed of 16 MiB.
#[test]
fn sums_of_messages_of_one_size_are_computed_piece_by_piece() {
    let place = Place::new();
    let options = options().ring_bytes(16 << 20).framing(Framing::Fixed(1000));
    // SAFETY: no other process knows the file.
    let queue = unsafe { BytesQueue::<Checksummed<Spsc>>::create_with(place.path(), &options) }.unwrap();
    let calls = Cell::new(0);
    let on_progress = || calls.set(calls.get() + 1);
    let geometry = queue.shared().geometry();
    let contents = Contents { file: queue.shared().file(), geometry, on_progress: &on_progress };
    contents.bytes(geometry.lane_offset, geometry.ring_bytes()).unwrap();
    let reading = calls.take();
    contents.used(queue.shared().uuid()).unwrap();
    assert!(calls.get() >= reading + 15, "{} calls, {reading} of them to read it", calls.get());
}
