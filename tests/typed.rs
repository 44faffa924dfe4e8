//! Typed queues: values of all shapes arrive as they were sent, and what cannot be sent or read is an error.

#[path = "typed/borrowed.rs"]
mod borrowed;
mod common;
#[path = "typed/nesting.rs"]
mod nesting;

use ringway::spsc::{BytesQueue, Message, Queue};
use ringway::{CreateOptions, Framing, RecvError, SendError};
use rkyv::{Archive, Deserialize, Serialize};

/// A queue on a file of its own.
fn queue<T: Message>(options: &CreateOptions) -> (tempfile::TempDir, Queue<T>) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

#[derive(Archive, Serialize, ringway::Message, Deserialize, Clone, Debug, PartialEq)]
struct Order {
    id: u64,
    symbol: String,
    legs: Vec<Leg>,
    note: Option<Box<str>>,
}

#[derive(Archive, Serialize, ringway::Message, Deserialize, Clone, Debug, PartialEq)]
struct Leg {
    price: f64,
    venues: Vec<String>,
}

fn order(id: u64) -> Order {
    let legs = (0..id % 5)
        .map(|leg| Leg {
            price: leg as f64 / 4.0,
            venues: (0..leg).map(|venue| format!("venue {venue}")).collect(),
        })
        .collect();
    let note = id.is_multiple_of(3).then(|| "n".repeat(id as usize % 50).into_boxed_str());
    Order { id, symbol: format!("S{id}"), legs, note }
}

#[test]
fn nested_values_arrive_as_they_were_sent() {
    // A small ring, so that every way to wrap around and to be full comes up.
    let (_dir, queue) = queue::<Order>(&CreateOptions::new().ring_bytes(4096));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut next = 0;
    let mut receive = || {
        let frame = rx.recv().unwrap();
        let value: Order = rkyv::deserialize::<_, rkyv::rancor::Error>(&*frame).unwrap();
        assert_eq!(value, order(next));
        next += 1;
    };
    let mut full = 0;
    for id in 0..5000 {
        while let Err(error) = tx.try_send(&order(id)) {
            assert!(matches!(error, SendError::Full), "{error}");
            full += 1;
            receive();
        }
    }
    assert!(full > 100, "the ring was full now and then");
    while next_is_there(&rx) {
        receive();
    }
    assert_eq!(next, 5000);
}

