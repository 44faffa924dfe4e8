//! Each call of each kind of handle does what its name says, for every kind of queue, including
//! handles that forward to others. And each rare error has a text.

mod common;

use std::time::{Duration, Instant};

use common::directory;
use ringway::kind::{BytesQueue, Kind, Mpmc, Queue, Spsc};
use ringway::{CreateError, CreateOptions, OpenError, RecvError, SendError, WaitStrategy, untrusted};

const MOMENT: Duration = Duration::from_millis(3);

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

/// The calls that all consumers have, under whatever name: four messages, each the given one.
macro_rules! receives_alone {
    ($producer:expr, $consumer:expr, $message:expr, $is_it:expr) => {{
        let (producer, consumer, is_it) = (&mut $producer, &$consumer, $is_it);
        for style in [WaitStrategy::Spin, WaitStrategy::Park, WaitStrategy::SpinThenPark] {
            consumer.set_wait_strategy(style);
            producer.set_wait_strategy(style);
            assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
            assert!(matches!(consumer.recv_timeout(MOMENT), Err(RecvError::Timeout)));
            assert!(matches!(consumer.recv_deadline(Instant::now() + MOMENT), Err(RecvError::Timeout)));
            let soon = || Instant::now() + common::HANGS;
            producer.send($message).unwrap();
            producer.try_send($message).unwrap();
            producer.send_timeout($message, MOMENT).unwrap();
            producer.send_deadline($message, soon()).unwrap();
            assert!(is_it(&consumer.try_recv().unwrap()) && is_it(&consumer.recv().unwrap()));
            assert!(is_it(&consumer.recv_timeout(common::HANGS).unwrap()));
            assert!(is_it(&consumer.recv_deadline(soon()).unwrap()));
        }
        while producer.try_send($message).is_ok() {}
        assert!(matches!(producer.send_timeout($message, MOMENT), Err(SendError::Timeout { .. })));
        assert!(matches!(
            producer.send_deadline($message, Instant::now() + MOMENT),
            Err(SendError::Timeout { .. })
        ));
        let canceller = producer.canceller();
        canceller.cancel();
        assert!(matches!(producer.send($message), Err(SendError::Cancelled)));
        canceller.reset();
        while consumer.try_recv().is_ok() {}
        consumer.canceller().cancel();
        assert!(matches!(consumer.recv(), Err(RecvError::Cancelled)));
        consumer.canceller().reset();
        producer.set_interruptible(true);
        consumer.set_interruptible(true);
        assert!(consumer.has_producer().unwrap() && producer.has_consumer().unwrap());
        consumer.wait_for_producer(common::HANGS).unwrap();
        for debug in [format!("{producer:?}"), format!("{consumer:?}")] {
            assert!(debug.contains("ringway-test-"), "{debug}");
        }
        producer.send($message).unwrap();
        let frame = consumer.recv().unwrap();
        assert!(!format!("{frame:?}").is_empty() && frame.redeliveries() == 0);
        frame.reject();
        assert_eq!(consumer.recv().unwrap().redeliveries(), 1);
    }};
}

/// Those that take several messages together.
macro_rules! receives_many {
    ($producer:expr, $consumer:expr, $messages:expr, $count:expr) => {{
        let (producer, consumer, count) = (&mut $producer, &$consumer, $count);
        assert!(matches!(consumer.try_recv_many(9), Err(RecvError::Empty)));
        assert!(matches!(consumer.recv_many_timeout(9, MOMENT), Err(RecvError::Timeout)));
        assert!(matches!(consumer.recv_many_deadline(9, Instant::now() + MOMENT), Err(RecvError::Timeout)));
        assert_eq!(producer.try_send_many($messages).unwrap(), count);
        let frames = consumer.try_recv_many(9).unwrap();
        assert!(frames.len() == count && !frames.is_empty() && frames.iter().count() == count);
        assert!(format!("{frames:?}").contains(&count.to_string()));
        frames.reject();
        let mut again = 0;
        while again < count {
            again += consumer.recv_many(9).unwrap().len();
        }
        producer.send_many($messages).unwrap();
        assert_eq!(consumer.recv_many_timeout(9, common::HANGS).unwrap().len(), count);
        producer.send_many($messages).unwrap();
        assert_eq!(consumer.recv_many_deadline(9, Instant::now() + common::HANGS).unwrap().len(), count);
    }};
}

/// The end: what was sent before the close is delivered, and then nothing more.
macro_rules! ends {
    ($queue:expr, $producer:expr, $consumer:expr, $message:expr) => {{
        let (queue, mut producer, consumer) = (&$queue, $producer, $consumer);
        producer.send($message).unwrap();
        assert!(!queue.is_closed());
        queue.close();
        assert!(queue.is_closed() && queue.clone().is_closed());
        assert!(matches!(producer.try_send($message), Err(SendError::Closed)));
        assert_eq!(consumer.iter().map(|frame| drop(frame.unwrap())).count(), 1);
        assert!(matches!(consumer.wait_for_producer(MOMENT), Err(RecvError::Closed)));
        drop(producer);
        consumer.end_when_disconnected(true);
        assert!(matches!(consumer.recv(), Err(RecvError::Closed)));
        assert!(!consumer.has_producer().unwrap());
        assert!(queue.ring_bytes() >= 4096 && (8..=queue.ring_bytes()).contains(&queue.max_message()));
        assert!(queue.path().ends_with("q") && format!("{queue:?}").contains("ringway-test-"));
    }};
}

