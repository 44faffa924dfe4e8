//! Queues with checksums: every way to send and to receive works, frames that do not fit are
//! skipped and counted, and no handle takes such a queue for another.

mod common;

use std::os::unix::fs::FileExt;
use std::path::Path;

use common::directory;
use ringway::inspect::{Inspector, Peek, Snapshot};
use ringway::kind::{BytesQueue, Checksummed, Kind, Mpmc, Spsc};
use ringway::{CreateError, CreateOptions, Framing, OpenError, RecvError};
use rkyv::{Archive, Serialize};

fn create<K: Kind>(path: &Path, options: &CreateOptions) -> BytesQueue<K> {
    // SAFETY: no other process knows the file, as everywhere here.
    unsafe { BytesQueue::create_with(path, options) }.unwrap()
}

fn options() -> CreateOptions {
    CreateOptions::new().ring_bytes(1 << 16)
}

/// Changes a byte of a message in the file, wherever it is.
fn corruption(path: &Path, message: &[u8]) {
    let bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(message.len()).position(|window| window == message).expect("it is in the file");
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[message[0] ^ 1], at as u64).unwrap();
}

fn dropped(path: &Path) -> u64 {
    Snapshot::read(path).unwrap().boot.dropped
}

fn every_way<K: Kind>(options: &CreateOptions, len: Option<usize>) {
    let dir = directory();
    let path = dir.path().join("q");
    let queue = create::<K>(&path, options);
    let message = |i: u8| vec![i; len.unwrap_or(usize::from(i) * 3)];
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    producer.send(&message(1)).unwrap();
    let mut claim = producer.reserve(message(2).len()).unwrap();
    claim.copy_from_slice(&message(2));
    claim.commit().unwrap();
    producer.send_many(&[message(3), message(4), message(5)]).unwrap();
    let mut batch = producer.batch().unwrap();
    batch.try_reserve(message(6).len()).unwrap().copy_from_slice(&message(6));
    batch.try_reserve(message(7).len()).unwrap().copy_from_slice(&message(7));
    batch.commit().unwrap();
    // Inspection sees the messages, and no more.
    let peeked = Inspector::open(&path).unwrap().peek(&Peek::new()).unwrap();
    let payloads: Vec<_> = peeked.frames.iter().map(|frame| frame.payload.clone()).collect();
    assert_eq!(payloads, (1..8).map(message).collect::<Vec<_>>());
    assert!(peeked.frames.iter().all(|frame| frame.len == frame.payload.len() as u64));

    assert_eq!(&*consumer.recv().unwrap(), message(1));
    consumer.recv().unwrap().reject();
    assert_eq!(&*consumer.recv().unwrap(), message(2));
    let frames = consumer.try_recv_many(3).unwrap();
    assert_eq!(frames.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), [message(3), message(4), message(5)]);
    drop(frames);
    let (six, seven) = (consumer.recv().unwrap(), consumer.recv().unwrap());
    assert_eq!((&*six, &*seven), (&*message(6), &*message(7)));
    drop((seven, six));
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    // Laps of them.
    for lap in 0..2000_u32 {
        let message = message((lap % 200) as u8);
        producer.send(&message).unwrap();
        assert_eq!(&*consumer.recv().unwrap(), message, "lap {lap}");
    }
    assert_eq!(dropped(&path), 0);
}

#[test]
fn every_way_to_send_and_receive() {
    every_way::<Checksummed<Spsc>>(&options(), None);
    every_way::<Checksummed<Mpmc>>(&options(), None);
    for len in [1, 24, 100] {
        every_way::<Checksummed<Spsc>>(&options().framing(Framing::Fixed(len)), Some(len));
        every_way::<Checksummed<Mpmc>>(&options().framing(Framing::Fixed(len)), Some(len));
    }
}

fn damaged_ones_are_passed<K: Kind>(options: &CreateOptions) {
    let dir = directory();
    let path = dir.path().join("q");
    let queue = create::<K>(&path, options);
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    let message = |i: u8| [0x80 + i; 40];
    (0..10).for_each(|i| producer.send(&message(i)).unwrap());
    corruption(&path, &message(0));
    corruption(&path, &message(4));
    assert_eq!(&*consumer.recv().unwrap(), message(1));
    assert_eq!(dropped(&path), 1);
    // In a batch, too: the others are delivered, in order, and as if for the first time.
    let mut found = Vec::new();
    while let Ok(frames) = consumer.try_recv_many(100) {
        found.extend(frames.iter().map(|frame| frame[0]));
    }
    assert_eq!(found, [2, 3, 5, 6, 7, 8, 9].map(|i| 0x80 + i));
    assert_eq!(dropped(&path), 2);
    // Their room was released.
    for i in 0..5000_u32 {
        producer.send(&message((i % 100) as u8)).unwrap();
        drop(consumer.recv().unwrap());
    }
    assert_eq!(dropped(&path), 2);
}

#[test]
fn frames_that_do_not_fit_are_passed_and_counted() {
    for options in [options(), options().framing(Framing::Fixed(40))] {
        damaged_ones_are_passed::<Checksummed<Spsc>>(&options);
        damaged_ones_are_passed::<Checksummed<Mpmc>>(&options);
    }
}

#[derive(Archive, Serialize, ringway::Message)]
struct Order {
    customer: String,
    items: Vec<u32>,
}

#[derive(Archive, Serialize, ringway::Message)]
struct Tick {
    price: u64,
    size: u32,
}