fn next_is_there(rx: &ringway::spsc::Consumer<Order>) -> bool {
    match rx.try_recv() {
        Ok(frame) => {
            frame.reject(); // redelivered, first
            true
        }
        Err(RecvError::Empty) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn batches_of_values_arrive_in_order() {
    let (_dir, queue) = queue::<Order>(&CreateOptions::new().ring_bytes(8192));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let values: Vec<_> = (0..1000).map(order).collect();
    let mut rest = &values[..];
    let mut received = 0;
    while received < values.len() {
        match tx.try_send_many(&rest[..rest.len().min(7)]) {
            Ok(sent) => rest = &rest[sent..],
            Err(SendError::Full) => {}
            Err(other) => panic!("{other}"),
        }
        if let Ok(frames) = rx.try_recv_many(5) {
            for archived in frames.iter() {
                let value: Order = rkyv::deserialize::<_, rkyv::rancor::Error>(archived.unwrap()).unwrap();
                assert_eq!(value, values[received]);
                received += 1;
            }
        }
    }
}

/// Messages without bytes still take their commit word: there is room for a certain number, and no
/// more.
#[test]
fn messages_without_content_fill_the_ring_too() {
    let (_dir, queue) = queue::<()>(&CreateOptions::new().ring_bytes(1024));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for _ in 0..3 {
        let mut sent = 0;
        while tx.try_send(&()).is_ok() {
            sent += 1;
            assert!(sent <= 1024, "the ring is never full");
        }
        assert_eq!(std::iter::from_fn(|| rx.try_recv().ok()).count(), sent);
    }
    tx.send_many(&[(); 10]).unwrap();
    assert_eq!(rx.recv_many(20).unwrap().len(), 10);
}

#[derive(Archive, Serialize, ringway::Message, Clone, Copy)]
#[repr(C, align(32))]
#[rkyv(attr(repr(C, align(32))))]
struct Wide {
    lanes: [u32; 8],
}

#[derive(Archive, Serialize, ringway::Message, Clone, Copy)]
#[rkyv(attr(repr(align(128))))]
struct Widest {
    lanes: [u32; 4],
}

/// Types that are aligned more than frames are: the serialiser pads to the address. (rkyv pads by
/// 31 bytes at most, so 32 is the most that it can do for out-of-line data.)
#[test]
fn types_of_large_alignment_stand_aligned_in_every_frame() {
    let (_dir, queue) = queue::<Vec<Wide>>(&CreateOptions::new().ring_bytes(4096));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..1000_u32 {
        let value = vec![Wide { lanes: [i; 8] }; i as usize % 5];
        tx.try_send(&value).unwrap();
        let frame = rx.try_recv().unwrap();
        assert_eq!(frame.len(), value.len());
        assert!(frame.as_ptr().addr().is_multiple_of(32) || frame.is_empty());
        assert!(frame.iter().all(|wide| wide.lanes.iter().all(|lane| lane.to_native() == i)));
    }
    for options in
        [CreateOptions::new().framing(Framing::FixedByType), CreateOptions::new().framing(Framing::Variable)]
    {
        let (_dir, queue) = self::queue::<Widest>(&options);
        let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
        tx.send_many(&[Widest { lanes: [7; 4] }; 3]).unwrap();
        let first = rx.recv().unwrap();
        assert!(std::ptr::from_ref(&*rx.recv().unwrap()).addr().is_multiple_of(128));
        assert!(first.lanes.iter().all(|lane| lane.to_native() == 7));
    }
}

/// Empty slices at the very end of the ring: counting must not write anywhere, or lend any bytes.
#[test]
fn empty_parts_at_the_end_of_the_ring() {
    let (_dir, queue) = queue::<(Vec<u64>, Vec<u64>, String)>(&CreateOptions::new().ring_bytes(1024));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..500_u64 {
        let value = (vec![i; i as usize % 9], Vec::new(), String::new());
        tx.try_send(&value).unwrap();
        let frame = rx.try_recv().unwrap();
        assert!(frame.0.iter().all(|word| word.to_native() == i) && frame.0.len() == value.0.len());
        assert!(frame.1.is_empty() && frame.2.is_empty());
    }
}

#[test]
fn values_that_cannot_be_sent_are_refused_and_change_nothing() {
    let (_dir, queue) = queue::<Vec<u8>>(&CreateOptions::new().ring_bytes(4096));
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    match tx.send(&vec![0; 5000]) {
        Err(SendError::TooLarge { len, max }) => {
            assert!(len > 5000 && max == queue.max_message() && max < 2048)
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(tx.try_send_many(&[vec![1], vec![0; 5000], vec![2]]), Ok(1)));
    assert_eq!(rx.recv().unwrap().as_slice(), [1]);
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));

    /// It claims that all of it is in its root, which is not true of every text.
    #[derive(Archive, Serialize, ringway::Message)]
    struct Text(#[ringway(opaque = "Text", inline)] String);
    let (_dir, queue) = self::queue::<Text>(&CreateOptions::new());
    let mut tx = queue.producer().unwrap();
    tx.send(&Text("short".into())).unwrap();
    match tx.send(&Text("too long to be stored within the string itself".into())) {
        Err(SendError::WrongLength { len, expected: 8 }) => assert!(len > 8),
        other => panic!("{other:?}"),
    }
    assert_eq!(&queue.consumer().unwrap().recv().unwrap().0, "short");
}

/// A value that panics while it is serialised, or fails, leaves the queue as it was.
#[test]
fn a_serializer_that_fails_leaves_no_residue() {
    #[derive(Archive, Serialize, ringway::Message)]
    struct Fragile {
        #[rkyv(with = rkyv::with::Lock)]
        poisoned: std::sync::Mutex<u32>,
    }
    let (_dir, queue) = queue::<Fragile>(&CreateOptions::new());
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let poisoned = std::sync::Mutex::new(1);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = poisoned.lock();
        panic!("poisons the lock; this message is expected");
    }));
    match tx.send(&Fragile { poisoned }) {
        Err(error @ SendError::Serialize(_)) => {
            assert!(error.to_string().contains("could not be serialised"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(rx.try_recv(), Err(RecvError::Empty)));
    tx.send(&Fragile { poisoned: std::sync::Mutex::new(5) }).unwrap();
    assert_eq!(rx.recv().unwrap().poisoned.to_native(), 5);
}

/// Bytes that are no archive of the type: an error that says so, and the queue goes on after it.
#[test]
fn a_frame_that_is_no_archive_is_skipped_with_an_error() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<Order>::create(&path) }.unwrap();
    let rx = queue.consumer().unwrap();
    {
        let mut tx = queue.producer().unwrap();
        tx.send(&order(1)).unwrap();
        tx.send(&order(2)).unwrap();
    }
    // The first payload begins 128 bytes into the lane at 0x2000; a bad length or pointer is found
    // anywhere in it.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 40], 0x2000 + 128).unwrap();
    match rx.recv() {
        Err(RecvError::Invalid(invalid)) => {
            let text = invalid.to_string();
            assert!(
                text.contains("is not a valid archive") && text.contains(path.to_str().unwrap()),
                "{text}"
            );
        }
        other => panic!("{:?}", other.map(|frame| frame.id)),
    }
    assert_eq!(rx.recv().unwrap().id.to_native(), 2);
}

