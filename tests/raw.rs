//! Typed queues as bytes with their description: bridges and bindings that do not have the type.

mod common;

use common::directory;
use ringway::kind::{BytesQueue, Checksummed, Kind, Mpmc, Queue, RawQueue, Spsc};
use ringway::schema::Description;
use ringway::{CreateError, CreateOptions, Framing, Message, OpenError};
use rkyv::{Archive, Serialize};

#[derive(Archive, Serialize, Message, Clone)]
#[ringway(version = 3)]
struct Order {
    id: u64,
    lines: Vec<(String, u128)>,
}

/// An archive with a part that is more aligned than its root.
#[derive(Archive, Serialize, Message)]
#[rkyv(attr(repr(C, align(64))))]
struct Block {
    byte: u8,
}

fn order(id: u64) -> Order {
    Order {
        id,
        lines: (0..id % 4).map(|n| (format!("line {n} of order {id}"), u128::MAX - u128::from(n))).collect(),
    }
}

/// Messages go through a program without the type, into a queue that it made of the description.
fn through_a_bridge<T: Message, K: Kind>(
    options: &CreateOptions,
    messages: &[T],
    is_it: impl Fn(&T::Archived, usize) -> bool,
) {
    let directory = directory();
    let [here, there] = ["here", "there"].map(|name| directory.path().join(name));
    // SAFETY: both files are this test's alone.
    let from = unsafe { Queue::<T, K>::create(&here).unwrap() };
    let mut producer = from.producer().unwrap();
    messages.iter().for_each(|message| producer.send(message).unwrap());

    // SAFETY: as above.
    let source = unsafe { RawQueue::<K>::open(&here).unwrap() };
    let (text, format) = (source.description().text(), source.description().format_word());
    let description = Description::parse(text, format).unwrap();
    assert_eq!(&description, source.description());
    assert_eq!(description, Description::of::<T>());
    // SAFETY: as above.
    let target = unsafe { RawQueue::<K>::create_with(&there, &description, options).unwrap() };
    assert!(target.archive_alignment() <= target.alignment() || target.fixed_len().is_some());
    // SAFETY: sends only what came from a queue of this type.
    let (consumer, mut producer) = (source.consumer().unwrap(), unsafe { target.producer().unwrap() });
    for _ in messages {
        producer.send(&consumer.recv().unwrap()).unwrap();
    }

    // SAFETY: as above.
    let to = unsafe { Queue::<T, K>::open(&there).unwrap() };
    let consumer = to.consumer().unwrap();
    for at in 0..messages.len() {
        assert!(is_it(&consumer.recv().unwrap(), at), "message {at}");
    }
}

fn of_every_shape<K: Kind>() {
    let orders: Vec<_> = (0..20).map(order).collect();
    through_a_bridge::<Order, K>(&CreateOptions::new(), &orders, |found, at| {
        found.id == at as u64
            && found.lines.len() == at % 4
            && found.lines.iter().all(|line| line.1 > u128::MAX - 9)
    });
    let is_same = |found: &<(u32, bool) as Archive>::Archived, at: usize| found.0 == at as u32;
    let pairs: Vec<_> = (0..20).map(|n| (n, true)).collect();
    through_a_bridge::<(u32, bool), K>(&CreateOptions::new().framing(Framing::Fixed(8)), &pairs, is_same);
    through_a_bridge::<(u32, bool), K>(&CreateOptions::new(), &pairs, is_same);
}

#[test]
fn messages_go_through() {
    of_every_shape::<Spsc>();
    of_every_shape::<Mpmc>();
    of_every_shape::<Checksummed<Spsc>>();
    of_every_shape::<Checksummed<Mpmc>>();
}

