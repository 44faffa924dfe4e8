//! Named queue files: which users may write to them, what has their names, and how they are mapped.

mod common;

use std::fs::Permissions;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{directory, in_child, names_in};
use nix::libc;
use ringway::spsc::BytesQueue;
use ringway::{AttachError, CreateError, CreateOptions, OpenError, OpenOptions, Sharing, Warning, mpmc};

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

fn create(path: &Path, options: &CreateOptions) -> Result<BytesQueue, CreateError> {
    // SAFETY: nothing else writes to the files of these tests while they are queues.
    unsafe { BytesQueue::create_with(path, options) }
}

fn open(path: &Path, options: &OpenOptions) -> Result<BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_with(path, options) }
}

fn open_or_create(path: &Path) -> Result<BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { BytesQueue::open_or_create_with(path, &small()) }
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn passes(queue: &BytesQueue) {
    queue.producer().unwrap().send(b"hello").unwrap();
    assert_eq!(&*queue.consumer().unwrap().try_recv().unwrap(), b"hello");
}

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

#[test]
fn the_mode_is_what_was_said_whatever_the_umask() {
    in_child("the_mode_is_what_was_said_whatever_the_umask", || {
        let dir = directory();
        for umask in [0o000, 0o022, 0o077] {
            // SAFETY: it takes no pointers; this process exists only for this.
            unsafe { libc::umask(umask) };
            for (sharing, mode) in
                [(Sharing::Owner, 0o600), (Sharing::Group, 0o660), (Sharing::Everybody, 0o666)]
            {
                let path = dir.path().join("queue");
                let options = small().sharing(sharing);
                drop(create(&path, &options).unwrap());
                assert_eq!(mode_of(&path), mode, "{sharing:?}, umask {umask:o}");
                passes(&open(&path, &OpenOptions::new().sharing(sharing)).unwrap());
                ringway::unlink(&path).unwrap();
            }
        }
    });
}