#[test]
fn frames_held_by_a_panic_come_again() {
    let (_dir, queue) = queue::<Order>(&CreateOptions::new());
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    tx.send_many(&[order(1), order(2), order(3)]).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _frame = rx.recv().unwrap();
        let _frames = rx.recv_many(1).unwrap();
        panic!("while frames are held; this message is expected");
    }));
    assert!(result.is_err());
    let again: Vec<_> = (0..3)
        .map(|_| {
            let frame = rx.recv().unwrap();
            (frame.id.to_native(), frame.redeliveries())
        })
        .collect();
    // Locals are dropped in reverse order, so the second message was rejected first; redelivery is in
    // the order of positions all the same.
    assert_eq!(again, [(1, 1), (2, 1), (3, 0)]);
}

/// A destructor that drains the queue while its thread panics must come to an end.
#[test]
fn draining_while_panicking_ends() {
    struct Drain<'c>(&'c ringway::spsc::BytesConsumer, usize);
    impl Drop for Drain<'_> {
        fn drop(&mut self) {
            while self.0.try_recv().is_ok() {
                self.1 += 1;
                assert!(self.1 < 10, "the same frames again and again");
            }
        }
    }
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create(dir.path().join("q")) }.unwrap();
    let (mut tx, rx) = (queue.producer().unwrap(), queue.consumer().unwrap());
    tx.send_many(&[b"1", b"2", b"3"]).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _drain = Drain(&rx, 0);
        panic!("this message is expected");
    }));
    assert!(result.is_err());
    let again: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok().map(|frame| frame.to_vec())).collect();
    assert_eq!(again, [b"1", b"2", b"3"]);
}

/// Handles may be moved to the thread that uses them; what is received stays there.
#[test]
fn handles_may_be_sent_and_frames_may_not() {
    use ringway::kind::Kind;
    use ringway::spsc::{BytesFrame, BytesFrames, Frame, Frames};

    fn may_be_sent<T: Send>() {}
    may_be_sent::<ringway::spsc::ReservedFrame<'_>>();
    may_be_sent::<ringway::spsc::BytesBatch<'_>>();
    fn handles_of<K: Kind>() {
        may_be_sent::<ringway::kind::Queue<Order, K>>();
        may_be_sent::<ringway::kind::Producer<Order, K>>();
        may_be_sent::<ringway::kind::Consumer<Order, K>>();
    }
    handles_of::<ringway::kind::Spsc>();

    // For a type that may be sent there are two of these, and the compiler cannot choose.
    trait StaysHere<Choice> {
        fn it_does() {}
    }
    impl<T> StaysHere<()> for T {}
    impl<T: Send> StaysHere<u8> for T {}
    <Frame<'_, Order> as StaysHere<_>>::it_does();
    <Frames<'_, Order> as StaysHere<_>>::it_does();
    <BytesFrame<'_> as StaysHere<_>>::it_does();
    <BytesFrames<'_> as StaysHere<_>>::it_does();
}