fn trusting<K: Kind>() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file; here and below.
    let queue = unsafe { BytesQueue::<K>::open_or_create_with(&path, &small()) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.max_message(), queue.max_message());
    receives_alone!(producer, consumer, b"a message", |frame: &[u8]| frame == b"a message");
    receives_many!(producer, consumer, &[&b"one"[..], b"two", b"three"], 3);
    ends!(queue, producer, consumer, b"a message");

    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: as above.
    drop(unsafe { Queue::<String, K>::create(&path) }.unwrap());
    // SAFETY: as above.
    let queue = unsafe { Queue::<String, K>::open_or_create(&path) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let text = String::from("a text that is not short");
    receives_alone!(producer, consumer, &text, |frame: &rkyv::string::ArchivedString| *frame == *text);
    receives_many!(producer, consumer, &[text.clone(), text.clone()], 2);
    producer.send(&text).unwrap();
    // SAFETY: the producer above wrote it.
    assert_eq!(*unsafe { consumer.try_recv_unchecked() }.unwrap(), *text);
    ends!(queue, producer, consumer, &text);
}

fn distrusting<K: Kind>() {
    let (dir, limits) = (directory(), untrusted::Limits::default());
    let path = dir.path().join("q");
    let queue = untrusted::kind::BytesQueue::<K>::open_or_create_with(&path, &small(), &limits).unwrap();
    drop(untrusted::kind::BytesQueue::<K>::open(&path).unwrap());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.max_message(), queue.max_message());
    receives_alone!(producer, consumer, b"a message", |frame: &[u8]| frame == b"a message");
    ends!(queue, producer, consumer, b"a message");

    let dir = directory();
    let path = dir.path().join("q");
    let queue = untrusted::kind::Queue::<String, K>::open_or_create_with(&path, &small(), &limits).unwrap();
    drop(untrusted::kind::Queue::<String, K>::open(&path).unwrap());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.max_message(), queue.max_message());
    let text = String::from("a text that is not short");
    receives_alone!(producer, consumer, &text, |frame: &rkyv::string::ArchivedString| *frame == *text);
    producer.send(&text).unwrap();
    assert!(consumer.recv().unwrap().as_bytes().starts_with(text.as_bytes()));
    let long = "long ".repeat(queue.max_message());
    assert!(matches!(producer.try_send(&long), Err(SendError::TooLarge { .. })));
    ends!(queue, producer, consumer, &text);
}

#[test]
fn handles_of_spsc() {
    trusting::<Spsc>();
    distrusting::<Spsc>();
}

#[test]
fn handles_of_mpmc() {
    trusting::<Mpmc>();
    distrusting::<Mpmc>();
}

#[test]
fn rare_errors_are_human_readable() {
    let path = || std::path::PathBuf::from("/somewhere/q");
    let source = || std::io::Error::other("the system's words");
    let said = [
        SendError::Full.to_string(),
        SendError::Timeout { held_here: None, holdup: None }.to_string(),
        SendError::Closed.to_string(),
        SendError::Interrupted.to_string(),
        SendError::Cancelled.to_string(),
        SendError::PositionsExhausted.to_string(),
        SendError::Forked.to_string(),
        RecvError::Empty.to_string(),
        RecvError::Timeout.to_string(),
        RecvError::Lagged(1).to_string(),
        RecvError::Lagged(7).to_string(),
        RecvError::Closed.to_string(),
        RecvError::Interrupted.to_string(),
        RecvError::Cancelled.to_string(),
        RecvError::Forked.to_string(),
        RecvError::TooLarge { len: 7, limit: 6 }.to_string(),
    ];
    let different: std::collections::HashSet<_> = said.iter().collect();
    // A forked child's error is the same on both sides.
    assert_eq!(different.len(), said.len() - 1);
    assert!(said.iter().all(|text| text.len() > 10 && !text.ends_with('.')), "{said:#?}");
    for error in [
        OpenError::NotFound { path: path() }.to_string(),
        OpenError::PermissionDenied { path: path() }.to_string(),
        OpenError::Unlinked { path: path() }.to_string(),
        OpenError::TooLarge { path: path(), what: "the file", found: 2, limit: 1 }.to_string(),
        OpenError::Io { path: path(), step: "reading", source: source() }.to_string(),
        OpenError::Create(CreateError::Io { path: path(), step: "writing", source: source() }).to_string(),
        CreateError::AlreadyExists { path: path() }.to_string(),
        CreateError::NoDirectory { path: path() }.to_string(),
        CreateError::PermissionDenied { path: path() }.to_string(),
        CreateError::NoSpace { path: path(), needed: 1 << 20 }.to_string(),
        ringway::RecoverError::Busy { path: path() }.to_string(),
        ringway::RecoverError::Io { path: path(), source: source() }.to_string(),
    ] {
        assert!(error.contains("/somewhere/q"), "{error}");
    }
}
