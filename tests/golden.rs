//! The file format, held to golden files: what an earlier build wrote must be read, and written
//! again to the byte.
//!
//! A change that makes these tests fail changes the format: give it another version number, and
//! only then recreate the files with
//!
//! ```text
//! RINGWAY_BLESS=1 cargo test --test golden -- --test-threads=1
//! ```
#![cfg(target_endian = "little")] // the files are, and another machine refuses them

mod common;

use std::path::{Path, PathBuf};

use common::{Image, at, directory};
use ringway::spsc::{BytesQueue, Queue};
use ringway::{CreateOptions, Framing};
use rkyv::{Archive, Serialize};

/// With a uuid of its own choice a queue records no time of creation: the same calls give the same file.
fn options(start_position: u64) -> CreateOptions {
    CreateOptions::new().ring_bytes(1024).uuid(*b"golden ringway\0\0").start_position(start_position)
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("ringway")
}

/// Which participant attached last, and how many did, is different each time: the pid is the
/// kernel's choice, and the count depends on which processes examined the file. Both are diagnostic
/// only.
fn mask_registry(image: &mut Image) {
    for entry in 0..2 {
        let at = at::REGISTRY + entry * at::ENTRY_LEN;
        assert_ne!(image.u64_at(at + 8), 0, "entry {entry} was never leased: nothing to mask");
        image.put_u64(at, 0);
        image.put_u64(at + 8, 0);
    }
}

/// Compares what `create` makes with the golden file of that name, and returns a copy of the latter
/// for reading.
#[track_caller]
fn compare(name: &str, create: impl Fn(&Path)) -> (tempfile::TempDir, PathBuf) {
    let dir = directory();
    let path = dir.path().join("new");
    create(&path);
    let mut made = Image::of(&path);
    if std::env::var_os("RINGWAY_BLESS").is_some_and(|value| value == "1") {
        made.write(&golden(name));
    }
    mask_registry(&mut made);
    let mut kept = Image::of(&golden(name));
    mask_registry(&mut kept);
    assert_eq!(made.0.len(), kept.0.len(), "the file has another length than the golden one");
    let differing: Vec<_> = (0..made.0.len()).filter(|at| made.0[*at] != kept.0[*at]).collect();
    assert!(
        differing.is_empty(),
        "{} bytes differ from the golden file, the first at {:#x}: {:#x}, expected {:#x}",
        differing.len(),
        differing[0],
        made.0[differing[0]],
        kept.0[differing[0]],
    );
    let copy = dir.path().join("copy");
    // Not `fs::copy`, which copies the mode too: a checkout may be read-only.
    Image::of(&golden(name)).write(&copy);
    (dir, copy)
}

/// One lap is 1024 bytes. From here, the third message does not fit before the end of the ring.
const NEAR_THE_END: u64 = (1 << 32) - 104;
const BYTES: [&[u8]; 4] = [b"", b"the quick brown fox jumps over the lazy dog", &[0xa5; 100], b"last"];

#[test]
fn bytes_of_any_size() {
    let create = |path: &Path| {
        // SAFETY: only this test knows the file.
        let queue = unsafe { BytesQueue::create_with(path, &options(NEAR_THE_END)) }.unwrap();
        let consumer = queue.consumer().unwrap();
        let mut producer = queue.producer().unwrap();
        BYTES[..2].iter().for_each(|message| producer.send(message).unwrap());
        // One is read, so that the consumer's words are not those of a new queue.
        assert_eq!(&*consumer.recv().unwrap(), BYTES[0]);
        assert_eq!(producer.try_send_many(&BYTES[2..]).unwrap(), 2);
        // The third message and the last, after 40 bytes of padding that end at a new lap.
        assert_eq!(Image::of(path).u64_at(at::TAIL), (1 << 32) + 112 + 16);
    };
    let (_dir, copy) = compare("bytes", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::open(&copy) }.unwrap();
    let consumer = queue.consumer().unwrap();
    for message in &BYTES[1..] {
        let frame = consumer.try_recv().unwrap();
        assert_eq!((&*frame, frame.redeliveries()), (*message, 0));
    }
    assert!(consumer.try_recv().is_err());
    // A new producer goes on where the old one stopped.
    queue.producer().unwrap().send(b"more").unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), b"more");
}

