//! The broadcast queue: what each operation does, what it refuses, and what is left when a participant
//! is killed or stopped.

mod common;

mod broadcast {
    pub(crate) mod attaching;
    pub(crate) mod closing;
    pub(crate) mod lossy;
    pub(crate) mod processes;
    pub(crate) mod reliable;
}

use std::time::Duration;

use ringway::broadcast::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{CreateOptions, RecvError};
use tempfile::TempDir;

/// Long enough for what should happen, short enough to wait for what should not.
const MOMENT: Duration = Duration::from_millis(20);

/// A queue in a directory of its own.
fn queue(options: &CreateOptions) -> (TempDir, BytesQueue) {
    let dir = common::directory();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

/// A small one.
fn small(producers: usize) -> CreateOptions {
    CreateOptions::new().max_messages(8).ring_bytes(4096).max_participants(12).max_producers(producers)
}

/// Sends messages that are their numbers.
fn send(producer: &mut BytesProducer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        producer.try_send(&number.to_le_bytes()).unwrap();
    }
}

fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(message.try_into().unwrap())
}

/// Takes and releases what is there; and how many were missed.
fn drain(consumer: &BytesConsumer) -> (Vec<u64>, u64) {
    let (mut numbers, mut missed) = (Vec::new(), 0);
    loop {
        match consumer.try_recv() {
            Ok(frame) => {
                assert_eq!(number(&frame), frame.position());
                numbers.push(frame.position());
            }
            Err(RecvError::Lagged(count)) => missed += count,
            Err(RecvError::Empty) => return (numbers, missed),
            Err(error) => panic!("{error}"),
        }
    }
}
