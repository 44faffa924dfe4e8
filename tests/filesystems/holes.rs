//! Queue files with holes, as `cp`, `tar -S` and `rsync -S` make them, on filesystems that get
//! full: a process that would need the space gets an error when it opens or attaches, and is never
//! ended by SIGBUS.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::*;

const CAPACITY: usize = 256 << 10;

/// A queue that was used: MPMC lanes are ready.
fn used<K: ringway::kind::Kind>(path: &Path) {
    // SAFETY: only these tests know the file.
    let queue = unsafe {
        ringway::kind::BytesQueue::<K>::create_with(path, &CreateOptions::new().ring_bytes(CAPACITY))
    }
    .unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(b"received").unwrap();
    drop(consumer.recv().unwrap());
    producer.send(b"waiting").unwrap();
}

/// Copies a file so that what is zero is a hole, as copying tools do.
fn copy_with_holes(from: &Path, to: &Path) {
    use std::os::unix::fs::FileExt;
    let bytes = std::fs::read(from).unwrap();
    let file = File::create_new(to).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (index, page) in bytes.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0))
    {
        file.write_all_at(page, index as u64 * 4096).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(to, mode).unwrap();
    let held = file.metadata().unwrap().blocks() * 512;
    assert!(held < bytes.len() as u64, "the copy has no holes");
}

/// Frees the disk space of some bytes.
fn punch(file: &File, offset: u64, len: u64) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: it takes no pointers.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as i64, len as i64) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Takes all space that is left, and frees it when it is dropped.
struct Filler(std::path::PathBuf);

impl Filler {
    fn take_all(directory: &Path) -> Self {
        use std::io::Write;
        let path = directory.join("filler");
        let mut file = File::create(&path).unwrap();
        for len in [1 << 20, 1 << 12] {
            while file.write_all(&vec![1; len]).is_ok() {}
        }
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn open_any<K: ringway::kind::Kind>(path: &Path) -> Result<ringway::kind::BytesQueue<K>, OpenError> {
    // SAFETY: only these tests know the file.
    unsafe { ringway::kind::BytesQueue::open(path) }
}

fn says_what_happened(error: &dyn std::fmt::Display, path: &Path) {
    let error = error.to_string();
    for part in [path.to_str().unwrap(), "no space for", "holes", "free some"] {
        assert!(error.contains(part), "{part:?} in {error:?}");
    }
}

/// Sends and receives until all of the ring was written to.
fn goes_round<K: ringway::kind::Kind>(path: &Path) {
    let queue = open_any::<K>(path).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    // Unless it was received while the filesystem was full.
    while let Ok(message) = consumer.try_recv() {
        assert_eq!(*message, *b"waiting");
    }
    for _ in 0..2 * CAPACITY / 1000 {
        producer.send(&[7; 1000]).unwrap();
        assert_eq!(&*consumer.recv().unwrap(), [7; 1000]);
    }
}

/// What happens on a full filesystem to a process that opens or attaches: an error of no space, or
/// all works. Returns which.
fn attach_on_full<K: ringway::kind::Kind>(path: &Path, is_punched: bool) -> [bool; 2] {
    let queue = match open_any::<K>(path) {
        Ok(queue) => queue,
        Err(error) => {
            assert!(matches!(error, OpenError::NoSpace { .. }), "{error:?}");
            says_what_happened(&error, path);
            return [false; 2];
        }
    };
    let told = |error: AttachError| {
        assert!(matches!(error, AttachError::NoSpace { .. }), "{error:?}");
        says_what_happened(&error, path);
    };
    let sent = match queue.producer() {
        Ok(mut producer) => {
            while producer.try_send(&[7; 1000]).is_ok() {}
            true
        }
        Err(error) => {
            told(error);
            false
        }
    };
    let received = match queue.consumer() {
        Ok(consumer) => {
            // What was punched out is lost; what only had holes is not.
            let message = consumer.try_recv();
            assert!(is_punched || *message.unwrap() == *b"waiting");
            true
        }
        Err(error) => {
            told(error);
            false
        }
    };
    [sent, received]
}

/// `takes`: whether a consumer can read the copy on a full filesystem.
fn of_kind<K: ringway::kind::Kind>(at: &Path, takes: bool) {
    let (original, copy) = (at.join("original"), at.join("copy"));
    used::<K>(&original);
    copy_with_holes(&original, &copy);
    ringway::unlink(&original).unwrap();
    let filler = Filler::take_all(at);
    assert_eq!(attach_on_full::<K>(&copy, false), [false, takes]);
    drop(filler);
    // The first participant that attaches allocates the space; then the filesystem may get full.
    drop((
        open_any::<K>(&copy).unwrap().producer().unwrap(),
        open_any::<K>(&copy).unwrap().consumer().unwrap(),
    ));
    let filler = Filler::take_all(at);
    goes_round::<K>(&copy);
    drop(filler);
    std::fs::remove_file(&copy).unwrap();

    // Punched: all but the preamble, and all but the registry.
    for header in [0x1000, 0x2000] {
        used::<K>(&original);
        let file = File::options().read(true).write(true).open(&original).unwrap();
        punch(&file, header, file.metadata().unwrap().len() - header);
        drop(file);
        let filler = Filler::take_all(at);
        attach_on_full::<K>(&original, true);
        drop(filler);
        std::fs::remove_file(&original).unwrap();
    }
}

#[test]
fn on_tmpfs() {
    with_mounts("holes::on_tmpfs", |dir| {
        let at = dir.join("mounted");
        std::fs::create_dir(&at)?;
        mount("tmpfs", "tmpfs", &at, "size=4M")?;
        of_kind::<ringway::kind::Spsc>(&at, false);
        of_kind::<ringway::kind::Mpmc>(&at, false);
        unmount(&at);
        Ok(())
    });
}

#[test]
fn on_ext4() {
    with_mounts("holes::on_ext4", |dir| {
        with_image(dir, "ext4", 16, |at| {
            // Reading a hole takes no space on a disk; but an MPMC queue's slots have holes too,
            // which are stored to.
            of_kind::<ringway::kind::Spsc>(at, true);
            of_kind::<ringway::kind::Mpmc>(at, false);
        })
    });
}

/// The handle was open before the holes were made: attaching allocates again.
#[test]
fn attaching_is_the_moment() {
    with_mounts("holes::attaching_is_the_moment", |dir| {
        let at = dir.join("mounted");
        std::fs::create_dir(&at)?;
        mount("tmpfs", "tmpfs", &at, "size=4M")?;
        let path = at.join("queue");
        let queue = create_sized(&path);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        punch(&file, 0x2000, CAPACITY as u64);
        let filler = Filler::take_all(&at);
        says_what_happened(&queue.producer().unwrap_err(), &path);
        drop(filler);
        let mut producer = queue.producer().unwrap();
        let filler = Filler::take_all(&at);
        while producer.try_send(&[7; 1000]).is_ok() {}
        drop((producer, queue, filler));
        unmount(&at);
        Ok(())
    });
}

fn create_sized(path: &Path) -> BytesQueue {
    // SAFETY: only these tests know the file.
    unsafe { BytesQueue::create_with(path, &CreateOptions::new().ring_bytes(CAPACITY).prefault(false)) }
        .unwrap()
}
