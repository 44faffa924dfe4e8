//! CreateOptions, and disks that are too small.

use super::*;

#[test]
fn options_that_cannot_be() {
    let dir = directory();
    let path = dir.path().join("queue");
    let bytes = |options: CreateOptions| create_bytes(&path, &options).unwrap_err();
    let typed = |options: CreateOptions| create_typed::<Tick>(&path, &options).unwrap_err();
    let cases = [
        (bytes(small().align(3)), "alignment is 3", "power of two from 1 to 128"),
        (typed(small().align(48)), "alignment is 48", "power of two from 1 to 128"),
        (bytes(small().align(0)), "alignment is 0", "power of two"),
        (bytes(small().align(256)), "alignment is 256", "power of two"),
        (typed(small().align(usize::MAX)), &usize::MAX.to_string(), "power of two"),
        (bytes(small().framing(Framing::Fixed(8)).align(5)), "alignment is 5", "power of two"),
        (bytes(small().framing(Framing::Fixed(0))), "length is 0", "must be from 1"),
        (bytes(small().framing(Framing::Fixed(usize::MAX))), &usize::MAX.to_string(), "must be from 1"),
        (
            typed(small().framing(Framing::Fixed(8))),
            "`Framing::Fixed` is for queues of bytes",
            "use `Framing::FixedByType`",
        ),
        (
            bytes(small().framing(Framing::FixedByType)),
            "`Framing::FixedByType` is for typed queues",
            "use `Framing::Fixed(bytes)`",
        ),
        (
            create_typed::<()>(&path, &small().framing(Framing::FixedByType)).unwrap_err(),
            "`Framing::FixedByType` needs a type",
            "has none",
        ),
        (
            typed(small().framing(Framing::FixedByType)),
            "`Framing::FixedByType` needs a type without out-of-line data",
            "`Tick` has some",
        ),
        (
            bytes(CreateOptions::new().ring_bytes(usize::MAX)),
            &usize::MAX.to_string(),
            "at most 17592186044416",
        ),
        (typed(CreateOptions::new().ring_bytes((1 << 44) + 1)), "17592186044417", "at most 17592186044416"),
        (bytes(small().start_position(4)), "start position 4", "no frame boundary"),
        (
            bytes(small().replace_closed(true)),
            "`replace_closed` is for `open_or_create_with`",
            "leave it out",
        ),
    ];
    for (error, found, expected) in cases {
        assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
        assert_says(&error, &["cannot create", found, expected]);
        assert_eq!(names_in(dir.path()), [""; 0]);
    }
    // Bad options are an error whether the queue exists or not.
    // SAFETY: as in `create_bytes`.
    let error =
        unsafe { BytesQueue::open_or_create_with(&path, &small().framing(Framing::Fixed(0))) }.unwrap_err();
    assert!(matches!(error, OpenError::Create(CreateError::InvalidOptions { .. })), "{error:?}");
    // SAFETY: as in `create_bytes`.
    let error = unsafe { Queue::<Tick>::open_or_create_with(&path, &small().framing(Framing::Fixed(8))) }
        .unwrap_err();
    assert!(matches!(error, OpenError::Create(CreateError::InvalidOptions { .. })), "{error:?}");
    assert_eq!(names_in(dir.path()), [""; 0]);
}

/// Options that leave no room for any message create no queue.
#[test]
fn options_under_which_no_message_fits() {
    use ringway::mpmc;
    #[derive(Archive, Serialize, ringway::Message)]
    struct Large {
        body: [u64; 4096],
        rest: Vec<u8>,
    }
    let dir = directory();
    let path = dir.path().join("queue");
    let create_mpmc = |options: &CreateOptions| {
        // SAFETY: as in `create_bytes`.
        unsafe { mpmc::Queue::<Large>::create_with(&path, options) }.map(drop)
    };
    let create = |options: &CreateOptions| create_typed::<Large>(&path, options).map(drop);
    // SAFETY: as in `create_bytes`.
    let memfd = |options: &CreateOptions| unsafe { Queue::<Large>::create_memfd_with(options) }.map(drop);
    for create in [&create as &dyn Fn(&CreateOptions) -> Result<(), CreateError>, &create_mpmc, &memfd] {
        for capacity in [0, 1, 4096, 1 << 15, 1 << 16] {
            let error = create(&CreateOptions::new().ring_bytes(capacity)).unwrap_err();
            assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
            assert_says(&error, &["a message of type `Large` takes 32776 bytes", "ask for `ring_bytes` of"]);
            assert_eq!(names_in(dir.path()), [""; 0]);
        }
        create(&CreateOptions::new().ring_bytes(1 << 17)).unwrap();
        let _ = unlink(&path);
    }
    // The smallest possible ring: `Tick` has 16 bytes.
    let error = create_typed::<Tick>(&path, &CreateOptions::new().ring_bytes(1)).unwrap_err();
    assert_says(&error, &["cannot create", "`Tick`", "at most 8", "ask for `ring_bytes` of"]);
    // The size that the error asks for is enough.
    let enough: usize = error
        .to_string()
        .rsplit_once("`ring_bytes` of ")
        .unwrap()
        .1
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let queue = create_typed::<Tick>(&path, &CreateOptions::new().ring_bytes(enough)).unwrap();
    queue.producer().unwrap().send(&Tick { symbol: String::new(), prices: vec![] }).unwrap();
    unlink(&path).unwrap();
    assert_eq!(names_in(dir.path()), [""; 0]);
}