#[test]
fn bytes_of_one_size() {
    // Positions count messages here: 42 cells of 24 bytes.
    let start = (1 << 32) / 42 * 42 - 2;
    let message = |i: u8| [i; 24];
    let create = |path: &Path| {
        // SAFETY: only this test knows the file.
        let queue =
            unsafe { BytesQueue::create_with(path, &options(start).framing(Framing::Fixed(24))) }.unwrap();
        let consumer = queue.consumer().unwrap();
        let mut producer = queue.producer().unwrap();
        (1..=3).for_each(|i| producer.send(&message(i)).unwrap());
        assert_eq!(&*consumer.recv().unwrap(), message(1));
        producer.send_many(&[message(4), message(5)]).unwrap();
    };
    let (_dir, copy) = compare("fixed", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::open(&copy) }.unwrap();
    assert_eq!(queue.ring_bytes(), 42 * 24);
    let consumer = queue.consumer().unwrap();
    for i in 2..=5 {
        let frame = consumer.try_recv().unwrap();
        assert_eq!((&*frame, frame.redeliveries()), (&message(i)[..], 0));
    }
    assert!(consumer.try_recv().is_err());
    queue.producer().unwrap().send(&message(6)).unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), message(6));
}

#[test]
fn many_producers_and_consumers() {
    let order = |start| options(start).ring_bytes(4096).max_messages(4).max_participants(3).align(8);
    // One lap is four slots. The pid of an owner, and the time at which it attached, are different
    // each time.
    let create = |path: &Path| {
        // SAFETY: only this test knows the file.
        let queue = unsafe { ringway::mpmc::BytesQueue::create_with(path, &order((1 << 32) - 1)) }.unwrap();
        let mut producers = [queue.producer().unwrap(), queue.producer().unwrap()];
        let consumer = queue.consumer().unwrap();
        producers[0].send(b"zero").unwrap();
        producers[1].send_many(&[b"first", b"next."]).unwrap();
        assert_eq!(&*consumer.recv().unwrap(), b"zero");
        consumer.task_done().unwrap();
        consumer.recv().unwrap().reject();
        drop((producers, consumer));
        let mut image = Image::of(path);
        for entry in 0..3 {
            for word in [8, 16] {
                image.put_u64(at::REGISTRY + entry * at::ENTRY_LEN + word, 1);
            }
        }
        image.write(path);
    };
    let (_dir, copy) = compare("mpmc", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::open(&copy) }.unwrap();
    let consumer = queue.consumer().unwrap();
    for (message, redeliveries) in [(b"first", 1), (b"next.", 0)] {
        let frame = consumer.try_recv().unwrap();
        assert_eq!((&*frame, frame.redeliveries()), (&message[..], redeliveries));
    }
    assert!(consumer.try_recv().is_err());
    assert_eq!(queue.unfinished().unwrap(), 2);
    queue.producer().unwrap().send(b"more").unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), b"more");
    assert_eq!(queue.unfinished().unwrap(), 3);

    let image = Image::of(&golden("mpmc"));
    // One is done; nothing was sent before the start.
    assert_eq!((image.u64_at(at::DONE), image.u64_at(at::SKIPPED)), (1, (1 << 32) - 1));
    assert_eq!((image.u64_at(at::SKIPPED + 8), image.u64_at(at::SKIPPED + 16)), (0, 0));
    assert_eq!((image.u32_at(at::KIND), image.u64_at(0x178), image.u64_at(0x180)), (2, 4, 3));
    let slots = image.u64_at(0x188) as usize;
    assert_eq!(image.u64_at(at::TAIL), ((1 << 32) + 2) << 2);
    assert_eq!(image.u64_at(at::HEAD), ((1 << 32) + 1) << 1);
    // Slot 0 was taken and rejected: REDELIVER, once, of lap 2^30. Slot 1 is committed: FULL.
    assert_eq!(image.u64_at(slots), (1 << 30) << 18 | 1 << 2 | 3);
    assert_eq!(image.u64_at(slots + 16), (1 << 30) << 18 | 1);
    // Lane 1, eight bytes in, five bytes long.
    assert_eq!(image.u64_at(slots + 24), 1 << 52 | 1 << 27 | 5);
}