#[test]
fn typed_messages() {
    let dir = directory();
    // SAFETY: as above.
    let queue =
        unsafe { ringway::mpmc::checksummed::Queue::<Order>::create(dir.path().join("orders")) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let order = |i: u32| Order { customer: format!("customer {i}"), items: (0..i).collect() };
    (0..50).for_each(|i| producer.send(&order(i)).unwrap());
    producer.send_many(&[order(50), order(51)]).unwrap();
    let consumer = queue.consumer().unwrap();
    for i in 0..52 {
        let received = consumer.recv().unwrap();
        assert_eq!(
            (received.customer.as_str(), received.items.len()),
            (&*format!("customer {i}"), i as usize)
        );
    }
    let path = dir.path().join("ticks");
    // SAFETY: as above.
    let queue = unsafe { ringway::spsc::checksummed::Queue::<Tick>::create(&path) }.unwrap();
    queue.producer().unwrap().send(&Tick { price: 5, size: 7 }).unwrap();
    let shape = Inspector::open(&path).unwrap().header().shape;
    assert_eq!(shape, ringway::inspect::FrameShape::Fixed(16));
    let consumer = queue.consumer().unwrap();
    let tick = consumer.recv().unwrap();
    assert_eq!((tick.price.to_native(), tick.size.to_native()), (5, 7));
}

#[test]
fn processes_that_trust_no_peer() {
    use ringway::untrusted::Limits;
    use ringway::untrusted::kind::BytesQueue;
    fn passes<K: Kind>() {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = BytesQueue::<K>::create_with(&path, &options(), &Limits::new()).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for i in 0..100_u8 {
            producer.try_send(&[i; 300]).unwrap();
        }
        corruption(&path, &[50; 300]);
        for i in (0..100_u8).filter(|i| *i != 50) {
            assert_eq!(&*consumer.try_recv().unwrap(), [i; 300]);
        }
        assert_eq!(dropped(&path), 1);
    }
    passes::<Checksummed<Spsc>>();
    passes::<Checksummed<Mpmc>>();
}

#[test]
fn no_process_takes_it_for_another_queue() {
    let dir = directory();
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    drop(create::<Checksummed<Spsc>>(&with, &options()));
    drop(create::<Spsc>(&without, &options()));
    let told = |error: OpenError, words: [&str; 2]| {
        assert!(matches!(error, OpenError::WrongKind { .. }), "{error:?}");
        words.iter().for_each(|words| assert!(error.to_string().contains(words), "{error}"));
    };
    // SAFETY: as above.
    told(unsafe { BytesQueue::<Spsc>::open(&with) }.unwrap_err(), ["SPSC with checksums", "expected SPSC;"]);
    // SAFETY: as above.
    let error = unsafe { BytesQueue::<Checksummed<Spsc>>::open(&without) }.unwrap_err();
    told(error, ["kind SPSC,", "expected SPSC with checksums"]);
    // SAFETY: as above.
    let error = unsafe { BytesQueue::<Checksummed<Mpmc>>::open(&with) }.unwrap_err();
    told(error, ["SPSC with checksums", "MPMC with checksums"]);
    assert!(Inspector::open(&with).unwrap().header().has_checksums);
    assert!(!Inspector::open(&without).unwrap().header().has_checksums);
}

#[test]
fn what_cannot_be_is_said() {
    let dir = directory();
    let path = dir.path().join("q");
    let refused = |options: &CreateOptions| {
        // SAFETY: as above.
        let error = unsafe { BytesQueue::<Checksummed<Mpmc>>::create_with(&path, options) }.unwrap_err();
        assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
        error.to_string()
    };
    assert!(
        refused(&CreateOptions::new().max_redeliveries(2)).contains("not there for queues with checksums")
    );
    refused(&CreateOptions::new().framing(Framing::Fixed(usize::MAX)));
    // The largest message fits, and one more byte does not.
    let queue = create::<Checksummed<Spsc>>(&path, &options());
    let mut producer = queue.producer().unwrap();
    let most = queue.max_message();
    assert_eq!(most, producer.max_message());
    producer.try_send(&vec![1; most]).unwrap();
    let error = producer.try_send(&vec![1; most + 1]).unwrap_err();
    assert!(
        matches!(error, ringway::SendError::TooLarge { len, max } if (len, max) == (most + 1, most)),
        "{error:?}"
    );
    assert!(producer.try_reserve(usize::MAX).is_err());
}

#[test]
fn inspection_tells_which_messages_match() {
    fn check<K: Kind>(options: &CreateOptions) {
        let dir = directory();
        let path = dir.path().join("q");
        let queue = create::<K>(&path, options);
        let mut producer = queue.producer().unwrap();
        (1..4).for_each(|i| producer.send(&[i; 24]).unwrap());
        corruption(&path, &[2; 24]);
        for bytes in [0, 10, 1000] {
            let peeked = Inspector::open(&path).unwrap().peek(&Peek::new().bytes(bytes)).unwrap();
            let matches: Vec<_> = peeked.frames.iter().map(|frame| frame.checksum_matches).collect();
            assert_eq!(matches, [Some(true), Some(false), Some(true)]);
        }
    }
    for options in [options(), options().framing(Framing::Fixed(24))] {
        check::<Checksummed<Spsc>>(&options);
        check::<Checksummed<Mpmc>>(&options);
    }
}

#[test]
fn many_participants_are_counted_and_recovered() {
    let dir = directory();
    let queue = create::<Checksummed<Mpmc>>(&dir.path().join("q"), &options());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(b"one").unwrap();
    let frame = consumer.recv().unwrap();
    let stats = queue.stats();
    assert_eq!((stats.sent, stats.received, stats.held, stats.participants.len()), (1, 1, 1, 2));
    drop(frame);
    assert_eq!(queue.recover().unwrap().deaths, 0);
}