#[test]
fn sizes_that_are_rounded_and_options_that_are_ignored_are_noted() {
    use ringway::{Warning, mpmc};
    let dir = directory();
    let path = dir.path().join("queue");
    let asked = CreateOptions::new().ring_bytes(5000).max_messages(100).max_participants(3);
    // SAFETY: as in `create_bytes`.
    let queue = unsafe { mpmc::BytesQueue::create_with(&path, &asked) }.unwrap();
    let rounded = |option, asked, made| Warning::Rounded { option, asked, made };
    assert_eq!(queue.warnings(), [rounded("ring_bytes", 5000, 8192)]);
    assert_eq!(queue.ring_bytes(), 8192);
    assert!(queue.warnings()[0].to_string().contains("5000 was asked for, and the queue has 8192"));
    // Opening with the same options again gives only those warnings; other options give others.
    // SAFETY: as in `create_bytes`.
    let again = unsafe { mpmc::BytesQueue::open_or_create_with(&path, &asked) }.unwrap();
    assert_eq!(again.warnings(), queue.warnings());
    let others = CreateOptions::new().ring_bytes(1 << 20).max_redeliveries(3);
    // SAFETY: as in `create_bytes`.
    let other = unsafe { mpmc::BytesQueue::open_or_create_with(&path, &others) }.unwrap();
    let ignored = |option, asked, found| Warning::Ignored { option, asked, found };
    assert_eq!(other.warnings(), [ignored("ring_bytes", 1 << 20, 8192), ignored("max_redeliveries", 3, 0)]);
    assert!(other.warnings()[0].to_string().contains("was ignored, since the queue exists already"));
    // Options that are not set are not compared.
    // SAFETY: as in `create_bytes`.
    assert_eq!(unsafe { mpmc::BytesQueue::open(&path) }.unwrap().warnings(), []);
    let typed =
        create_typed::<Point>(dir.path().join("typed"), &CreateOptions::new().ring_bytes(100)).unwrap();
    assert_eq!(typed.warnings(), [rounded("ring_bytes", 100, 96)]);
}

/// No way to create a queue ignores an option without a warning.
#[test]
fn framing_memfds_and_untrusted_queues_ignore_nothing_silently() {
    use ringway::untrusted::{Limits, spsc as careful};
    use ringway::{Warning, spsc};
    let dir = directory();
    let path = dir.path().join("points");
    drop(create_typed::<Point>(&path, &CreateOptions::new().framing(Framing::Variable)).unwrap());
    let asked = CreateOptions::new().framing(Framing::FixedByType);
    // SAFETY: as in `create_bytes`.
    let variable = unsafe { Queue::<Point>::open_or_create_with(&path, &asked) }.unwrap();
    let warnings = variable.warnings();
    assert!(
        matches!(warnings[..], [Warning::Ignored { option: "framing", asked: 1.., found: 0 }]),
        "{warnings:?}"
    );
    let rounded = [Warning::Rounded { option: "ring_bytes", asked: 5000, made: 8192 }];
    let asked = CreateOptions::new().ring_bytes(5000);
    // SAFETY: only this process has it.
    let memfd = unsafe { spsc::BytesQueue::create_memfd_with(&asked) }.unwrap();
    assert_eq!(memfd.warnings(), rounded);
    let untrusted =
        careful::BytesQueue::create_with(dir.path().join("bytes"), &asked, &Limits::new()).unwrap();
    assert_eq!(untrusted.warnings(), rounded);
}

