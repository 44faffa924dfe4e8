//! A description is bytes of a file, and no more believed than others.

use std::path::Path;
use std::time::{Duration, Instant};

use ringway::schema::{Describer, Description, Structure};
use ringway::{CreateError, Message, OpenError, spsc};
use rkyv::{Archive, Serialize};

use crate::common::{Image, at, directory};

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
struct Tick {
    symbol: String,
    price: u64,
}

fn open(path: &Path) -> Result<(), OpenError> {
    // SAFETY: nobody else knows the file.
    unsafe { spsc::Queue::<Tick>::open(path) }.map(drop)
}

fn image(path: &Path) -> Image {
    // SAFETY: nobody else knows the file.
    unsafe { spsc::Queue::<Tick>::create(path) }.unwrap();
    Image::of(path)
}

#[test]
fn the_description_stands_where_the_format_says() {
    let dir = directory();
    let image = image(&dir.path().join("queue"));
    let text = Description::of::<Tick>();
    let len = image.u64_at(at::DESCRIPTION_LEN) as usize;
    assert_eq!(image.u64_at(at::DESCRIPTION_OFFSET), at::DESCRIPTION as u64);
    assert_eq!(&image.0[at::DESCRIPTION..at::DESCRIPTION + len], text.text().as_bytes());
    assert_eq!(&image.0[at::FINGERPRINT..at::FINGERPRINT + 32], text.fingerprint());
    assert_eq!(image.u64_at(at::TYPE_VERSION), 0);
}

#[test]
fn every_changed_byte_is_noticed() {
    let dir = directory();
    let path = dir.path().join("queue");
    let good = image(&path);
    let len = good.u64_at(at::DESCRIPTION_LEN) as usize;
    let description = at::DESCRIPTION..at::DESCRIPTION + len;
    for place in description.chain(at::FINGERPRINT..at::FINGERPRINT + 32) {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut image = good.clone();
            image.0[place] ^= flip;
            image.seal();
            image.write(&path);
            for error in [open(&path).unwrap_err(), Description::recorded(&path).unwrap_err()] {
                assert!(
                    matches!(error, OpenError::Damaged { field: "schema fingerprint", .. }),
                    "{place:#x} ^ {flip:#x}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn lengths_and_offsets_are_checked() {
    let dir = directory();
    let path = dir.path().join("queue");
    let good = image(&path);
    let len = good.u64_at(at::DESCRIPTION_LEN);
    for (field, value) in [
        (at::DESCRIPTION_LEN, 0),
        (at::DESCRIPTION_LEN, len - 1),
        (at::DESCRIPTION_LEN, len + 1),
        (at::DESCRIPTION_LEN, 0xe00),
        (at::DESCRIPTION_LEN, 0xe01),
        (at::DESCRIPTION_LEN, 1 << 20),
        (at::DESCRIPTION_LEN, (1 << 20) + 1),
        (at::DESCRIPTION_LEN, 1 << 40),
        (at::DESCRIPTION_LEN, u64::MAX),
        (at::DESCRIPTION_OFFSET, 0),
        (at::DESCRIPTION_OFFSET, at::DESCRIPTION as u64 + 1),
        (at::DESCRIPTION_OFFSET, 0x1000),
        (at::DESCRIPTION_OFFSET, u64::MAX),
    ] {
        let mut image = good.clone();
        image.put_u64(field, value);
        image.seal();
        image.write(&path);
        let started = Instant::now();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{field:#x} = {value:#x}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(1), "{field:#x} = {value:#x}");
        Description::recorded(&path).unwrap_err();
    }
    let mut image = good.clone();
    image.put_u64(at::TYPE_VERSION, u64::MAX);
    image.seal();
    image.write(&path);
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("version 18446744073709551615 of `Tick`, this program has no version"), "{error}");
}

/// A type whose description is long: its fields are `LEVELS` levels of a hundred each.
struct Long;

impl Structure for Long {
    fn describe(describer: &mut Describer) {
        describer.inline::<u8>(&"x".repeat(1 << 21));
    }
}

#[derive(Archive, Serialize)]
#[rkyv(archived = ArchivedHuge)]
struct Huge(u8);

impl Structure for ArchivedHuge {
    fn describe(describer: &mut Describer) {
        Long::describe(describer);
    }
}

#[test]
fn descriptions_without_end_are_refused() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: nobody else knows the file.
    let error = unsafe { spsc::Queue::<Huge>::create(&path) }.unwrap_err();
    assert!(matches!(error, CreateError::BadOptions { .. }), "{error:?}");
    assert!(error.to_string().contains("has room for 1048576"), "{error}");
    assert!(!path.exists());
    // SAFETY: as above.
    let queue = unsafe { spsc::Queue::<Huge>::open_or_create(&path) };
    assert!(queue.is_err() && Huge(1).0 == 1);
}
