//! Files that outlive the boot in which they were used: copies, opened after the machine was "started again".
#![allow(unsafe_code, reason = "opens queues that no other process knows")]

use std::path::{Path, PathBuf};

use super::{AfterPowerLoss, BREAKING, RECORD_OFFSET, SEAL_OFFSET, Survival};
use crate::error::{OpenError, SyncError, Unproven};
use crate::inspect::Snapshot;
use crate::queue::{BytesQueue, Checksummed, Kind, Mpmc, Spsc};
use crate::shm::boot::pretend;
use crate::{Options, Warning};

struct PackedFrameRef(tempfile::TempDir);

impl PackedFrameRef {
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

fn options() -> Options {
    Options::new().ring_bytes(8192)
}

fn create<K: Kind>(path: &Path) -> BytesQueue<K> {
    // SAFETY: no other process knows the file, as everywhere here.
    unsafe { BytesQueue::create_with(path, &options()) }.unwrap()
}

fn open<K: Kind>(path: &Path, what: AfterPowerLoss) -> Result<BytesQueue<K>, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_with(path, &options().after_power_loss(what)) }
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
    let place = PackedFrameRef::new();
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
    let place = PackedFrameRef::new();
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
    let place = PackedFrameRef::new();
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
    let place = PackedFrameRef::new();
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
    let place = PackedFrameRef::new();
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

/// A participant that cannot read the boot id attaches among others that can. Then all of them are killed.
fn an_unreadable_boot_id_puts_nothing_in_doubt<K: Kind>() {
    let place = PackedFrameRef::new();
    let queue = create::<K>(&place.path());
    let mut producer = queue.producer().unwrap();
    producer.send(b"one").unwrap();
    pretend::hide_boot();
    let consumer = queue.consumer().unwrap();
    assert!(matches!(queue.warnings()[..], [Warning::UnknownBoot { .. }]), "{:?}", queue.warnings());
    pretend::set_boot(1);
    let image = place.image(|_| {});
    assert_eq!(survival(&image).0, Survival::InUse);
    assert_eq!(drain(&open::<K>(&image, AfterPowerLoss::Refuse).unwrap()), [b"one"]);
    // The machine went down instead: the file is unproven.
    let image = place.image(|_| {});
    pretend::set_boot(2);
    let refused = open::<K>(&image, AfterPowerLoss::Refuse).unwrap_err();
    assert!(matches!(refused, OpenError::Unproven { found: Unproven::InUse, .. }), "{refused:?}");
    drop((producer, consumer));
}

#[test]
fn an_unreadable_boot_id_puts_nothing_in_doubt_spsc() {
    an_unreadable_boot_id_puts_nothing_in_doubt::<Spsc>();
}

#[test]
fn an_unreadable_boot_id_puts_nothing_in_doubt_mpmc() {
    an_unreadable_boot_id_puts_nothing_in_doubt::<Mpmc>();
}

/// A participant that cannot read the boot id breaks a seal as every other does, in a file of this
/// boot, of another one, and in one that was never used.
#[test]
fn an_unreadable_boot_id_breaks_seals() {
    let place = PackedFrameRef::new();
    let queue = create::<Spsc>(&place.path());
    let unused = place.image(|_| {});
    pretend::hide_boot();
    let producer = open::<Spsc>(&unused, AfterPowerLoss::Refuse).unwrap().producer().unwrap();
    for boot in [1, 2] {
        pretend::set_boot(boot);
        assert_eq!(survival(&unused).0, Survival::InUse, "it has a participant");
        let killed = place.0.path().join("killed");
        std::fs::copy(&unused, &killed).unwrap();
        assert!(
            open::<Spsc>(&killed, AfterPowerLoss::Refuse).is_err(),
            "in which boot it was used is unknown"
        );
    }
    drop(producer);

    pretend::set_boot(1);
    queue.producer().unwrap().send(b"one").unwrap();
    let sealed = place.image(|_| {});
    for boot in [1, 2] {
        pretend::set_boot(boot);
        assert!(matches!(survival(&sealed).0, Survival::Sealed | Survival::Proven));
        pretend::hide_boot();
        let flushes = pretend::flushes();
        let producer = open::<Spsc>(&sealed, AfterPowerLoss::Refuse).unwrap().producer().unwrap();
        assert_eq!(pretend::flushes() - flushes, 1);
        let killed = place.0.path().join("killed");
        std::fs::copy(&sealed, &killed).unwrap();
        pretend::set_boot(boot + 1);
        let refused = open::<Spsc>(&killed, AfterPowerLoss::Refuse).unwrap_err();
        assert!(matches!(refused, OpenError::Unproven { found: Unproven::InUse, .. }), "{refused:?}");
        drop(producer);
    }
}

