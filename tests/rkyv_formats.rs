//! Programs that are built with other settings of rkyv. They cannot be in one build:
//! `cargo xtask rkyv-formats` builds this with each of them and makes every one open what the others
//! have written. Alone, it opens its own file only.

mod common;

use std::path::{Path, PathBuf};

use ringway::schema::Description;
use ringway::{CreateOptions, Message, OpenError, spsc};
use rkyv::{Archive, Serialize};

#[derive(Archive, Serialize, Message)]
struct Trade {
    price: u32,
    volume: usize,
    venue: String,
}

/// Its archive is the same bytes with most settings: only the recorded ones tell them apart.
#[derive(Archive, Serialize, Message)]
struct Flags([u8; 4]);

fn trade() -> Trade {
    Trade { price: 1, volume: 2, venue: "a venue that is not inlined".into() }
}

fn create<T: Message>(path: &Path, value: &T) {
    // SAFETY: only these tests know the file.
    let queue =
        unsafe { spsc::Queue::<T>::create_with(path, &CreateOptions::new().ring_bytes(1024)) }.unwrap();
    queue.producer().unwrap().send(value).unwrap();
}

/// The result of opening a file with these settings in its name.
fn check<T: Message>(path: &Path, own: &str, theirs: &str) -> bool {
    // SAFETY: as in `create`.
    let result = unsafe { spsc::Queue::<T>::open(path) };
    match result {
        Ok(queue) => {
            assert_eq!(theirs, own, "{}: accepted", path.display());
            drop(queue.consumer().unwrap().try_recv().expect("what this build has written"));
            true
        }
        Err(OpenError::WrongFormat { found, expected, .. }) => {
            assert_eq!((&*found, &*expected), (theirs, own));
            assert_ne!(theirs, own, "{}: refused", path.display());
            false
        }
        Err(other) => panic!("{}: {other:?}", path.display()),
    }
}

#[test]
fn only_programs_with_the_same_settings_understand_one_another() {
    let own = Description::of::<Trade>().format();
    let alone = common::directory();
    let shared = std::env::var_os("RINGWAY_FORMATS").map(PathBuf::from);
    let dir = shared.as_deref().unwrap_or(alone.path());
    let path = |name: &str| dir.join(format!("{own}; {name}"));
    for name in ["trade", "flags"] {
        let _ = ringway::unlink(path(name));
    }
    create(&path("trade"), &trade());
    create(&path("flags"), &Flags([1; 4]));
    let (mut accepted, mut refused) = (0, 0);
    for name in common::names_in(dir) {
        let (theirs, kind) = name.split_once("; ").expect("settings and type");
        let is_ours = match kind {
            "trade" => check::<Trade>(&dir.join(&name), &own, theirs),
            _ => check::<Flags>(&dir.join(&name), &own, theirs),
        };
        if is_ours { accepted += 1 } else { refused += 1 }
    }
    println!("{own}: {accepted} accepted, {refused} refused");
    assert_eq!(accepted, 2);
    assert!(shared.is_some() || refused == 0);
}
