//! A name that changes while it is used: links in the way, files that are replaced.

use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringway::spsc::BytesQueue;
use ringway::{AttachError, CreateError, OpenError, OpenOptions, mpmc};

use crate::common::{directory, names_in};
use crate::{create, open, open_or_create, passes, small};

/// Set when dropped: so the thread that interferes ends also when the test fails.
struct Done(AtomicBool);

impl Done {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_later(&self) -> impl Drop {
        struct Later<'a>(&'a AtomicBool);
        impl Drop for Later<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        Later(&self.0)
    }
}

/// Machines differ; the usual number of attempts takes a second or two, and need not take many.
fn deadline() -> Instant {
    let is_usual = std::env::var_os("RINGWAY_SWAPS").is_none();
    Instant::now() + Duration::from_secs(if is_usual { 10 } else { 100_000 })
}

/// A number from the environment.
fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// A name that alternates between a queue and links to a precious file: the queue is opened, or
/// refused, and the precious file is neither opened nor changed.
#[test]
fn a_name_that_is_swapped_never_leads_elsewhere() {
    let attempts = number_from("RINGWAY_SWAPS", 100_000);
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    drop(create(&at("ours"), &small()).unwrap());
    // A good queue, to be reached only through links.
    drop(create(&at("precious"), &small()).unwrap());
    let precious = std::fs::read(at("precious")).unwrap();
    let precious_inode = at("precious").metadata().unwrap().ino();
    let name = at("name");
    let is_done = Done::new();
    let (mut opened, mut refused) = (0_u64, 0_u64);
    let deadline = deadline();
    std::thread::scope(|scope| {
        let _set = is_done.set_later();
        scope.spawn(|| {
            let next = at("next");
            while !is_done.is_set() {
                for target in ["ours", "precious"] {
                    if target == "ours" {
                        std::fs::hard_link(at(target), &next).unwrap();
                    } else {
                        symlink(at(target), &next).unwrap();
                    }
                    std::fs::rename(&next, &name).unwrap();
                    // Renaming one name of a file to another one of it does nothing.
                    let _ = std::fs::remove_file(&next);
                }
            }
        });
        while opened + refused < attempts && Instant::now() < deadline {
            match open(&name, &OpenOptions::new()) {
                Ok(queue) => {
                    assert_ne!(inode_of(&queue), precious_inode, "a link was followed");
                    // Attaching checks the name again: it may be another file's by now.
                    match queue.producer() {
                        Ok(_) | Err(AttachError::Orphaned { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    opened += 1;
                }
                Err(OpenError::NotAFile { found: "a symbolic link", .. }) => refused += 1,
                // tmpfs has a moment without the name when another file is renamed to it.
                Err(OpenError::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused: they never met");
    assert_eq!(std::fs::read(at("precious")).unwrap(), precious);
}

fn inode_of(queue: &BytesQueue) -> u64 {
    std::fs::File::from(queue.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().ino()
}

/// Another process puts links in the way of a process that creates a queue: these are never
/// followed nor replaced.
#[test]
fn a_symbolic_link_is_not_replaced() {
    let attempts = number_from("RINGWAY_SWAPS", 100_000) / 10;
    let dir = directory();
    let (name, target) = (dir.path().join("name"), dir.path().join("target"));
    let is_done = Done::new();
    let (mut created, mut refused) = (0, 0);
    let deadline = deadline();
    std::thread::scope(|scope| {
        let _set = is_done.set_later();
        scope.spawn(|| {
            while !is_done.is_set() {
                if symlink(&target, &name).is_ok() {
                    // It may be gone, and a queue in its place.
                    if name.symlink_metadata().is_ok_and(|there| there.is_symlink()) {
                        std::fs::remove_file(&name).unwrap();
                    }
                }
            }
        });
        while created + refused < attempts && Instant::now() < deadline {
            match create(&name, &small()) {
                Ok(queue) => {
                    passes(&queue);
                    ringway::unlink(&name).unwrap();
                    created += 1;
                }
                Err(CreateError::AlreadyExists { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(created > 0, "{created} created, {refused} refused: nothing was ever created");
    assert!(!target.exists(), "a link was followed");
    assert!(names_in(dir.path()).iter().all(|left| left == "name"), "{:?}", names_in(dir.path()));
}

#[test]
fn a_handle_is_told_that_its_name_is_another_queues() {
    let dir = directory();
    let path = dir.path().join("queue");
    let elsewhere = dir.path().join("elsewhere");
    let old = create(&path, &small()).unwrap();
    let mut producer = old.producer().unwrap();
    assert!(!old.is_orphaned().unwrap());
    ringway::unlink(&path).unwrap();
    assert!(old.is_orphaned().unwrap());
    assert!(matches!(old.consumer(), Err(AttachError::Unlinked { .. })));
    let new = open_or_create(&path).unwrap();
    assert!(old.is_orphaned().unwrap() && !new.is_orphaned().unwrap());
    let error = old.consumer().unwrap_err();
    assert!(matches!(error, AttachError::Orphaned { .. }), "{error:?}");
    let message = error.to_string();
    for part in [path.to_str().unwrap(), "another file is in its place", "open it again"] {
        assert!(message.contains(part), "no `{part}`: {message}");
    }
    // Attached participants go on.
    producer.send(b"to whom?").unwrap();

    // Renamed: still whole, but no process finds it by its old name.
    std::fs::rename(&path, &elsewhere).unwrap();
    assert!(new.is_orphaned().unwrap());
    drop(new.consumer().unwrap());
    let third = open_or_create(&path).unwrap();
    assert!(matches!(new.consumer(), Err(AttachError::Orphaned { .. })));
    assert!(!third.is_orphaned().unwrap());
    // Any other file in its place has the same effect.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"a letter").unwrap();
    assert!(matches!(third.consumer(), Err(AttachError::Orphaned { .. })));
    // SAFETY: as above.
    let many = unsafe { mpmc::BytesQueue::create_with(dir.path().join("many"), &small()) }.unwrap();
    std::fs::rename(&path, dir.path().join("many")).unwrap();
    assert!(matches!(many.producer(), Err(AttachError::Orphaned { .. })));
}

/// Two peers that both find the queue by its name, and get no error or warning, have the same file.
#[test]
fn peers_never_have_different_files_without_being_told() {
    let dir = directory();
    let path = dir.path().join("queue");
    let is_done = Done::new();
    let (mut together, mut told) = (0, 0);
    std::thread::scope(|scope| {
        let _set = is_done.set_later();
        scope.spawn(|| {
            while !is_done.is_set() {
                // It may not be there just now.
                let _ = ringway::unlink(&path);
                std::thread::yield_now();
            }
        });
        let deadline = deadline();
        while together < 300 && Instant::now() < deadline {
            let (one, other) = std::thread::scope(|both| {
                let join = || both.spawn(|| open_or_create(&path).unwrap());
                let (one, other) = (join(), join());
                (one.join().unwrap(), other.join().unwrap())
            });
            let (sends, receives) = (one.producer(), other.consumer());
            // In this order: what is not orphaned now was not before.
            let is_told = other.is_orphaned().unwrap() | one.is_orphaned().unwrap();
            match (sends, receives) {
                (Ok(mut sends), Ok(receives)) if !is_told => {
                    assert_eq!(inode_of(&one), inode_of(&other));
                    sends.send(b"hello").unwrap();
                    assert_eq!(&*receives.try_recv().unwrap(), b"hello");
                    together += 1;
                }
                (Ok(_), Ok(_)) => told += 1,
                (sends, receives) => {
                    for error in [sends.err(), receives.err()].into_iter().flatten() {
                        let is_known =
                            matches!(error, AttachError::Unlinked { .. } | AttachError::Orphaned { .. });
                        assert!(is_known, "{error:?}");
                    }
                    told += 1;
                }
            }
        }
    });
    assert!(together > 0, "{together} times together, {told} times told otherwise");
}