#[test]
fn what_was_never_used_is_no_question() {
    let place = PackedFrameRef::new();
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
    let place = PackedFrameRef::new();
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
fn a_synced_queue_without_participants_is_sealed_whatever_its_size() {
    let place = PackedFrameRef::new();
    let queue = create::<Spsc>(&place.path());
    queue.producer().unwrap().send(b"one").unwrap();
    let image = place.image(|bytes| put(bytes, SEAL_OFFSET, 0)); // as if there had been too much to read
    let queue = open::<Spsc>(&image, AfterPowerLoss::Refuse).unwrap();
    queue.sync().unwrap();
    assert_eq!(survival(&image).0, Survival::Sealed);
    // In use it is not.
    let _producer = queue.producer().unwrap();
    queue.sync().unwrap();
    assert_eq!(survival(&image).0, Survival::InUse);
}

/// In a process of its own, which runs out of file descriptors: each test of this process needs some.
#[test]
fn a_file_that_could_not_be_sealed_is_told() {
    const CHILD: &str = "RINGWAY_WITHOUT_DESCRIPTORS";
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors();
    }
    let name = "queue::boot::tests::a_file_that_could_not_be_sealed_is_told";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", name, "--test-threads=1"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
}

fn without_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let place = PackedFrameRef::new();
    let queue = create::<Spsc>(&place.path());
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    producer.send(b"one").unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    drop((producer, consumer));
    let failed = queue.sync();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(survival(&place.path()).0, Survival::InUse);
    let warnings = queue.warnings();
    let [Warning::NotSealed { reason }] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(reason.contains("Too many open files"), "{reason}");
    for words in ["could not be sealed", "refused", "ringway sync"] {
        assert!(warnings[0].to_string().contains(words), "{}", warnings[0]);
    }
    assert!(matches!(failed, Err(SyncError::Io { step: "sealing the queue", .. })), "{failed:?}");
    // As the warning says.
    queue.sync().unwrap();
    assert_eq!(survival(&place.path()).0, Survival::Sealed);
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

/// The header on the disk is as old as the last attach, the ring is newer: what was found there
/// must not outlive what is sent from then on.
fn positions_go_on_behind_all_that_was_found(options: &Options, what: AfterPowerLoss) {
    type Queue = BytesQueue<Checksummed<Spsc>>;
    let open = |path: &Path, what| {
        // SAFETY: no other process knows these files.
        unsafe { Queue::open_with(path, &options.clone().after_power_loss(what)) }.unwrap()
    };
    let place = PackedFrameRef::new();
    // SAFETY: as above.
    let queue = unsafe { Queue::create_with(place.path(), options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for number in 0..1000_u64 {
        producer.send(&[number.to_ne_bytes(); 13].concat()).unwrap();
        drop(consumer.recv().unwrap());
    }
    let lane = 0x2000 + 128 - 8;
    let image = place.image(|bytes| {
        bytes[0x500..0x680].fill(0);
        bytes[lane..lane + 4096].fill(0);
    });
    pretend::set_boot(2);
    let queue = open(&image, what);
    // The header does not say that they were released.
    assert_eq!(drain(&queue).is_empty(), what == AfterPowerLoss::Discard);
    let mut producer = queue.producer().unwrap();
    let sent = [[1; 104], [2; 104]];
    sent.iter().for_each(|message| producer.send(message).unwrap());
    // All of it is on the disk.
    let synced = place.0.path().join("synced");
    std::fs::copy(&image, &synced).unwrap();
    pretend::set_boot(3);
    let found = drain(&open(&synced, AfterPowerLoss::Keep));
    assert_eq!(found, sent, "{what:?}");
}

#[test]
fn positions_go_on_behind_all_that_was_found_any_size() {
    for what in [AfterPowerLoss::Keep, AfterPowerLoss::Discard] {
        positions_go_on_behind_all_that_was_found(&options(), what);
    }
}

#[test]
fn positions_go_on_behind_all_that_was_found_one_size() {
    for what in [AfterPowerLoss::Keep, AfterPowerLoss::Discard] {
        positions_go_on_behind_all_that_was_found(&options().fixed_len(104), what);
    }
}

/// The power fails once more while the disk holds the header of the repaired file, and not yet its
/// ring.
#[test]
fn what_was_put_back_is_not_lost_with_the_next_power_loss() {
    type Queue = BytesQueue<Checksummed<Spsc>>;
    // SAFETY: no other process knows these files.
    let open = |path: &Path| unsafe { Queue::open_with(path, &options()) }.unwrap();
    let place = PackedFrameRef::new();
    let queue = create::<Checksummed<Spsc>>(&place.path());
    let mut producer = queue.producer().unwrap();
    let sent: Vec<_> = (0..30).map(|number| vec![number; 100]).collect();
    sent.iter().for_each(|message| producer.send(message).unwrap());
    let image = place.image(|_| {});
    let before = std::fs::read(&image).unwrap();
    pretend::set_boot(2);
    let made_good = open(&image);
    let mut mixed = std::fs::read(&image).unwrap();
    assert_ne!(before[0x500..0x680], mixed[0x500..0x680]);
    mixed[4096..].copy_from_slice(&before[4096..]);
    drop(made_good);
    std::fs::write(&image, mixed).unwrap();
    pretend::set_boot(3);
    // As if a participant had attached in boot 2 and flushed the header.
    let path = place.0.path().join("again");
    let mut bytes = std::fs::read(&image).unwrap();
    put(&mut bytes, SEAL_OFFSET, BREAKING);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(drain(&open(&path)), sent);
}
