//! A description is bytes of a file, and is trusted no more than others.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringway::schema::{Describer, Description, Structure};
use ringway::{CreateError, CreateOptions, Message, OpenError, RecvError, mpmc, spsc};
use rkyv::{Archive, Serialize};

use crate::common::{Image, at, directory};

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
struct Tick {
    symbol: String,
    price: u64,
}

fn open(path: &Path) -> Result<(), OpenError> {
    // SAFETY: only this test knows the file.
    unsafe { spsc::Queue::<Tick>::open(path) }.map(drop)
}

fn image(path: &Path) -> Image {
    // SAFETY: only this test knows the file.
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
                    matches!(error, OpenError::Corrupted { field: "schema fingerprint", .. }),
                    "{place:#x} ^ {flip:#x}: {error:?}"
                );
            }
        }
    }
}

/// A file with this description of its messages, and the right fingerprint of it.
fn forge(good: &Image, text: &[u8]) -> Image {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
    child.stdin.take().unwrap().write_all(text).unwrap();
    let hex = child.wait_with_output().unwrap().stdout;
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    let fingerprint: Vec<u8> = hex[..64].chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    let mut image = good.clone();
    image.put(at::DESCRIPTION, text);
    image.put_u64(at::DESCRIPTION_LEN, text.len() as u64);
    image.put(at::FINGERPRINT, &fingerprint);
    image.seal();
    image
}

#[test]
fn whatever_a_description_says_is_compared_and_shown_and_nothing_else() {
    let dir = directory();
    let path = dir.path().join("queue");
    let good = image(&path);
    let own = Description::of::<Tick>();
    forge(&good, own.text().as_bytes()).write(&path);
    open(&path).unwrap();
    let long = format!("message Tick\n  struct Tick\n    {}: u8 at offset 0\n", "x".repeat(3000));
    let deep: String = (0..70).map(|depth| format!("{}struct a\n", " ".repeat(depth))).collect();
    for text in [
        "\n",
        "message Tick\n",
        "message Tock\n",
        "  struct Tick\n",
        ":::\nstruct\nvariant\nsize\n",
        &long,
        &deep,
        &own.text().repeat(20),
        &own.text().replace("u64 at offset 8", "u64 at offset 18446744073709551615"),
    ] {
        forge(&good, text.as_bytes()).write(&path);
        let error = open(&path).unwrap_err();
        assert!(matches!(error, OpenError::WrongSchema { .. }), "{text:?}: {error:?}");
        assert!(error.to_string().len() < 1500, "{error}");
        assert_eq!(Description::recorded(&path).unwrap().text(), text);
    }
    for bytes in
        [&b"message Tick"[..], b"message \xff\n", b"message \x1b[2J\n", b"\0\n", "\u{202e}\n".as_bytes()]
    {
        forge(&good, bytes).write(&path);
        for error in [open(&path).unwrap_err(), Description::recorded(&path).unwrap_err()] {
            assert!(matches!(error, OpenError::Corrupted { .. }), "{bytes:?}: {error:?}");
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
        assert!(matches!(error, OpenError::Corrupted { .. }), "{field:#x} = {value:#x}: {error:?}");
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

/// A type whose description takes some `N` bytes.
#[derive(Archive, Serialize)]
struct Named<const N: usize>(u8);

impl<const N: usize> Structure for ArchivedNamed<N> {
    fn describe(describer: &mut Describer) {
        describer.inline::<Self>(&"x".repeat(N));
    }
}

#[test]
fn descriptions_without_end_are_refused() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let error = unsafe { spsc::Queue::<Named<{ (1 << 20) - REST + 1 }>>::create(&path) }.unwrap_err();
    assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
    assert!(error.to_string().contains("has room for 1048576"), "{error}");
    // SAFETY: as above.
    let error = unsafe { mpmc::Queue::<Named<{ (1 << 20) - REST + 1 }>>::open_or_create(&path) }.unwrap_err();
    assert!(matches!(error, OpenError::Create(CreateError::InvalidOptions { .. })), "{error:?}");
    assert!(!path.exists());
}

/// What a description contains beside the name.
const REST: usize = "message  (size 1, alignment 1)\n  size 1, alignment 1\n".len();

/// The words after the description begin on a page of their own, however long the description is.
fn works_with<const N: usize>() {
    let dir = directory();
    let options = || CreateOptions::new().ring_bytes(4096);
    let path = dir.path().join("one");
    // SAFETY: only this test knows the file.
    let queue = unsafe { spsc::Queue::create_with(&path, &options()) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..=255 {
        producer.try_send(&Named::<N>(i)).unwrap();
        assert_eq!(consumer.try_recv().unwrap().0, i);
    }
    let text = Description::of::<Named<N>>();
    assert!(text.text().len() == N + REST && Description::recorded(&path).unwrap() == text);
    // SAFETY: as above.
    unsafe { spsc::Queue::<Named<N>>::open(&path) }.unwrap();

    let path = dir.path().join("many");
    let many = options().max_participants(5).max_messages(8).max_redeliveries(1);
    // SAFETY: as above.
    let queue = unsafe { mpmc::Queue::create_with(&path, &many) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..=255 {
        producer.try_send(&Named::<N>(i)).unwrap();
        assert_eq!(consumer.try_recv().unwrap().0, i);
    }
    assert!(Description::recorded(&path).unwrap() == text);
    // Dead letters are of the same type.
    producer.send(&Named(7)).unwrap();
    consumer.recv().unwrap().reject();
    consumer.recv().unwrap().reject();
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    assert_eq!(queue.dead_letters().unwrap().consumer().unwrap().try_recv().unwrap().0, 7);
}

#[test]
fn descriptions_of_any_length_have_room() {
    works_with::<1>();
    // Up to the end of the page that the registry ends in, and beyond it.
    works_with::<{ 0xe00 - REST - 1 }>();
    works_with::<{ 0xe00 - REST }>();
    works_with::<{ 0xe00 - REST + 1 }>();
    works_with::<100_000>();
    works_with::<{ (1 << 20) - REST }>();
}
