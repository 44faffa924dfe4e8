//! Filesystems that queues can be on, and filesystems that they cannot. What cannot be mounted here
//! is skipped, with a message.
//!
//! Each test mounts in a mount namespace of its own, in a process of its own.

mod common;

#[path = "filesystems/fuse.rs"]
mod fuse;
#[path = "filesystems/holes.rs"]
mod holes;
#[path = "filesystems/programs.rs"]
mod programs;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use common::{directory, in_child, names_in};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use programs::liveness_locks_do_not_depend_on_programs;
use ringway::spsc::BytesQueue;
use ringway::{AttachError, CreateError, CreateOptions, OpenError, mpmc};

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

fn create(path: &Path) -> Result<BytesQueue, CreateError> {
    // SAFETY: only these tests know the file.
    unsafe { BytesQueue::create_with(path, &small()) }
}

fn open(path: &Path) -> Result<BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open(path) }
}

/// Mounts so that only this process sees it.
fn mount(source: &str, kind: &str, at: &Path, options: &str) -> std::io::Result<()> {
    let text = |text: &[u8]| CString::new(text).unwrap();
    let (source, kind, options) = (text(source.as_bytes()), text(kind.as_bytes()), text(options.as_bytes()));
    let at = text(at.as_os_str().as_bytes());
    // SAFETY: all strings end in NUL.
    let result =
        unsafe { libc::mount(source.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Mounts of this process are visible nowhere else from now on.
fn be_alone() -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let null = std::ptr::null();
    // SAFETY: the string ends in NUL, and the others may be null for this kind of call.
    let result =
        unsafe { libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn unmount(at: &Path) {
    let at = CString::new(at.as_os_str().as_bytes()).unwrap();
    // SAFETY: the string ends in NUL.
    let result = unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs `body` in a process of its own that may mount; it prints "looked" at its end.
fn with_mounts(test: &str, body: impl FnOnce(&Path) -> std::io::Result<()>) {
    let output = in_child(test, || {
        let dir = directory();
        match be_alone().and_then(|()| body(dir.path())) {
            Ok(()) => println!("looked at it"),
            Err(error) => println!("skipped: {error}"),
        }
    });
    if let Some(output) = output {
        assert!(output.contains("looked at it") || output.contains("skipped: "), "{output}");
        println!("{output}");
    }
}

/// Every operation of a queue, at a place where it can be.
fn works_at(path: &Path) {
    let queue = create(path).unwrap();
    let again = open(path).unwrap();
    {
        let (mut producer, consumer) = (queue.producer().unwrap(), again.consumer().unwrap());
        assert!(matches!(again.producer(), Err(AttachError::RoleTaken { .. })), "the lease is not seen");
        assert!(matches!(queue.consumer(), Err(AttachError::RoleTaken { .. })), "the lease is not seen");
        assert!(!ringway::unlink_if_unused(path).unwrap());
        producer.send(b"hello").unwrap();
        assert_eq!(&*consumer.recv().unwrap(), b"hello");
    }
    drop((again.producer().unwrap(), queue.consumer().unwrap()));
    assert!(ringway::unlink_if_unused(path).unwrap());

    // SAFETY: only this test knows the file.
    let many = unsafe { mpmc::BytesQueue::create_with(path, &small()) }.unwrap();
    let (mut producer, consumer) = (many.producer().unwrap(), many.consumer().unwrap());
    producer.send(b"hello").unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"hello");
    assert!(many.stats().participants.iter().all(|one| one.alive));
    assert_eq!(many.recover().unwrap(), ringway::Recovery::default(), "somebody was taken for dead");
    drop((producer, consumer));
    ringway::unlink(path).unwrap();
    assert_eq!(names_in(path.parent().unwrap()).iter().filter(|name| name.contains("ringway")).count(), 0);
}

/// Every operation, also while programs are started.
fn works_in(directory: &Path) {
    works_at(&directory.join("queue"));
    liveness_locks_do_not_depend_on_programs(&directory.join("queue"));
}

#[test]
fn shared_memory() {
    in_child("shared_memory", || works_in(directory().path()));
}

#[test]
fn the_disk_of_this_machine() {
    let dir =
        tempfile::Builder::new().prefix("ringway-test-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    works_at(&dir.path().join("queue"));
}

/// overlayfs drops a lock when the file that had it is closed; liveness locks keep theirs open there.
#[test]
fn overlayfs_keeps_its_liveness_locks() {
    with_mounts("overlayfs_keeps_its_liveness_locks", |dir| {
        // The upper directory of an overlay has to be on another filesystem than an overlay; tmpfs will do.
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| dir.join(name));
        for directory in [&lower, &upper, &work, &merged] {
            std::fs::create_dir(directory)?;
        }
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount("overlay", "overlay", &merged, &options)?;
        works_at(&merged.join("queue"));
        liveness_locks_do_not_depend_on_programs(&merged.join("queue"));
        // One that came with an image, and is copied up when it is opened to be written.
        unmount(&merged);
        drop(create(&lower.join("queue")).unwrap());
        mount("overlay", "overlay", &merged, &options)?;
        let (one, other) = (open(&merged.join("queue")).unwrap(), open(&merged.join("queue")).unwrap());
        one.producer().unwrap().send(b"hello").unwrap();
        assert_eq!(&*other.consumer().unwrap().recv().unwrap(), b"hello");
        unmount(&merged);
        Ok(())
    });
}

/// Mounts an image that `mkfs` makes in a file.
fn with_image(dir: &Path, kind: &str, mebibytes: u64, body: impl FnOnce(&Path)) -> std::io::Result<()> {
    let (image, at) = (dir.join("image"), dir.join("mounted"));
    std::fs::File::create(&image)?.set_len(mebibytes << 20)?;
    let made = Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image).output()?;
    if !made.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    std::fs::create_dir(&at)?;
    let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).output()?;
    if !mounted.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&mounted.stderr).into_owned()));
    }
    body(&at);
    let unmounted = Command::new("umount").arg(&at).status()?;
    assert!(unmounted.success());
    Ok(())
}