/// Creating in `directory` must fail for lack of room and leave no file.
fn assert_no_room(directory: &Path, capacity: usize) {
    let path = directory.join("queue");
    let options = CreateOptions::new().ring_bytes(capacity);
    let mut errors = vec![
        create_bytes(&path, &options).unwrap_err(),
        create_bytes(&path, &options.clone().framing(Framing::Fixed(64))).unwrap_err(),
        create_typed::<Tick>(&path, &options).unwrap_err(),
        create_typed::<Point>(&path, &options.clone().framing(Framing::FixedByType)).unwrap_err(),
    ];
    // SAFETY: as in `create_bytes`.
    match unsafe { BytesQueue::open_or_create_with(&path, &options) }.unwrap_err() {
        OpenError::Create(error) => errors.push(error),
        other => panic!("{other:?}"),
    }
    for error in errors {
        let CreateError::NoSpace { needed, .. } = error else { panic!("{error:?}") };
        assert!(needed > capacity as u64);
        assert_says(
            &error,
            &[
                path.to_str().unwrap(),
                "no room",
                &needed.to_string(),
                "free some space",
                "fewer `ring_bytes`",
            ],
        );
        assert_eq!(names_in(directory), [""; 0]);
    }
}

#[test]
fn more_than_any_disk_has() {
    // The largest possible capacity: 16 TiB.
    assert_no_room(directory().path(), 1 << 44);
}

#[test]
fn a_full_disk() {
    let output = in_child("room::a_full_disk", || {
        let dir = directory();
        if let Err(error) = mount_small(dir.path()) {
            println!("skipped: no small filesystem can be mounted here: {error}");
            return;
        }
        let free = || nix::sys::statvfs::statvfs(dir.path()).unwrap().blocks_free();
        let before = free();
        assert_no_room(dir.path(), 1 << 20);
        assert_eq!(free(), before, "what could not be created takes no room");
        // There is room for a small one, and its room was allocated immediately: all of it can be
        // filled.
        let queue = create_bytes(dir.path().join("queue"), &small()).unwrap();
        let mut filler = std::fs::File::create(dir.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[1; 4096]).is_ok() {}
        assert_eq!(free(), 0);
        let mut producer = queue.producer().unwrap();
        while producer.try_send(&[7; 100]).is_ok() {}
        assert_eq!(&*queue.consumer().unwrap().recv().unwrap(), [7; 100]);
        drop((producer, queue, filler));
        unmount(dir.path());
    });
    if let Some(output) = output {
        println!("{output}");
    }
}

