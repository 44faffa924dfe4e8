//! Files that outlive the boot in which they were used: copies, opened after the machine was "started again".
#![allow(unsafe_code, reason = "opens queues that no other process knows")]

mod bound;
mod broadcast;
mod checksums;
mod containers;
mod progress;
mod sealing;
mod tasks;
mod unreadable;

use std::path::{Path, PathBuf};

use super::record::{RECORD_OFFSET, SEAL_OFFSET};
use super::{AfterPowerLoss, BREAKING, Survival};
use crate::error::{OpenError, SyncError, Unproven};
use crate::inspect::Snapshot;
use crate::queue::{BytesQueue, Checksummed, Kind, Mpmc, Spsc};
use crate::shm::boot::pretend;
use crate::{CreateOptions, Framing, OpenOptions, Warning};

struct Place(tempfile::TempDir);

impl Place {
    /// In memory, which this thread treats as a disk from now on; in boot 1.
    fn new() -> Self {
        pretend::set_boot(1);
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("q")
    }

    /// What the disk holds if the machine goes down now: an image without participants.
    fn image(&self, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = std::fs::read(self.path()).unwrap();
        change(&mut bytes);
        let path = self.0.path().join("image");
        // Another file each time.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn options() -> CreateOptions {
    CreateOptions::new().ring_bytes(8192)
}

fn create<K: Kind>(path: &Path) -> BytesQueue<K> {
    // SAFETY: no other process knows the file, as everywhere here.
    unsafe { BytesQueue::create_with(path, &options()) }.unwrap()
}

fn open<K: Kind>(path: &Path, what: AfterPowerLoss) -> Result<BytesQueue<K>, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_with(path, &OpenOptions::new().after_power_loss(what)) }
}

fn drain<K: Kind>(queue: &BytesQueue<K>) -> Vec<Vec<u8>> {
    let consumer = queue.consumer().unwrap();
    std::iter::from_fn(|| consumer.try_recv().ok().map(|frame| frame.to_vec())).collect()
}

fn put(bytes: &mut [u8], at: u64, word: u64) {
    bytes[at as usize..at as usize + 8].copy_from_slice(&word.to_ne_bytes());
}

fn survival(path: &Path) -> (Survival, u64) {
    let boot = Snapshot::read(path).unwrap().boot;
    (boot.survival, boot.dropped)
}

fn what_was_left_in_order_is_there<K: Kind>() {
    let place = Place::new();
    let queue = create::<K>(&place.path());
    let mut producer = queue.producer().unwrap();
    (0..10).for_each(|i| producer.send(&[i; 100]).unwrap());
    drop(producer);
    let consumer = queue.consumer().unwrap();
    (0..3).for_each(|_| drop(consumer.recv().unwrap()));
    drop(consumer);
    assert_eq!(survival(&place.path()), (Survival::Sealed, 0));
    let image = place.image(|_| {});
    pretend::set_boot(2);
    assert_eq!(survival(&image), (Survival::Proven, 0));
    let queue = open::<K>(&image, AfterPowerLoss::Refuse).unwrap();
    assert!(queue.warnings().is_empty());
    assert_eq!(drain(&queue), (3..10).map(|i| vec![i; 100]).collect::<Vec<_>>());
    assert_eq!(survival(&image), (Survival::Sealed, 0));
    // And once more, empty.
    pretend::set_boot(3);
    assert_eq!(survival(&image), (Survival::Proven, 0));
    assert!(drain(&open::<K>(&image, AfterPowerLoss::Refuse).unwrap()).is_empty());
}

#[test]
fn what_was_left_in_order_is_there_spsc() {
    what_was_left_in_order_is_there::<Spsc>();
}

#[test]
fn what_was_left_in_order_is_there_mpmc() {
    what_was_left_in_order_is_there::<Mpmc>();
}

