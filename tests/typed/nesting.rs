//! Values that contain themselves: every value that is sent can be received, and a value that is
//! nested too deeply is refused when it is sent.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use ringway::asynchronous::AsyncProducer;
use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::spsc::{Message, Queue};
use ringway::{CreateOptions, RecvError, SendError, untrusted};
use rkyv::{Archive, Serialize};

use crate::common::Image;

/// The maximum number of pointers that may follow one another.
const LIMIT: usize = 1022;

#[derive(Archive, Serialize, ringway::Message)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer, __S::Error: rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
struct Node {
    value: u32,
    #[rkyv(omit_bounds)]
    next: Option<Box<Node>>,
}

/// `pointers` boxes one in another, below the root.
fn list(pointers: usize) -> Node {
    (0..pointers).fold(Node { value: 0, next: None }, |next, _| Node { value: 1, next: Some(Box::new(next)) })
}

/// All ways to nest.
#[derive(Archive, Serialize, ringway::Message, Clone, Debug)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
enum Any {
    Nothing,
    Text(String),
    Boxed(#[rkyv(omit_bounds)] Box<Any>),
    Many(#[rkyv(omit_bounds)] Vec<Any>),
    Sorted(#[rkyv(omit_bounds)] BTreeMap<u8, Any>),
    Hashed(#[rkyv(omit_bounds)] HashMap<u8, Any>),
    Through(#[rkyv(omit_bounds)] Vec<Other>),
}

/// Contains itself by way of the other.
#[derive(Archive, Serialize, ringway::Message, Clone, Debug)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
struct Other {
    #[rkyv(omit_bounds)]
    any: Option<Box<Any>>,
}

fn wrapped(way: u8, inner: Any) -> Any {
    match way % 6 {
        0 => Any::Boxed(Box::new(inner)),
        1 => Any::Many(vec![Any::Nothing, inner]),
        2 => Any::Sorted([(1, Any::Nothing), (2, inner)].into()),
        3 => Any::Hashed([(1, inner)].into()),
        4 => Any::Through(vec![Other { any: Some(Box::new(inner)) }]),
        _ => Any::Many(vec![inner]),
    }
}

fn create<T: Message, K: Kind>(options: &CreateOptions) -> (tempfile::TempDir, ringway::kind::Queue<T, K>) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::kind::Queue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

/// Nested values are made, serialised, validated and dropped by recursion, in debug builds with large frames.
fn with_room(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 20).spawn(test).unwrap().join().unwrap();
}

fn is_refused(sent: Result<(), SendError>) {
    let error = sent.unwrap_err();
    assert!(matches!(error, SendError::TooDeep { limit: LIMIT }), "{error:?}");
    assert!(error.to_string().contains("1022 pointers") && error.to_string().contains("nested"), "{error}");
}

fn lists<K: Kind>() {
    let (_dir, queue) = create::<Node, K>(&CreateOptions::new());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for pointers in [0, 1, LIMIT - 1, LIMIT] {
        producer.send(&list(pointers)).unwrap();
        let mut node = &*consumer.recv().unwrap();
        let mut found = 0;
        while let Some(next) = node.next.as_ref() {
            (node, found) = (next, found + 1);
        }
        assert_eq!(found, pointers);
    }
    for pointers in [LIMIT + 1, LIMIT + 2, 3000] {
        is_refused(producer.try_send(&list(pointers)));
        is_refused(producer.send(&list(pointers)));
        is_refused(producer.send_timeout(&list(pointers), std::time::Duration::from_secs(1)));
        is_refused(producer.send_many(&[list(pointers)]));
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "something was sent");
    }
    // A batch ends before it, and the next call reports it.
    let batch = [list(1), list(LIMIT + 1), list(2)];
    assert_eq!(producer.try_send_many(&batch).unwrap(), 1);
    is_refused(producer.send_many(&batch[1..]));
    assert_eq!(consumer.recv().unwrap().next.as_ref().unwrap().value, 0);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    let mut producer = AsyncProducer::new(producer).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    is_refused(runtime.block_on(producer.send(&list(LIMIT + 1))));
    runtime.block_on(producer.send(&list(LIMIT))).unwrap();
    drop(consumer.recv().unwrap());
}

#[test]
fn lists_up_to_the_limit() {
    with_room(|| {
        lists::<Spsc>();
        lists::<Mpmc>();
    });
}

#[test]
fn untrusted_producers_refuse_too() {
    with_room(|| {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let queue = untrusted::kind::Queue::<Node, Spsc>::create(dir.path().join("q")).unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.send(&list(3)).unwrap();
        drop(consumer.recv().unwrap());
        // What they refuse to receive, according to their limits.
        producer.send(&list(126)).unwrap();
        drop(consumer.recv().unwrap());
        for pointers in [127, LIMIT + 1] {
            let error = producer.send(&list(pointers)).unwrap_err();
            assert!(matches!(error, SendError::TooDeep { limit: 126 }), "{error:?}");
        }
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// `recv` reads every value that `send` accepts; and a value that `send` refuses for its depth
    /// is about that deep.
    #[test]
    fn what_is_sent_can_be_received(
        ways in prop::collection::vec(any::<u8>(), 500..1100),
        text in prop::collection::vec(any::<char>(), 0..20),
    ) {
        with_room(move || {
            let (_dir, queue) = create::<Any, Spsc>(&CreateOptions::new());
            let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let depth: usize = ways.iter().map(|way| if way % 6 == 4 { 2 } else { 1 }).sum();
            let value = ways.iter().fold(Any::Text(text.into_iter().collect()), |inner, way| wrapped(*way, inner));
            match producer.send(&value) {
                Ok(()) => drop(consumer.recv().unwrap()),
                Err(SendError::TooDeep { .. }) => assert!(depth >= LIMIT, "{depth} pointers"),
                Err(error) => panic!("{error}"),
            }
        });
    }
}

/// Sent as by a producer without the check, such as an earlier version's: it becomes a dead letter,
/// and is never dropped.
#[test]
fn what_cannot_be_read_becomes_a_dead_letter() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let name = dir.path().join("q");
    let options = CreateOptions::new().max_redeliveries(2);
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::mpmc::Queue::<String>::create_with(&name, &options) }.unwrap();
    // A program that does not keep to the type: the bytes are no archive of a string.
    let unreadable = [0x80_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    forge(&name, &queue, &[&unreadable]);
    let consumer = queue.consumer().unwrap();
    for delivery in 0..3 {
        let error = consumer.try_recv().map(drop).unwrap_err();
        assert!(matches!(error, RecvError::Invalid(_)), "{delivery}: {error:?}");
        assert!(error.to_string().contains("becomes a dead letter"), "{error}");
    }
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    assert_eq!(dead(&name), [unreadable.to_vec()]);
}

/// A message that is delivered at most once is never redelivered, so it becomes no dead letter
/// either; and no call reports that it does.
#[test]
fn what_cannot_be_read_is_skipped_where_nothing_comes_again() {
    // No option gives an at-most-once queue a retry limit. A file may have one nevertheless.
    for has_retry_limit in [false, true] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let name = dir.path().join("q");
        let options = match has_retry_limit {
            false => CreateOptions::new().delivery(ringway::Delivery::AtMostOnce),
            true => CreateOptions::new().max_redeliveries(2),
        };
        // SAFETY: only this test knows the file, as below.
        drop(unsafe { ringway::mpmc::Queue::<String>::create_with(&name, &options) }.unwrap());
        deliver_at_most_once(&name);
        // SAFETY: as above.
        let queue = unsafe { ringway::mpmc::Queue::<String>::open(&name) }.unwrap();
        let unreadable = [0x80_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        forge(&name, &queue, &[&unreadable]);
        let consumer = queue.consumer().unwrap();
        let error = consumer.try_recv().map(drop).unwrap_err();
        assert!(error.to_string().contains("it was skipped"), "{error}");
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
        let order = ringway::inspect::Snapshot::read(&name).unwrap().header.order.unwrap();
        assert_eq!(order.delivery, ringway::Delivery::AtMostOnce);
        assert_eq!(order.max_redeliveries, has_retry_limit.then_some(2));
    }
}

/// Stores the delivery mode where docs/format.md says that it is, with a checksum that fits.
fn deliver_at_most_once(name: &std::path::Path) {
    let mut image = Image::of(name);
    image.put_u32(0x190, 2);
    image.seal();
    std::fs::remove_file(name).unwrap();
    image.write(name);
}

/// In a batch, only what cannot be read is redelivered.
#[test]
fn what_cannot_be_read_in_a_batch_becomes_a_dead_letter() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let name = dir.path().join("q");
    let options = CreateOptions::new().max_redeliveries(1);
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::mpmc::Queue::<String>::create_with(&name, &options) }.unwrap();
    let good = rkyv::to_bytes::<rkyv::rancor::Error>(&String::from("good")).unwrap();
    let bad = [0x80_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    forge(&name, &queue, &[&good, &bad, &good]);
    let consumer = queue.consumer().unwrap();
    let batch = consumer.recv_many(10).unwrap();
    // Twice: it is to be rejected once.
    for _ in 0..2 {
        let read: Vec<_> = batch.iter().map(|text| text.is_ok_and(|text| text == "good")).collect();
        assert_eq!(read, [true, false, true]);
    }
    drop(batch);
    while let Ok(batch) = consumer.try_recv_many(10) {
        assert_eq!(batch.iter().filter(Result::is_ok).count(), 0, "what was read comes again");
    }
    assert_eq!(dead(&name), [bad.to_vec()]);
}

/// Sends bytes into a typed queue: sends archives of the right size and overwrites them in the
/// file.
fn forge(name: &std::path::Path, queue: &ringway::mpmc::Queue<String>, messages: &[&[u8]]) {
    use std::os::unix::fs::FileExt;
    let mut producer = queue.producer().unwrap();
    for index in 0..messages.len() {
        producer.send(&format!("forged-{index}")[..8].to_owned()).unwrap();
    }
    drop(producer);
    let file = std::fs::File::options().read(true).write(true).open(name).unwrap();
    let bytes = std::fs::read(name).unwrap();
    for (index, message) in messages.iter().enumerate() {
        let mark = format!("forged-{index}");
        let at = bytes.windows(8).position(|window| window == mark.as_bytes()).expect("it was sent");
        file.write_all_at(message, at as u64).unwrap();
    }
}

fn dead(name: &std::path::Path) -> Vec<Vec<u8>> {
    let mut name = name.as_os_str().to_owned();
    name.push(".dead");
    // SAFETY: only this test knows the file.
    let letters = unsafe { ringway::mpmc::Queue::<String>::open(&name) }.unwrap();
    let consumer = letters.consumer().unwrap();
    std::iter::from_fn(|| {
        // SAFETY: only its bytes are used.
        unsafe { consumer.try_recv_unchecked() }.ok().map(|letter| letter.as_bytes().to_vec())
    })
    .collect()
}

/// A queue of bytes has no depth.
#[test]
fn bytes_are_not_looked_into() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::<Spsc>::create(dir.path().join("q")) }.unwrap();
    let archive = std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(|| rkyv::to_bytes::<rkyv::rancor::Error>(&list(2000)).unwrap())
        .unwrap()
        .join()
        .unwrap();
    queue.producer().unwrap().send(&archive).unwrap();
    assert_eq!(&*queue.consumer().unwrap().recv().unwrap(), &archive[..]);
    let _: Option<Queue<Node>> = None;
}