#[test]
fn ext4() {
    with_mounts("ext4", |dir| with_image(dir, "ext4", 64, works_in));
}

#[test]
fn xfs() {
    with_mounts("xfs", |dir| with_image(dir, "xfs", 320, works_in));
}

/// Its files are not copied when they are written again; one that is, is refused.
#[test]
fn btrfs() {
    with_mounts("btrfs", |dir| {
        with_image(dir, "btrfs", 128, |at| {
            works_in(at);
            drop(create(&at.join("queue")).unwrap());
            // As `cp` makes it.
            let bytes = std::fs::read(at.join("queue")).unwrap();
            std::fs::write(at.join("copy"), bytes).unwrap();
            let error = open(&at.join("copy")).unwrap_err();
            assert!(matches!(error, OpenError::WrongFilesystem { filesystem: "btrfs", .. }), "{error:?}");
            assert!(error.to_string().contains("copies what is written again"), "{error}");
            drop(open(&at.join("queue")).unwrap());
        })
    });
}

/// A filesystem that a process serves: refused, before anything is created there, and named.
#[test]
fn fuse_is_refused() {
    with_mounts("fuse_is_refused", |dir| {
        let at = dir.join("mounted");
        std::fs::create_dir(&at)?;
        // There is a queue in it.
        drop(create(&dir.join("template")).unwrap());
        let queue = std::fs::read(dir.join("template"))?;
        let served = fuse::Served::start(queue, |descriptor| {
            mount("ringway", "fuse", &at, &format!("fd={descriptor},rootmode=40755,user_id=0,group_id=0"))
        })?;
        let reason = "a process serves it";
        let error = create(&at.join("new")).unwrap_err();
        assert!(matches!(error, CreateError::WrongFilesystem { filesystem: "FUSE", .. }), "{error:?}");
        assert!(error.to_string().contains(reason) && error.to_string().contains("/dev/shm"), "{error}");
        let error = open(&at.join("queue")).unwrap_err();
        assert!(matches!(error, OpenError::WrongFilesystem { filesystem: "FUSE", .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(served.written(), 0, "something was made or written there");
        unmount(&at);
        Ok(())
    });
}

#[test]
fn procfs_is_refused() {
    let error = create(Path::new("/proc/self/queue")).unwrap_err();
    assert!(matches!(error, CreateError::WrongFilesystem { filesystem: "procfs", .. }), "{error:?}");
    assert!(error.to_string().contains("no files that can be written and mapped"), "{error}");
}

/// The kernel's plainest, without `fallocate`.
#[test]
fn ramfs() {
    with_mounts("ramfs", |dir| {
        let at = dir.join("mounted");
        std::fs::create_dir(&at)?;
        mount("none", "ramfs", &at, "")?;
        works_in(&at);
        unmount(&at);
        Ok(())
    });
}