fn what_was_in_use_is_refused<K: Kind>() {
    let place = Place::new();
    let queue = create::<K>(&place.path());
    assert_eq!(survival(&place.path()).0, Survival::Unused);
    let mut producer = queue.producer().unwrap();
    (0..10).for_each(|i| producer.send(&[i; 100]).unwrap());
    assert_eq!(survival(&place.path()).0, Survival::InUse);
    // In this boot a kill costs nothing.
    let image = place.image(|_| {});
    assert_eq!(drain(&open::<K>(&image, AfterPowerLoss::Refuse).unwrap()).len(), 10);

    let image = place.image(|_| {});
    pretend::set_boot(2);
    assert_eq!(survival(&image), (Survival::Unproven, 0));
    let refused = open::<K>(&image, AfterPowerLoss::Refuse).unwrap_err();
    assert!(matches!(refused, OpenError::Unproven { found: Unproven::InUse, .. }), "{refused:?}");
    for words in [
        "image",
        "started again",
        "doctor --repair` drops all",
        "after_power_loss(AfterPowerLoss::Keep)",
        "boot id of its own",
        "share the host's boot id",
        "tmpfs",
        "remove the file",
    ] {
        assert!(refused.to_string().contains(words), "{refused}");
    }
    // The file is unchanged: it can still be taken with consent.
    let queue = open::<K>(&image, AfterPowerLoss::Keep).unwrap();
    assert_eq!(queue.warnings(), [Warning::KeptUnproven { found: Unproven::InUse, kept: 10, dropped: 0 }]);
    assert_eq!(drain(&queue).len(), 10);
    // It belongs to this boot from then on.
    assert!(open::<K>(&image, AfterPowerLoss::Refuse).unwrap().warnings().is_empty());

    pretend::set_boot(1);
    let image = place.image(|_| {});
    pretend::set_boot(2);
    let queue = open::<K>(&image, AfterPowerLoss::Discard).unwrap();
    assert_eq!(queue.warnings(), [Warning::Discarded { found: Unproven::InUse, dropped: 10, kept: 0 }]);
    assert_eq!(survival(&image), (Survival::Sealed, 10));
    queue.producer().unwrap().send(b"new").unwrap();
    assert_eq!(drain(&queue), [b"new"]);

    pretend::set_boot(1);
    let image = place.image(|_| {});
    pretend::set_boot(2);
    assert_eq!(crate::discard_unproven(&image).unwrap(), Some(10));
    assert_eq!(crate::discard_unproven(&image).unwrap(), None);
    assert!(drain(&open::<K>(&image, AfterPowerLoss::Refuse).unwrap()).is_empty());
    drop(producer);
}

#[test]
fn what_was_in_use_is_refused_spsc() {
    what_was_in_use_is_refused::<Spsc>();
}

#[test]
fn what_was_in_use_is_refused_mpmc() {
    what_was_in_use_is_refused::<Mpmc>();
}

/// Each byte that the seal covers: cursors, slots, frames.
#[test]
fn a_seal_that_does_not_fit_is_refused() {
    let place = Place::new();
    let queue = create::<Spsc>(&place.path());
    queue.producer().unwrap().send(&[7; 4000]).unwrap();
    let lane = 0x2000 + 128;
    for at in [0x500, 0x580, 0x600, 0x608, 0x610, lane - 8, lane, lane + 3999, lane + 4000] {
        pretend::set_boot(1);
        let image = place.image(|bytes| bytes[at] ^= 8);
        pretend::set_boot(2);
        let refused = open::<Spsc>(&image, AfterPowerLoss::Refuse).unwrap_err();
        assert!(
            matches!(refused, OpenError::Unproven { found: Unproven::Changed, .. }),
            "{at:#x}: {refused:?}"
        );
    }
}

/// The disk may hold the page as it was when the file was sealed before; not after an attach.
#[test]
fn attaching_flushes_before_anything_else() {
    let place = Place::new();
    let queue = create::<Spsc>(&place.path());
    let before = pretend::flushes();
    drop(queue.producer().unwrap());
    assert_eq!(pretend::flushes() - before, 1);
    // Sealed: the next participant flushes; one that joins it does not.
    let producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    assert_eq!(pretend::flushes() - before, 2);
    drop(producer);
    drop(queue.producer().unwrap());
    assert_eq!(pretend::flushes() - before, 2, "the consumer was there all the time");
    drop(consumer);
    drop(queue.consumer().unwrap());
    assert_eq!(pretend::flushes() - before, 3);
}

