//! Values that borrow what is sent: they are of another type than the queue's messages, or of
//! another lifetime, and archive alike.

use std::borrow::Cow;

use ringway::asynchronous::AsyncProducer;
use ringway::kind::{Mpmc, Spsc};
use ringway::{CreateOptions, Interest, SendError, WaitSet, untrusted};
use rkyv::with::{AsOwned, InlineAsBox};
use rkyv::{Archive, Serialize};

use super::queue;

#[derive(Archive, Serialize, ringway::Message)]
struct Log<'a> {
    level: u8,
    #[rkyv(with = InlineAsBox)]
    line: &'a str,
    #[rkyv(with = AsOwned)]
    source: Cow<'a, str>,
}

/// Each value dies before the producer does.
fn send_all(mut send: impl FnMut(&Log<'_>)) {
    for number in 0..3 {
        let line = format!("a line that is not inlined, number {number}");
        send(&Log { level: 6, line: &line, source: Cow::Borrowed(&line[..6]) });
    }
}

fn is_received(log: &ArchivedLog<'_>, number: usize) {
    assert_eq!(&*log.line, format!("a line that is not inlined, number {number}"));
    assert_eq!((log.level, log.source.as_str()), (6, "a line"));
}

#[test]
fn what_is_sent_need_not_outlive_the_producer() {
    let (_dir, queue) = queue::<Log<'static>>(&CreateOptions::new());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    send_all(|log| producer.of().unwrap().send(log).unwrap());
    send_all(|log| producer.of().unwrap().try_send(log).unwrap());
    send_all(|log| {
        let again = Log { level: log.level, line: log.line, source: log.source.clone() };
        producer.of().unwrap().send_many(std::slice::from_ref(&again)).unwrap();
        assert_eq!(producer.of().unwrap().try_send_many(&[again]).unwrap(), 1);
    });
    for numbers in [&[0, 1, 2][..], &[0, 1, 2], &[0, 0, 1, 1, 2, 2]] {
        numbers.iter().for_each(|number| is_received(&consumer.recv().unwrap(), *number));
    }
    // The producer is unchanged.
    producer.send(&Log { level: 1, line: "owned", source: "".into() }).unwrap();
    assert!(WaitSet::new().wait(&mut [Interest::messages(&consumer)]).is_ok());
}

#[test]
fn tasks_and_distrusting_ones_send_what_they_borrow() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::kind::Queue::<Log<'static>, Mpmc>::create(dir.path().join("q")) }.unwrap();
    let consumer = queue.consumer().unwrap();
    let mut producer = AsyncProducer::new(queue.producer().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    send_all(|log| runtime.block_on(producer.of().unwrap().send(log)).unwrap());
    (0..3).for_each(|number| is_received(&consumer.recv().unwrap(), number));

    let queue = untrusted::kind::Queue::<Log<'static>, Spsc>::create(dir.path().join("other")).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    send_all(|log| producer.of().unwrap().send(log).unwrap());
    (0..3).for_each(|number| is_received(&consumer.recv().unwrap(), number));
}

/// An unrelated type, which archives alike.
#[test]
fn slices_go_where_vectors_do() {
    let (_dir, queue) = queue::<Vec<String>>(&CreateOptions::new());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let words: std::collections::VecDeque<String> = ["one", "two"].map(String::from).into();
    producer.of().unwrap().send(&words).unwrap();
    assert_eq!(consumer.recv().unwrap().iter().map(|word| word.as_str()).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn another_archive_is_refused() {
    #[derive(Archive, Serialize, ringway::Message)]
    struct Tick {
        price: u64,
    }
    mod other {
        #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
        pub(super) struct Tick {
            pub(super) price: i64,
        }
    }
    let (_dir, queue) = queue::<Tick>(&CreateOptions::new());
    let mut producer = queue.producer().unwrap();
    let Err(error @ SendError::WrongSchema { .. }) = producer.of::<other::Tick>().map(drop) else {
        panic!("taken")
    };
    assert!(error.to_string().contains("field `price` of `Tick`"), "{error}");
    assert!(producer.of::<String>().is_err());
    producer.of().unwrap().send(&Tick { price: 7 }).unwrap();
    assert_eq!(queue.consumer().unwrap().recv().unwrap().price, 7);
}

/// The message types of plain calls are inferred as before.
#[test]
fn literals_are_what_the_queue_holds() {
    let (_dir, queue) = queue::<u64>(&CreateOptions::new());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&7).unwrap();
    producer.send_many(&[8, 9]).unwrap();
    for number in 7..10 {
        assert_eq!(*consumer.recv().unwrap(), number);
    }
}