#[test]
fn what_others_can_write_to_is_refused_unless_it_is_meant_so() {
    let dir = directory();
    let path = dir.path().join("queue");
    drop(create(&path, &small()).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    for (mode, least) in [
        (0o600, Sharing::Owner),
        (0o644, Sharing::Owner),
        (0o660, Sharing::Group),
        (0o664, Sharing::Group),
        (0o666, Sharing::Everybody),
        (0o602, Sharing::Everybody),
    ] {
        set_mode(&path, mode);
        for (rank, sharing) in [Sharing::Owner, Sharing::Group, Sharing::Everybody].into_iter().enumerate() {
            let is_enough = rank >= least as usize;
            match open(&path, &OpenOptions::new().sharing(sharing)) {
                Ok(_) => assert!(is_enough, "{mode:o} with {sharing:?}"),
                Err(error) => {
                    assert!(!is_enough, "{mode:o} with {sharing:?}: {error}");
                    assert!(matches!(error, OpenError::WrongOwnerOrMode { .. }), "{error:?}");
                    let message = error.to_string();
                    for part in
                        [path.to_str().unwrap(), &format!("{mode:o}"), "OpenOptions::sharing", "trusted"]
                    {
                        assert!(message.contains(part), "no `{part}`: {message}");
                    }
                }
            }
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a file that is refused is not changed");
    // A user that may remove the file may unlink it, whoever owns it.
    set_mode(&path, 0o666);
    assert!(!ringway::is_in_use(&path).unwrap());
    ringway::unlink(&path).unwrap();
}

#[test]
fn a_file_of_another_user_is_refused() {
    let output = in_child("a_file_of_another_user_is_refused", || {
        let dir = directory();
        set_mode(dir.path(), 0o777);
        let path = dir.path().join("queue");
        drop(create(&path, &small()).unwrap());
        // The classic attack: the file is there, created by another user, and a user with more
        // rights opens it.
        if nix::unistd::chown(&path, Some(65534.into()), None).is_err() {
            println!("skipped: this is not root, who could give a file away");
            return;
        }
        let error = open(&path, &OpenOptions::new()).unwrap_err();
        assert!(matches!(error, OpenError::WrongOwnerOrMode { owner: 65534, own: 0, .. }), "{error:?}");
        assert!(error.to_string().contains("one of user 65534"), "{error}");
        assert!(matches!(open_or_create(&path), Err(OpenError::WrongOwnerOrMode { .. })));
        // The file's group is root's: it may be meant for that.
        set_mode(&path, 0o660);
        passes(&open(&path, &OpenOptions::new().sharing(Sharing::Group)).unwrap());
        nix::unistd::chown(&path, None, Some(65534.into())).unwrap();
        let result = open(&path, &OpenOptions::new().sharing(Sharing::Group));
        assert!(matches!(result, Err(OpenError::WrongOwnerOrMode { .. })), "a group that is none of ours");
        passes(&open(&path, &OpenOptions::new().sharing(Sharing::Everybody)).unwrap());
        println!("looked at all of them");
    });
    if let Some(output) = output {
        assert!(output.contains("looked at all") || output.contains("skipped: "), "{output}");
    }
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

/// Kilobytes of a line of the mappings' descriptions, of those of files in this directory. (One
/// that got its name by being linked is shown under another.)
fn mapped(directory: &Path, what: &str) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_ours = false;
    let mut sum = 0;
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap();
        if first.contains('-') {
            is_ours = line.contains(directory.to_str().unwrap());
        } else if is_ours && first.strip_suffix(':') == Some(what) {
            sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn pages_are_mapped_in_advance_unless_it_was_said_otherwise() {
    const MIB: u64 = 16;
    let dir = directory();
    let path = dir.path().join("queue");
    let options = CreateOptions::new().ring_bytes((MIB << 20) as usize);
    let queue = create(&path, &options).unwrap();
    let producer = queue.producer().unwrap();
    assert!(mapped(dir.path(), "Rss") >= MIB << 10, "{} KiB", mapped(dir.path(), "Rss"));
    assert_eq!(queue.warnings(), []);
    drop((producer, queue));
    let queue = open(&path, &OpenOptions::new().prefault(false)).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(mapped(dir.path(), "Rss") < 1 << 10, "{} KiB", mapped(dir.path(), "Rss"));
    drop((producer, consumer));
    passes(&queue);
}

#[test]
fn huge_pages_are_had_or_noted() {
    let capacity = 8 << 20;
    let options = CreateOptions::new().ring_bytes(capacity).huge_pages(true);
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create(&path, &options).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let warnings = queue.warnings();
    if warnings.is_empty() {
        assert!(mapped(dir.path(), "ShmemPmdMapped") > 0, "nothing was noted, and there are none");
    } else {
        assert!(matches!(warnings[..], [Warning::NoHugePages { .. }]), "{warnings:?}");
        println!("{}", warnings[0]);
    }
    producer.send(&[7; 100_000]).unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), [7; 100_000]);

    // A ring without room for one page of 2 MiB has none, on whatever filesystem.
    let path = dir.path().join("small");
    let queue = create(&path, &small().huge_pages(true)).unwrap();
    passes(&queue);
    let warnings = queue.warnings();
    let [Warning::NoHugePages { reason }] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(!reason.is_empty());
    assert!(warnings[0].to_string().starts_with("no huge pages: "), "{}", warnings[0]);
    // A handle that did not request it has no warning.
    assert_eq!(open(&path, &OpenOptions::new()).unwrap().warnings(), []);
}

/// The name stays the same when the process changes its directory.
#[test]
fn a_relative_name_is_made_absolute() {
    in_child("a_relative_name_is_made_absolute", || {
        let dir = directory();
        std::env::set_current_dir(dir.path()).unwrap();
        let queue = create(Path::new("./queue"), &small()).unwrap();
        std::env::set_current_dir("/").unwrap();
        assert_eq!(queue.path(), dir.path().join("queue"));
        assert!(!queue.is_orphaned().unwrap());
        passes(&queue);
    });
}