/// Fewer messages than slots.
#[test]
fn a_bound_that_is_no_power_of_two() {
    let create = |path: &Path| {
        let options = options((1 << 32) - 2).ring_bytes(4096).max_messages(3).max_participants(2).align(8);
        // SAFETY: only this test knows the file.
        let queue = unsafe { ringway::mpmc::BytesQueue::create_with(path, &options) }.unwrap();
        let mut producer = queue.producer().unwrap();
        assert_eq!(producer.try_send_many(&[b"zero", b"one.", b"two.", b"more"]).unwrap(), 3);
        drop(producer);
        let consumer = queue.consumer().unwrap();
        assert_eq!(&*consumer.recv().unwrap(), b"zero");
        drop(consumer);
        let mut image = Image::of(path);
        for entry in 0..2 {
            for word in [8, 16] {
                image.put_u64(at::REGISTRY + entry * at::ENTRY_LEN + word, 1);
            }
        }
        image.write(path);
    };
    let (_dir, copy) = compare("bound", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::open(&copy) }.unwrap();
    let mut producer = queue.producer().unwrap();
    assert_eq!(producer.try_send_many(&[b"last", b"more"]).unwrap(), 1, "one was released");
    let consumer = queue.consumer().unwrap();
    for message in [b"one.", b"two.", b"last"] {
        assert_eq!(&*consumer.try_recv().unwrap(), message);
    }

    let image = Image::of(&golden("bound"));
    assert_eq!((image.u64_at(0x178), image.u64_at(0x198)), (4, 3));
    assert_eq!(image.u64_at(at::TAIL), ((1 << 32) + 1) << 2);
}

/// No archive of it has padding, whose bytes would be unspecified.
#[derive(Archive, Serialize, ringway::Message)]
struct Reading {
    sensor: String,
    values: Vec<u32>,
    time: u64,
}

#[test]
fn typed_messages() {
    let reading = |i: u32| Reading {
        sensor: format!("sensor number {i}"),
        values: (0..i).map(|j| 1000 * i + j).collect(),
        time: u64::from(i) << 40,
    };
    let create = |path: &Path| {
        // SAFETY: only this test knows the file.
        let queue = unsafe { Queue::create_with(path, &options(0)) }.unwrap();
        let _consumer = queue.consumer().unwrap();
        let mut producer = queue.producer().unwrap();
        producer.send(&reading(0)).unwrap();
        producer.send_many(&[reading(1), reading(7)]).unwrap();
    };
    let (_dir, copy) = compare("typed", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<Reading>::open(&copy) }.unwrap();
    let consumer = queue.consumer().unwrap();
    for i in [0, 1, 7] {
        let (frame, expected) = (consumer.try_recv().unwrap(), reading(i));
        assert_eq!(frame.sensor, *expected.sensor);
        assert_eq!(frame.values, *expected.values);
        assert_eq!((frame.time.to_native(), frame.redeliveries()), (expected.time, 0));
    }
    assert!(consumer.try_recv().is_err());
}

#[test]
fn fields_stand_where_the_format_says() {
    let image = Image::of(&golden("fixed"));
    assert_eq!(&image.0[..8], b"RINGWAY\x1a");
    assert_eq!(image.u32_at(at::VERSION), 3);
    assert_eq!(image.0[at::ENDIAN..at::ENDIAN + 4], [4, 3, 2, 1]);
    assert_eq!((image.u64_at(at::COMPAT), image.u64_at(at::INCOMPAT)), (0, 0));
    assert_eq!((image.u32_at(at::KIND), image.u32_at(at::FRAMING)), (1, 2));
    assert_eq!((image.u64_at(at::FIXED_LEN), image.u64_at(at::STRIDE), image.u64_at(at::ALIGN)), (24, 24, 8));
    assert_eq!((image.u64_at(at::CAPACITY), image.u64_at(at::MAX_PAYLOAD)), (42, 24));
    assert_eq!((image.u64_at(at::LANE_OFFSET), image.u64_at(at::LANE_LEN)), (at::LANE as u64, 4096));
    assert_eq!(&image.0[0x68..0x78], b"golden ringway\0\0");
    assert_eq!((image.u64_at(at::NAME_LEN), &image.0[at::NAME..at::NAME + 5]), (5, &b"bytes"[..]));
    assert_eq!(&image.0[at::READY..at::READY + 8], b"RW-READY");
    let start = (1 << 32) / 42 * 42 - 2;
    assert_eq!(image.u64_at(at::TAIL), start + 5);
    assert_eq!((image.u64_at(at::RELEASED), image.u64_at(at::TAKEN)), (start + 1, start + 1));
    // The third message is the first of its lap, right after the lane's lead.
    assert_eq!(image.0[at::LANE + 128..at::LANE + 152], [3; 24]);
    // After the registry, the description of typed messages.
    let typed = Image::of(&golden("typed"));
    let text = "message Reading\n  struct Reading\n    sensor: String at offset 0\n    values: Vec<u32> at offset 8\n    \
                time: u64 at offset 16\n    size 24, alignment 8\n  size 24, alignment 8\n";
    let (offset, len) =
        (typed.u64_at(at::DESCRIPTION_OFFSET) as usize, typed.u64_at(at::DESCRIPTION_LEN) as usize);
    assert_eq!((offset, std::str::from_utf8(&typed.0[offset..offset + len])), (0x1200, Ok(text)));
    assert_eq!((typed.u64_at(at::RKYV_FORMAT), typed.u64_at(at::TYPE_VERSION)), (8 << 16 | 4 << 8 | 1, 0));
    assert_eq!((image.u64_at(at::DESCRIPTION_LEN), image.u64_at(at::RKYV_FORMAT)), (0, 0));
    assert_eq!(image.0[at::FINGERPRINT..at::FINGERPRINT + 32], [0; 32]);
    // A frame's commit word: its length above two bits that say "message". Index 0 holds 100 bytes there.
    assert_eq!(Image::of(&golden("bytes")).u64_at(at::FIRST_WORD), 100 << 2 | 1);
}

