//! Inspection while others send and receive: nothing that is whole is reported corrupted, and no
//! message is seen torn.

use std::sync::atomic::{AtomicBool, Ordering};

use ringway::inspect::{Inspector, Peek, PeekedFrame, Start};
use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Framing, RecvError};

use super::common::directory;
use super::common::ends::on_panic;

/// Message `number`: its length and every byte follow from it.
fn message(number: u64, fixed: Option<usize>) -> Vec<u8> {
    let len = fixed.unwrap_or(8 + (number * 7 % 150) as usize);
    let mut message = number.to_ne_bytes().to_vec();
    message.resize(len, number as u8);
    message
}

fn check(frame: &PeekedFrame, fixed: Option<usize>) {
    let number = u64::from_ne_bytes(frame.payload[..8].try_into().unwrap());
    assert_eq!(frame.payload, message(number, fixed), "a torn message at position {}", frame.position);
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn run<K: Kind>(options: &CreateOptions, fixed: Option<usize>, consumers: usize) {
    const MESSAGES: u64 = 20_000;
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::<K>::create_with(&path, options) }.unwrap();
    let is_done = AtomicBool::new(false);
    let mut inspections = 0;
    std::thread::scope(|scope| {
        let mut producer = queue.producer().unwrap();
        // One side's failure ends the others, and so does that of the inspector.
        let _end = on_panic(|| queue.close());
        let sender = scope.spawn(move || {
            (0..MESSAGES).for_each(|number| producer.send(&message(number, fixed)).unwrap());
        });
        for _ in 0..consumers {
            let consumer = queue.consumer().unwrap();
            let (is_done, queue) = (&is_done, &queue);
            scope.spawn(move || {
                let _end = on_panic(|| queue.close());
                loop {
                    match consumer.try_recv() {
                        Ok(frame) => drop(frame),
                        Err(RecvError::Empty) if is_done.load(Ordering::Acquire) => break,
                        Err(RecvError::Empty) => std::thread::yield_now(),
                        Err(RecvError::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        // Also if an inspection below panics: consumers end then, instead of hiding why.
        let _done = Done(&is_done);
        let inspector = Inspector::open(&path).unwrap();
        while !sender.is_finished() || inspections < 20 {
            let snapshot = inspector.snapshot().unwrap();
            assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
            for start in [Start::Oldest, Start::Newest] {
                let peeked = inspector.peek(&Peek::new().held(true).start(start)).unwrap();
                assert!(peeked.corruption.is_none(), "{:?}", peeked.corruption);
                peeked.frames.iter().for_each(|frame| check(frame, fixed));
            }
            inspections += 1;
        }
    });
    let last = Inspector::open(&path).unwrap().snapshot().unwrap();
    assert_eq!((last.backlog.waiting, last.backlog.held), (Some(0), Some(0)));
}

#[test]
fn spsc_variable() {
    run::<Spsc>(&CreateOptions::new().ring_bytes(4096), None, 1);
}

#[test]
fn spsc_fixed() {
    run::<Spsc>(&CreateOptions::new().ring_bytes(4096).framing(Framing::Fixed(24)), Some(24), 1);
}

#[test]
fn mpmc() {
    run::<Mpmc>(&CreateOptions::new().ring_bytes(4096).max_messages(16).max_participants(4), None, 2);
}
