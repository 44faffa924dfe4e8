//! Every error reports each cause once, in its message or as its source; so does a program that
//! prints the chain.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::*;

fn path() -> PathBuf {
    "/somewhere/q".into()
}

fn system() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

/// A cause that has a cause.
#[derive(Debug)]
struct Outer(io::Error);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something of its own")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn nested() -> io::Error {
    io::Error::other(Outer(system()))
}

/// The output of a program that prints the whole chain.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        said = format!("{said}: {cause}");
        next = cause.source();
    }
    said
}

/// All errors with a cause from the system, with this one as the cause.
fn all(source: fn() -> io::Error) -> Vec<Box<dyn Error>> {
    let create = || CreateError::Io { path: path(), step: "creating the file", source: source() };
    let open = || OpenError::Io { path: path(), step: "opening the file", source: source() };
    let failed = || rkyv::rancor::Source::new(source());
    let corrupted = || Box::new(Corrupted { path: path(), word: "tail", position: 1, found: 2 });
    let invalid = InvalidFrame { path: path(), len: 3, is_kept: true, reason: failed() };
    vec![
        Box::new(create()),
        Box::new(open()),
        Box::new(OpenError::Create(create())),
        Box::new(AttachError::Io { path: path(), step: "taking the liveness lock", source: source() }),
        Box::new(AttachError::Corrupted(corrupted())),
        Box::new(UnlinkError::Open(open())),
        Box::new(UnlinkError::Open(OpenError::Create(create()))),
        Box::new(UnlinkError::Io { path: path(), step: "removing the file", source: source() }),
        Box::new(SendFdError::Io { path: path(), step: "sending", source: source() }),
        Box::new(InspectError::Open(open())),
        Box::new(InspectError::Io { path: path(), step: "reading", source: source() }),
        Box::new(RecoverError::Open(open())),
        Box::new(RecoverError::Io { path: path(), source: source() }),
        Box::new(SyncError::Open(open())),
        Box::new(SyncError::Io { path: path(), step: "writing", source: source() }),
        Box::new(SendError::Serialize(SerializeError(SerializeErrorKind::Failed(failed())))),
        Box::new(SendError::Corrupted(corrupted())),
        Box::new(RecvError::Corrupted(corrupted())),
        Box::new(RecvError::Invalid(Box::new(invalid))),
    ]
}

#[test]
fn the_systems_words_are_said_once() {
    let words = system().to_string();
    for error in all(system) {
        let said = chain(&*error);
        assert!(said.matches(&words).count() <= 1, "{said}");
        // The message alone includes the cause.
        assert_eq!(said, error.to_string(), "the rest of the chain adds nothing");
        if format!("{error:?}").contains("Os {") && !said.contains("could not be serialised") {
            assert!(said.contains(&words), "{said}");
        }
    }
}

#[test]
fn the_causes_of_a_cause_are_not_lost() {
    for error in all(nested) {
        let said = chain(&*error);
        for part in ["something of its own", &system().to_string()] {
            assert!(said.matches(part).count() <= 1, "{part} in {said}");
        }
    }
    let said = chain(&OpenError::Io { path: path(), step: "opening the file", source: nested() });
    assert!(said.ends_with(&format!("something of its own: {}", system())), "{said}");
}
