//! When a file is sealed, and what is said if it cannot be.

use super::*;
use crate::queue::file::boot::contents::{AT_ONCE, Contents};
use crate::sync::Ordering;

#[test]
fn a_synced_queue_without_participants_is_sealed_whatever_its_size() {
    let place = Place::new();
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

/// `join` scans for dead participants again and again: reading all that is in the file each time would
/// keep others from attaching.
#[test]
fn a_join_that_recovers_nothing_seals_nothing() {
    let place = Place::new();
    let queue = create::<Mpmc>(&place.path());
    queue.producer().unwrap().send(b"one").unwrap();
    let seal = &queue.shared().rare().seal;
    let no_hash = 7;
    seal.store(no_hash, Ordering::Relaxed);
    let timeout = std::time::Duration::from_millis(500);
    assert!(queue.join_timeout(timeout).unwrap_err().is_timeout());
    assert_eq!(seal.load(Ordering::Relaxed), no_hash);
    // A recovery that was asked for does, since no other participant may come.
    queue.recover().unwrap();
    assert_eq!(survival(&place.path()).0, Survival::Sealed);
}

/// In a process of its own, which runs out of file descriptors: each test of this process needs some.
#[test]
fn a_file_is_sealed_without_a_descriptor_left() {
    const CHILD: &str = "RINGWAY_WITHOUT_DESCRIPTORS";
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors();
    }
    let name = "queue::file::boot::tests::sealing::a_file_is_sealed_without_a_descriptor_left";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", name, "--test-threads=1"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
}

fn without_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let place = Place::new();
    let queue = create::<Spsc>(&place.path());
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    producer.send(b"one").unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    // What the last participant needs was opened when the first one attached.
    drop((producer, consumer));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!((survival(&place.path()).0, queue.warnings()), (Survival::Sealed, vec![]));
    // It also removes a queue that is removed with its last handle.
    let path = place.0.path().join("owned");
    let owned = options().unlink_on_last_drop(true);
    // SAFETY: no other process knows the file.
    let owned = unsafe { BytesQueue::<Spsc>::create_with(&path, &owned) }.unwrap();
    let producer = owned.producer().unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    drop((producer, owned));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(!path.exists());
    // And once more: it is kept.
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    // A file that was changed by others cannot be hashed.
    let tail = std::fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&tail, &[7; 8], 0x500).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    drop((producer, consumer));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(survival(&place.path()).0, Survival::InUse);
    let warnings = queue.warnings();
    let [Warning::NotSealed { reason }] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(reason.contains("invalid values"), "{reason}");
    for words in ["could not be sealed", "refused", "ringway sync"] {
        assert!(warnings[0].to_string().contains(words), "{}", warnings[0]);
    }
}

/// Those who wait for the lock see that its holder moves on, however much there is to read.
fn long_work_is_told_in_pieces<K: Kind>(uuid: Option<[u8; 16]>) {
    let place = Place::new();
    // SAFETY: no other process knows the file.
    let queue =
        unsafe { BytesQueue::<K>::create_with(place.path(), &options().ring_bytes(8 << 20)) }.unwrap();
    let mut producer = queue.producer().unwrap();
    (0..4).for_each(|i| producer.send(&[i; 1 << 20]).unwrap());
    drop(producer);
    let (count, file) = (std::cell::Cell::new(0), queue.shared().file());
    let on_progress = || count.set(count.get() + 1);
    let contents = Contents { file, geometry: queue.shared().geometry(), on_progress: &on_progress };
    let pieces = (4 << 20) / AT_ONCE;
    assert!(contents.hash(u64::MAX).unwrap().is_some());
    assert!(count.replace(0) >= pieces, "hashing");
    assert_eq!(contents.salvage(uuid.map(|_| queue.shared().uuid())).unwrap(), 4);
    assert!(count.replace(0) >= pieces, "keeping what is whole");
    contents.write_back();
    assert!(count.get() > 0, "writing");
}

#[test]
fn long_work_is_told_in_pieces_with_and_without_checksums() {
    long_work_is_told_in_pieces::<Spsc>(None);
    long_work_is_told_in_pieces::<Mpmc>(None);
    long_work_is_told_in_pieces::<Checksummed<Spsc>>(Some([0; 16]));
    long_work_is_told_in_pieces::<Checksummed<Mpmc>>(Some([0; 16]));
}
