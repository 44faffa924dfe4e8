//! Names, and the files that have them.

use super::*;

#[test]
fn what_is_no_file() {
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("directory")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(create_bytes(path("queue"), &small()).unwrap());
    symlink(path("queue"), path("link")).unwrap();
    symlink(path("nothing"), path("dangling")).unwrap();
    let queue = std::fs::read(path("queue")).unwrap();
    for (name, what) in [
        (path("directory"), "a directory"),
        (path("fifo"), "a FIFO"),
        (path("link"), "a symbolic link"),
        (path("dangling"), "a symbolic link"),
        (PathBuf::from("/dev/null"), "a device"),
    ] {
        let error = refused(&name);
        assert!(matches!(error, OpenError::NotAFile { found, .. } if found == what), "{error:?}");
        assert_says(&error, &["expected a queue file", what]);
        if !name.starts_with(dir.path()) {
            // A user that may not write to /dev gets that error.
            continue;
        }
        let before = names_in(dir.path());
        let (bytes, typed) = soon(move || {
            (create_bytes(&name, &small()).unwrap_err(), create_typed::<Tick>(&name, &small()).unwrap_err())
        });
        for error in [bytes, typed] {
            assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error:?}");
        }
        assert_eq!(names_in(dir.path()), before);
    }
    assert_eq!(std::fs::read(path("queue")).unwrap(), queue, "what the link points to is untouched");
    assert!(!path("nothing").exists());
}

#[test]
fn what_exists_is_never_replaced() {
    let dir = directory();
    let path = dir.path().join("queue");
    for precious in [&b"not a queue"[..], b""] {
        std::fs::write(&path, precious).unwrap();
        for error in [
            create_bytes(&path, &small()).unwrap_err(),
            create_typed::<Tick>(&path, &small()).unwrap_err(),
            create_typed::<Point>(&path, &small().framing(Framing::FixedByType)).unwrap_err(),
        ] {
            assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error:?}");
            assert_says(&error, &[path.to_str().unwrap(), "exists", "open it", "unlink it first"]);
        }
        assert_eq!(std::fs::read(&path).unwrap(), precious);
        assert_eq!(names_in(dir.path()), ["queue"]);
    }
}

#[test]
fn what_is_not_there() {
    let dir = directory();
    let path = dir.path().join("nothing");
    for error in [open_bytes(&path).unwrap_err(), open_typed::<Tick>(&path).unwrap_err()] {
        assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");
        assert_says(&error, &[path.to_str().unwrap(), "no such file", "create the queue first"]);
    }
    let error = unlink(&path).unwrap_err();
    assert!(matches!(error, UnlinkError::Open(OpenError::NotFound { .. })), "{error:?}");
    assert_says(&error, &[path.to_str().unwrap(), "no such file"]);
    assert_eq!(names_in(dir.path()), [""; 0]);
}

#[test]
fn a_directory_that_is_not_there() {
    let dir = directory();
    std::fs::write(dir.path().join("file"), b"no directory").unwrap();
    for parent in ["nothing", "file"] {
        let path = dir.path().join(parent).join("queue");
        let mut errors = vec![
            create_bytes(&path, &small()).unwrap_err(),
            create_typed::<Tick>(&path, &small()).unwrap_err(),
        ];
        for error in
            [open_or_create_bytes(&path).unwrap_err(), open_or_create_typed::<Tick>(&path).unwrap_err()]
        {
            match error {
                OpenError::Create(error) => errors.push(error),
                other => panic!("{other:?}"),
            }
        }
        for error in errors {
            assert!(matches!(error, CreateError::NoDirectory { .. }), "{error:?}");
            assert_says(&error, &[path.to_str().unwrap(), "directory", "does not exist", "create it first"]);
        }
        assert!(matches!(open_bytes(&path), Err(OpenError::NotFound { .. })));
        assert!(matches!(open_typed::<Tick>(&path), Err(OpenError::NotFound { .. })));
        assert_eq!(names_in(dir.path()), ["file"]);
    }
}

#[test]
fn names_that_name_no_file() {
    let dir = directory();
    let with_slash = format!("{}/", dir.path().display());
    let with_nul = dir.path().join(Path::new(std::ffi::OsStr::from_bytes(b"a\0b")));
    let names = [
        (Path::new(""), "empty", "give a name"),
        (&with_nul, "NUL", "no file name can"),
        (Path::new("a\0b"), "NUL", "no file name can"),
        (Path::new(&with_slash), "a directory", "not a file name"),
        (Path::new(".."), "a directory", "not a file name"),
    ];
    let before = names_in(Path::new("."));
    for (name, found, advice) in names {
        for error in
            [create_bytes(name, &small()).unwrap_err(), create_typed::<Tick>(name, &small()).unwrap_err()]
        {
            assert!(matches!(error, CreateError::InvalidName { .. }), "{name:?}: {error:?}");
            assert_says(&error, &["cannot create", found, advice]);
        }
        for error in [
            open_bytes(name).unwrap_err(),
            open_typed::<Tick>(name).unwrap_err(),
            open_or_create_bytes(name).unwrap_err(),
        ] {
            assert!(matches!(error, OpenError::InvalidName { .. }), "{name:?}: {error:?}");
            assert_says(&error, &["cannot open", found, advice]);
        }
        assert!(matches!(unlink(name), Err(UnlinkError::Open(OpenError::InvalidName { .. }))));
    }
    assert_eq!(names_in(dir.path()), [""; 0]);
    assert_eq!(names_in(Path::new(".")), before);
}