#[test]
fn every_message_to_every_consumer() {
    use ringway::RecvError;
    use ringway::broadcast::{BytesQueue, Start, Subscribe};

    const START: u64 = (1 << 32) - 1;
    let create = |path: &Path| {
        let options = options(START).ring_bytes(4096).max_messages(4).align(8);
        let options = options.max_participants(4).max_producers(2).gating(true);
        // SAFETY: only this test knows the file.
        let queue = unsafe { BytesQueue::create_with(path, &options) }.unwrap();
        let mut producers = [queue.producer().unwrap(), queue.producer().unwrap()];
        let reliable = queue.consumer().unwrap();
        let lossy = queue.consumer_with(&Subscribe::lossy()).unwrap();
        producers[0].send(b"zero").unwrap();
        producers[1].send_many(&[b"first", b"next."]).unwrap();
        for message in [&b"zero"[..], b"first"] {
            assert_eq!(&*reliable.recv().unwrap(), message);
        }
        assert_eq!(&*lossy.recv().unwrap(), b"zero");
        // The fifth message takes the place of the first.
        producers[0].send_many(&[b"more", b"last"]).unwrap();
        drop((producers, lossy));
        let mut image = Image::of(path);
        for entry in 0..4 {
            for word in [8, 16] {
                image.put_u64(at::REGISTRY + entry * at::ENTRY_LEN + word, 1);
            }
        }
        // As if the reliable consumer had been killed: its entry has an owner, and a cursor.
        assert_eq!(image.u64_at(at::REGISTRY + 2 * at::ENTRY_LEN), 1 << 2 | 1 << 1 | 1);
        drop((reliable, queue));
        std::fs::remove_file(path).unwrap();
        image.write(path);
    };
    let (_dir, copy) = compare("broadcast", create);
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::open(&copy) }.unwrap();
    let consumer = queue.consumer_with(&Subscribe::reliable().from(Start::At(START))).unwrap();
    assert!(matches!(consumer.try_recv(), Err(RecvError::Lagged(1))));
    for message in [&b"first"[..], b"next.", b"more", b"last"] {
        assert_eq!(&*consumer.try_recv().unwrap(), message);
    }
    assert!(consumer.try_recv().is_err());
    assert_eq!(queue.recover().unwrap().deaths, 0, "the attach has recovered from the dead one");

    let image = Image::of(&golden("broadcast"));
    assert_eq!((image.u32_at(at::KIND), image.u64_at(0x178), image.u64_at(0x180)), (3, 4, 4));
    assert_eq!((image.u32_at(0x190), image.u64_at(0x1a0), image.u64_at(0x1a8)), (1, 2, 1));
    let slots = image.u64_at(0x188) as usize;
    assert_eq!(image.u64_at(at::TAIL), (START + 5) << 2);
    assert_eq!((image.u64_at(0x580), image.u64_at(0x588)), (START + 1, START + 1), "floor and free");
    // The reliable consumer has released two; how it reads, and what it reads next.
    let reliable = at::REGISTRY + 2 * at::ENTRY_LEN;
    let words = [0x20, 0x88, 0xb8].map(|word| image.u64_at(reliable + word));
    assert_eq!(words, [1, START + 2 + 1, START + 2]);
    // The lossy one has left.
    let lossy = reliable + at::ENTRY_LEN;
    assert_eq!([0, 0x20, 0x88].map(|word| image.u64_at(lossy + word)), [1 << 2 | 1 << 1, 2, 0]);
    // Slot 3 has the fifth message: FULL of lap 2^30. Lane 0, 16 bytes in, four bytes long.
    assert_eq!(image.u64_at(slots + 3 * 16), (1 << 30) << 18 | 1);
    assert_eq!(image.u64_at(slots + 3 * 16 + 8), 2 << 27 | 4);
}