#[test]
fn alignments_inside_are_told_and_kept() {
    let directory = directory();
    let name = directory.path().join("blocks");
    let blocks = Description::of::<Vec<Block>>();
    // SAFETY: the file is this test's alone.
    let target = unsafe { RawQueue::<Spsc>::create_with(&name, &blocks, &CreateOptions::new()).unwrap() };
    assert_eq!((target.archive_alignment(), target.alignment()), (64, 64));
    let name = directory.path().join("typed");
    // SAFETY: as above.
    let _typed = unsafe { Queue::<Vec<Block>, Spsc>::create(&name).unwrap() };
    // SAFETY: as above.
    let source = unsafe { RawQueue::<Spsc>::open(&name).unwrap() };
    assert!(source.alignment() < source.archive_alignment(), "a bridge is told that it cannot copy");
}

#[test]
fn queues_of_bytes_have_no_type_and_no_conditions() {
    let directory = directory();
    let name = directory.path().join("bytes");
    // SAFETY: the file is this test's alone.
    let queue = unsafe { BytesQueue::<Mpmc>::create(&name).unwrap() };
    // SAFETY: as above.
    let raw = unsafe { RawQueue::<Mpmc>::open(&name).unwrap() };
    assert!(raw.description().is_bytes() && raw.archive_alignment() == 1 && raw.fixed_len().is_none());
    // SAFETY: any bytes are messages.
    unsafe { raw.producer().unwrap() }.send(b"any").unwrap();
    assert_eq!(*queue.consumer().unwrap().recv().unwrap(), *b"any");
    // SAFETY: as above.
    let created = unsafe {
        RawQueue::<Mpmc>::create_with(directory.path().join("q"), raw.description(), &CreateOptions::new())
    };
    assert!(matches!(created, Err(CreateError::InvalidOptions { reason }) if reason.contains("bytes")));
    // SAFETY: as above.
    assert!(matches!(unsafe { RawQueue::<Spsc>::open(&name) }, Err(OpenError::WrongKind { .. })));
}

#[test]
fn what_is_no_description_is_refused() {
    let known = Description::of::<Order>();
    let format = known.format_word();
    for (text, format, says) in [
        (known.text().to_owned(), 0, "bytes"),
        (String::new(), format, "begin"),
        ("message u8\n".into(), format, "begin"),
        ("message u8\n  size 1, alignment 3\n".into(), format, "begin"),
        ("message \u{1b}[2J\n  size 1, alignment 1\n".into(), format, "plain"),
        ("message u8\n  size 1, alignment 1".into(), format, "plain"),
        (format!("message {}\n  size 1, alignment 1\n", "x".repeat(1 << 20)), format, "1 MiB"),
    ] {
        let error = Description::parse(&text, format).unwrap_err();
        assert!(error.reason.contains(says), "{error}");
    }
    let directory = directory();
    // SAFETY: no file is made.
    let wrong = unsafe {
        RawQueue::<Spsc>::create_with(
            directory.path().join("q"),
            &known,
            &CreateOptions::new().framing(Framing::Fixed(17)),
        )
    };
    assert!(matches!(wrong, Err(CreateError::InvalidOptions { reason }) if reason.contains("Order")));
}

/// The numbers of a description come from elsewhere: they include those that no sum can hold.
#[test]
fn a_size_that_no_queue_has_is_refused() {
    let directory = directory();
    let format = Description::of::<Order>().format_word();
    for (size, align) in [(1_u64 << 50, 1_u64), (u64::MAX, 1), (1 << 63, 1 << 63)] {
        let text = format!("message u8\n  size {size}, alignment {align}\n");
        let description = Description::parse(&text, format).unwrap();
        for framing in [Framing::Auto, Framing::FixedByType] {
            let (name, options) = (directory.path().join("q"), CreateOptions::new().framing(framing));
            // SAFETY: no file is made.
            let spsc = unsafe { RawQueue::<Spsc>::create_with(&name, &description, &options).map(drop) };
            // SAFETY: as above.
            let mpmc = unsafe {
                RawQueue::<Checksummed<Mpmc>>::create_with(&name, &description, &options).map(drop)
            };
            for result in [spsc, mpmc] {
                assert!(matches!(result, Err(CreateError::InvalidOptions { .. })), "{size} {result:?}");
            }
        }
    }
}
