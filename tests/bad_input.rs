//! Every fault of a file, a name, an option or a message has an error of its own, which says what
//! was found, what was expected and what to do. A call that fails leaves no files and
//! changes nothing.

mod common;

#[path = "bad_input/files.rs"]
mod files;
#[path = "bad_input/headers.rs"]
mod headers;
#[path = "bad_input/messages.rs"]
mod messages;
#[path = "bad_input/names.rs"]
mod names;
#[path = "bad_input/rights.rs"]
mod rights;
#[path = "bad_input/room.rs"]
mod room;
#[path = "bad_input/types.rs"]
mod types;

use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Image, Running, at, child_argument, child_of, directory, in_child, names_in};
use ringway::spsc::{BytesQueue, Message, Queue};
use ringway::{
    AttachError, CreateError, CreateOptions, Framing, OpenError, RecvError, Role, SchemaMismatch, SendError,
    UnlinkError, unlink,
};
use rkyv::{Archive, Serialize};

/// A message with out-of-line data.
#[derive(Archive, Serialize, ringway::Message)]
struct Tick {
    symbol: String,
    prices: Vec<f64>,
}

/// A message without out-of-line data.
#[derive(Archive, Serialize, ringway::Message)]
struct Point {
    x: u64,
    y: u64,
}

fn tick() -> Tick {
    Tick { symbol: "a symbol that is not inlined".into(), prices: vec![1.5, 2.5] }
}

fn create_bytes(name: impl AsRef<Path>, options: &CreateOptions) -> Result<BytesQueue, CreateError> {
    // SAFETY: the tests' files are written to by ringway only while they are open.
    unsafe { BytesQueue::create_with(name, options) }
}

fn create_typed<T: Message>(
    name: impl AsRef<Path>,
    options: &CreateOptions,
) -> Result<Queue<T>, CreateError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::create_with(name, options) }
}

fn open_bytes(name: impl AsRef<Path>) -> Result<BytesQueue, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { BytesQueue::open(name) }
}

fn open_typed<T: Message>(name: impl AsRef<Path>) -> Result<Queue<T>, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::open(name) }
}

fn open_or_create_bytes(name: impl AsRef<Path>) -> Result<BytesQueue, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { BytesQueue::open_or_create(name) }
}

fn open_or_create_typed<T: Message>(name: impl AsRef<Path>) -> Result<Queue<T>, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::open_or_create(name) }
}

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

/// Good files of every shape, each with messages in it.
fn images() -> [(&'static str, Image); 4] {
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    for (name, options) in [("bytes", small()), ("fixed bytes", small().framing(Framing::Fixed(24)))] {
        let queue = create_bytes(path(name), &options).unwrap();
        queue.producer().unwrap().send_many(&[[7; 24], [8; 24]]).unwrap();
    }
    let queue = create_typed::<Tick>(path("typed"), &small()).unwrap();
    queue.producer().unwrap().send(&tick()).unwrap();
    let queue = create_typed::<Point>(path("fixed typed"), &small().framing(Framing::FixedByType)).unwrap();
    queue.producer().unwrap().send(&Point { x: 1, y: 2 }).unwrap();
    ["bytes", "fixed bytes", "typed", "fixed typed"].map(|name| (name, Image::of(&path(name))))
}

/// Fails the test unless the message contains every part.
#[track_caller]
fn assert_says(error: &dyn Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "the message lacks {part:?}: {text}");
    }
}

/// Fails the test if `action` does not end.
fn soon<R: Send + 'static>(action: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || done.send(action()));
    match result.recv_timeout(common::HANGS) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        other => {
            // A panic of the action is the test's.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap();
            other.unwrap()
        }
    }
}

/// Tries to open `path` in every way and to unlink it, all of which must fail with the same error
/// and change nothing; returns the error.
#[track_caller]
fn refused(path: &Path) -> OpenError {
    refused_by(path, |at| match unlink(at) {
        Err(UnlinkError::Open(error)) => Some(error),
        other => panic!("unlink: {other:?}"),
    })
}

/// Like `refused`, for every way to open `path`, and for the error that `besides` returns, if any.
#[track_caller]
fn refused_by(path: &Path, besides: fn(&Path) -> Option<OpenError>) -> OpenError {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let bytes = is_file.then(|| std::fs::read(path).unwrap());
    let parent = path.parent().unwrap().to_path_buf();
    let names = names_in(&parent);
    let at = path.to_path_buf();
    let errors = soon(move || {
        let opened = [
            open_bytes(&at).unwrap_err(),
            open_typed::<Tick>(&at).unwrap_err(),
            open_typed::<Point>(&at).unwrap_err(),
            open_or_create_bytes(&at).unwrap_err(),
            open_or_create_typed::<Tick>(&at).unwrap_err(),
        ];
        (opened, besides(&at))
    });
    let ([first, others @ ..], besides) = errors;
    for other in others.into_iter().chain(besides) {
        assert_eq!(format!("{other:?}"), format!("{first:?}"));
    }
    assert_says(&first, &[path.to_str().unwrap()]);
    assert_eq!(names_in(&parent), names);
    if let Some(bytes) = bytes {
        assert!(std::fs::read(path).unwrap() == bytes, "{} was changed", path.display());
    }
    first
}

/// Writes each good image, changed by `change`, and returns the errors of `refused`.
fn refused_images(change: impl Fn(&mut Image)) -> Vec<(&'static str, PathBuf, OpenError)> {
    let dir = directory();
    let images = images();
    let refusals = images.into_iter().map(|(name, mut image)| {
        change(&mut image);
        let path = dir.path().join(name);
        image.write(&path);
        (name, path.clone(), refused(&path))
    });
    refusals.collect()
}