/// A participant that is killed in the middle of attaching costs no other participant anything, in
/// this boot and the next.
#[test]
fn a_kill_in_attaching_costs_nothing() {
    let place = Place::new();
    let queue = create::<Spsc>(&place.path());
    queue.producer().unwrap().send(b"one").unwrap();
    let one = u64::from_ne_bytes([1; 8]);
    let two = u64::from_ne_bytes([2; 8]);
    // In the next boot: after the second word of `boot`, after both, after the seal, after the flush.
    for (words, seal) in
        [([one, two], None), ([two, two], None), ([two, two], Some(BREAKING)), ([two, two], Some(0))]
    {
        pretend::set_boot(1);
        let image = place.image(|bytes| {
            words.into_iter().zip([0, 8]).for_each(|(word, at)| put(bytes, RECORD_OFFSET + at, word));
            if let Some(seal) = seal {
                put(bytes, SEAL_OFFSET, seal);
            }
        });
        pretend::set_boot(2);
        let flushes = pretend::flushes();
        let queue = open::<Spsc>(&image, AfterPowerLoss::Refuse).unwrap();
        assert_eq!(drain(&queue), [b"one"], "{words:?} {seal:?}");
        assert_eq!(
            pretend::flushes() - flushes,
            u64::from(seal != Some(0)),
            "the flush may not have been done"
        );
    }
}

#[test]
fn what_was_never_used_is_no_question() {
    let place = Place::new();
    let _queue = create::<Mpmc>(&place.path());
    // Attaching was begun, and what it stored did not reach the disk as a whole.
    for seal in [0, BREAKING] {
        pretend::set_boot(1);
        let image = place.image(|bytes| put(bytes, SEAL_OFFSET, seal));
        pretend::set_boot(2);
        assert!(drain(&open::<Mpmc>(&image, AfterPowerLoss::Refuse).unwrap()).is_empty());
    }
}

/// Positions continue, and the queue stays closed.
#[test]
fn an_emptied_queue_is_the_same_queue() {
    let place = Place::new();
    let queue = create::<Mpmc>(&place.path());
    let mut producer = queue.producer().unwrap();
    (0..5).for_each(|i| producer.send(&[i; 10]).unwrap());
    queue.close();
    let (uuid, image) = (Snapshot::read(place.path()).unwrap().header.uuid, place.image(|_| {}));
    pretend::set_boot(2);
    let queue = open::<Mpmc>(&image, AfterPowerLoss::Discard).unwrap();
    let snapshot = Snapshot::read(&image).unwrap();
    assert_eq!(snapshot.header.uuid, uuid);
    assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
    assert!(
        matches!(snapshot.cursors, crate::inspect::Cursors::Mpmc { tail: 5.., .. }),
        "{:?}",
        snapshot.cursors
    );
    assert!(queue.is_closed());
    assert!(matches!(queue.producer().unwrap().send(b"x"), Err(crate::SendError::Closed)));
}

#[test]
fn what_is_in_memory_cannot_be_synced_and_has_no_boot() {
    // This thread does not pretend.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("q");
    let queue = create::<Spsc>(&path);
    queue.producer().unwrap().send(b"one").unwrap();
    let error = queue.sync().unwrap_err();
    assert!(matches!(error, SyncError::InMemory { .. }), "{error:?}");
    assert!(error.to_string().contains("on a disk"), "{error}");
    assert!(matches!(crate::sync(&path), Err(SyncError::InMemory { .. })));
    let boot = Snapshot::read(&path).unwrap().boot;
    assert_eq!((boot.id, boot.survival), (None, Survival::InMemory));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[RECORD_OFFSET as usize..SEAL_OFFSET as usize + 8], [0; 24]);
}
