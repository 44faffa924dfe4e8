//! The rights of users.

use super::*;

#[test]
fn no_permission() {
    let output = in_child("rights::no_permission", || {
        let dir = directory();
        let path = dir.path().join("queue");
        drop(create_bytes(&path, &small()).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let is_root = is_root();
        for file_mode in [0o000, 0o444] {
            mode(&path, file_mode);
            // Not writable, so that nothing can be created either.
            mode(dir.path(), 0o555);
            if is_root && !become_user(65534) {
                println!(
                    "skipped: root cannot drop its privileges here: {}",
                    std::io::Error::last_os_error()
                );
                return;
            }
            if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
                println!("skipped: this process may do everything, though it is not root");
                return;
            }
            let opened = [
                open_bytes(&path).unwrap_err(),
                open_typed::<Tick>(&path).unwrap_err(),
                open_or_create_bytes(&path).unwrap_err(),
                match unlink(&path) {
                    Err(UnlinkError::Open(error)) => error,
                    other => panic!("{other:?}"),
                },
            ];
            let new = dir.path().join("new");
            let created = [
                create_bytes(&new, &small()).unwrap_err(),
                create_typed::<Tick>(&new, &small()).unwrap_err(),
            ];
            assert!(!is_root || become_user(0));
            for error in opened {
                assert!(matches!(error, OpenError::PermissionDenied { .. }), "{error:?}");
                assert_says(
                    &error,
                    &[
                        path.to_str().unwrap(),
                        "no permission",
                        "read and write",
                        "change its mode",
                        "sharing(Sharing::Group)",
                    ],
                );
            }
            for error in created {
                assert!(matches!(error, CreateError::PermissionDenied { .. }), "{error:?}");
                assert_says(
                    &error,
                    &[new.to_str().unwrap(), "no permission", "create a file there", "another directory"],
                );
            }
            mode(dir.path(), 0o755);
            mode(&path, 0o600);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
            assert_eq!(names_in(dir.path()), ["queue"]);
        }
        println!("looked at all modes");

        // The queue may be written to, but its name may not be removed: then the queue lives on.
        mode(&path, 0o666);
        mode(dir.path(), 0o555);
        assert!(!is_root || become_user(65534));
        let unlinked = unlink(&path).unwrap_err();
        assert!(!is_root || become_user(0));
        mode(dir.path(), 0o755);
        mode(&path, 0o600);
        assert!(matches!(&unlinked, UnlinkError::Io { step: "removing the file", .. }), "{unlinked:?}");
        assert_says(&unlinked, &[path.to_str().unwrap(), "removing the file", "denied"]);
        let queue = open_bytes(&path).unwrap();
        queue.producer().unwrap().send(b"alive").unwrap();
        assert_eq!(&*queue.consumer().unwrap().recv().unwrap(), b"alive");
    });
    if let Some(output) = output {
        assert!(output.contains("looked at all modes") || output.contains("skipped: "), "{output}");
        println!("{output}");
    }
}

fn is_root() -> bool {
    // SAFETY: it takes no pointers and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Changes the effective user of this whole process; false if that is not allowed.
fn become_user(id: u32) -> bool {
    // SAFETY: it takes no pointers and changes nothing but the process's own credentials.
    if unsafe { libc::seteuid(id) } != 0 {
        return false;
    }
    // The kernel takes a process that did this for one with secrets, and closes its own /proc/self/fd to it.
    // SAFETY: it takes no pointers and changes this process only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0 }
}

#[test]
fn only_queues_are_unlinked() {
    let dir = directory();
    let path = dir.path().join("file");
    common::write_own(&path, b"a letter that somebody wants to keep");
    let error = unlink(&path).unwrap_err();
    assert!(matches!(error, UnlinkError::Open(OpenError::NotAQueue { .. })), "{error:?}");
    assert_says(&error, &[path.to_str().unwrap(), "not a ringway queue"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter that somebody wants to keep");
    // Of whatever message type they are.
    for (_, image) in images() {
        image.write(&path);
        unlink(&path).unwrap();
        assert_eq!(names_in(dir.path()), [""; 0]);
    }
}

#[test]
fn an_unlinked_queue_refuses_participants() {
    let dir = directory();
    let (path, other) = (dir.path().join("queue"), dir.path().join("another name of it"));
    fn check_attach<P: std::fmt::Debug>(result: Result<P, AttachError>, path: &Path) {
        let error = result.unwrap_err();
        assert!(matches!(error, AttachError::Unlinked { .. }), "{error:?}");
        assert_says(&error, &[path.to_str().unwrap(), "unlinked", "create it anew"]);
    }
    let bytes = create_bytes(&path, &small()).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    unlink(&path).unwrap();
    check_attach(bytes.producer(), &path);
    check_attach(bytes.consumer(), &path);
    assert!(matches!(open_bytes(&path), Err(OpenError::NotFound { .. })));
    let error = open_bytes(&other).unwrap_err();
    assert!(matches!(error, OpenError::Unlinked { .. }), "{error:?}");
    assert_says(&error, &[other.to_str().unwrap(), "unlinked", "create it anew"]);
    std::fs::remove_file(&other).unwrap();

    let typed = create_typed::<Tick>(&path, &small()).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    unlink(&path).unwrap();
    check_attach(typed.producer(), &path);
    check_attach(typed.consumer(), &path);
    assert!(matches!(open_typed::<Tick>(&path), Err(OpenError::NotFound { .. })));
    assert!(matches!(open_typed::<Tick>(&other), Err(OpenError::Unlinked { .. })));
    // The name is free for another queue.
    create_bytes(&path, &small()).unwrap();
}

/// A new file's mode is the one that `sharing` sets, whatever the umask is.
#[test]
fn modes_do_not_depend_on_the_umask() {
    in_child("rights::modes_do_not_depend_on_the_umask", || {
        use nix::sys::stat::{Mode, umask};
        use ringway::Sharing;
        let dir = directory();
        for mask in [0, 0o022, 0o077, 0o377, 0o777] {
            umask(Mode::from_bits_truncate(mask));
            for (sharing, mode) in
                [(Sharing::Owner, 0o600), (Sharing::Group, 0o660), (Sharing::Everybody, 0o666)]
            {
                let path = dir.path().join(format!("{mask:o}-{mode:o}"));
                drop(create_bytes(&path, &small().sharing(sharing)).unwrap());
                assert_eq!(
                    std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
                    mode,
                    "umask {mask:o}"
                );
            }
        }
    });
}