/// Mounts a filesystem of 64 KiB that only this thread sees.
fn mount_small(directory: &Path) -> std::io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let (tmpfs, root) = (c"tmpfs".as_ptr(), c"/".as_ptr());
    let null = std::ptr::null();
    // Without this the mount would show outside too.
    // SAFETY: the strings end in NUL, and the others may be null for this kind of call.
    if unsafe { libc::mount(null, root, null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let directory = std::ffi::CString::new(directory.as_os_str().as_bytes())?;
    let options = c"size=64k".as_ptr().cast();
    // SAFETY: all strings end in NUL.
    if unsafe { libc::mount(tmpfs, directory.as_ptr(), tmpfs, 0, options) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

fn unmount(directory: &Path) {
    let directory = std::ffi::CString::new(directory.as_os_str().as_bytes()).unwrap();
    // SAFETY: the string ends in NUL.
    let result = unsafe { libc::umount2(directory.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Every call that makes a file under a limit on sizes reports it, and no signal ends the process.
fn assert_too_large(dir: &Path) {
    use ringway::mpmc;
    let path = dir.join("queue");
    let large = CreateOptions::new().ring_bytes(1 << 20);
    // SAFETY: as in `create_bytes`.
    let memfd = unsafe { BytesQueue::create_memfd_with(&large) };
    // SAFETY: as in `create_bytes`.
    let opened = unsafe { BytesQueue::open_or_create_with(&path, &large) };
    // SAFETY: as in `create_bytes`. It is the slots that take the space.
    let slots = unsafe { mpmc::BytesQueue::create_with(&path, &CreateOptions::new().max_messages(1 << 20)) };
    let Err(OpenError::Create(opened)) = opened else { panic!("{opened:?}") };
    for error in [
        create_bytes(&path, &large).unwrap_err(),
        create_typed::<Tick>(&path, &large).unwrap_err(),
        memfd.unwrap_err(),
        opened,
        slots.unwrap_err(),
    ] {
        let CreateError::FileSizeLimit { needed, limit, .. } = error else { panic!("{error:?}") };
        assert!(needed > 1 << 20 && limit == LIMIT);
        assert_says(
            &error,
            &["may not make files of more than 65536", "ulimit -f", "raise the limit", &needed.to_string()],
        );
        assert_eq!(names_in(dir), [""; 0]);
    }
    // What is small enough works, and so does what another process has created.
    create_bytes(dir.join("small"), &small()).unwrap().producer().unwrap().send(b"x").unwrap();
    unlink(dir.join("small")).unwrap();
}

const LIMIT: u64 = 64 * 1024;

/// As `ulimit -f` does.
fn limit_file_sizes(bytes: u64) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
}

#[test]
fn a_limit_on_file_sizes() {
    in_child("room::a_limit_on_file_sizes", || {
        let dir = directory();
        // By default the kernel ends a process that goes beyond the limit.
        limit_file_sizes(LIMIT);
        assert_too_large(dir.path());
    });
}

#[test]
fn a_limit_on_file_sizes_without_the_signal() {
    in_child("room::a_limit_on_file_sizes_without_the_signal", || {
        use nix::sys::signal::{SigHandler, Signal, signal};
        let dir = directory();
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
        limit_file_sizes(LIMIT);
        assert_too_large(dir.path());
    });
}

/// A pending signal of the program's own is still pending afterwards.
#[test]
fn a_limit_on_file_sizes_and_a_signal_that_waits() {
    in_child("room::a_limit_on_file_sizes_and_a_signal_that_waits", || {
        use nix::sys::signal::{SigSet, Signal, raise};
        let dir = directory();
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().unwrap();
        raise(Signal::SIGXFSZ).unwrap();
        limit_file_sizes(LIMIT);
        assert_too_large(dir.path());
        assert_eq!(signals.wait().unwrap(), Signal::SIGXFSZ);
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGXFSZ), "the mask is another one");
    });
}

/// The dead-letter queue is created while messages are delivered; and lanes and marks are written
/// into files beyond the limit.
#[test]
fn a_limit_on_file_sizes_in_the_middle_of_work() {
    in_child("room::a_limit_on_file_sizes_in_the_middle_of_work", || {
        use ringway::mpmc;
        let dir = directory();
        let path = dir.path().join("queue");
        let options = CreateOptions::new().ring_bytes(1 << 20).max_redeliveries(1);
        // SAFETY: as in `create_bytes`.
        let queue = unsafe { mpmc::BytesQueue::create_with(&path, &options) }.unwrap();
        queue.producer().unwrap().send(b"poison").unwrap();
        limit_file_sizes(4096);
        let producer = queue.producer().unwrap();
        match queue.consumer() {
            // What cannot be moved is delivered.
            Ok(consumer) => (0..5).for_each(|_| consumer.recv().unwrap().reject()),
            Err(error) => assert!(error.to_string().contains("ulimit -f"), "{error}"),
        }
        drop(producer);
        unlink(&path).unwrap();
        assert!(!path.exists());
    });
}

#[test]
fn a_filesystem_for_reading_only() {
    let output = in_child("room::a_filesystem_for_reading_only", || {
        let dir = directory();
        if let Err(error) = mount_small(dir.path()) {
            println!("skipped: no small filesystem can be mounted here: {error}");
            return;
        }
        let path = dir.path().join("queue");
        drop(create_bytes(&path, &small()).unwrap());
        let directory = std::ffi::CString::new(dir.path().as_os_str().as_bytes()).unwrap();
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        let null = std::ptr::null();
        // SAFETY: the string ends in NUL, and the others may be null for this kind of call.
        let result = unsafe { libc::mount(null, directory.as_ptr(), null, flags, null.cast()) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        let error = open_bytes(&path).unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
        assert_says(&error, &[path.to_str().unwrap(), "mounted read-only", "mount it for writing"]);
        let error = create_bytes(dir.path().join("new"), &small()).unwrap_err();
        assert!(matches!(error, CreateError::ReadOnly { .. }), "{error:?}");
        assert_says(&error, &["mounted read-only", "another directory"]);
        // Inspection works on a read-only mount.
        ringway::inspect::Inspector::open(&path).unwrap().snapshot().unwrap();
        unmount(dir.path());
    });
    if let Some(output) = output {
        println!("{output}");
    }
}
