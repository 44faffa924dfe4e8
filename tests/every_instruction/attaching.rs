//! Participants are killed while they attach and detach.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::attempts::{Kill, Step, at_events};
use super::tracer::Gate;
use super::{receiving, sending};
use crate::process::{Child, DeliveryObserver, Doubt, History, Kind, Outcome, Shape, Test, TestDir, Words};

const VARIABLE: Kind = Kind::new("variable", 1024, Shape::Same(40));
const FIXED: Kind = Kind::new("fixed", 192, Shape::Fixed(24));

/// Where the file has its `tail`, and how long a frame of 40 bytes is: see `src/layout`.
const TAIL_OFFSET: u64 = 0x500;
const FRAME: u64 = 48;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("attaching: producer", || {
            for kind in [VARIABLE.start(888), FIXED.start(6)] {
                at_events(kind.name, |kill| producer(kind, 0, kill))?;
            }
            for missing in [1, 3] {
                at_events(&format!("variable, its predecessor did not store tail for {missing}"), |kill| {
                    producer(VARIABLE.start(888), missing, kill)
                })?;
            }
            Ok(())
        }),
        Test::new("attaching: consumer", || {
            for kind in [VARIABLE.start(888), FIXED.start(6)] {
                for held in [0, 2] {
                    at_events(&format!("{}, its predecessor held {held}", kind.name), |kill| {
                        consumer(kind, held, kill)
                    })?;
                }
            }
            Ok(())
        }),
        Test::new("detaching: producer", || {
            at_events("variable", |kill| producer_leaves(VARIABLE, kill))?;
            at_events("fixed", |kill| producer_leaves(FIXED, kill))
        }),
        Test::new("detaching: consumer", || {
            at_events("variable", |kill| consumer_leaves(VARIABLE, kill))?;
            at_events("fixed", |kill| consumer_leaves(FIXED, kill))
        }),
    ]
}

/// All messages before `next` were sent.
fn no_doubt(next: u64) -> Doubt {
    Doubt { sent: next, about: next, resume: next.next_multiple_of(8), whole: true }
}

/// Dead producers may not have stored `tail` for as many as `missing` frames, the last of which lies
/// after padding.
fn producer(kind: Kind, missing: u64, kill: Kill<'_>) -> Outcome {
    let messages = 4;
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    sending::fill(&queue, kind.shape, messages)?;
    if missing > 0 {
        // 888, 936 and, after 40 bytes of padding, 1024 and 1072.
        let tail = [1120, 1072, 984, 936][missing as usize];
        assert_eq!(tail_of(&place.path())?, 1024 + 2 * FRAME);
        set_tail(&place.path(), tail)?;
    }
    let body = |gate: &Gate| {
        let queue = place.open()?;
        gate.enter()?;
        let _producer = queue.producer()?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    sending::survive(kind, &queue, consumer, no_doubt(messages))?;
    place.leave()
}

fn tail_of(path: &Path) -> Outcome<u64> {
    let mut word = [0; 8];
    std::fs::File::open(path)?.read_exact_at(&mut word, TAIL_OFFSET)?;
    Ok(u64::from_ne_bytes(word))
}

fn set_tail(path: &Path, tail: u64) -> Outcome {
    Ok(OpenOptions::new().write(true).open(path)?.write_all_at(&tail.to_ne_bytes(), TAIL_OFFSET)?)
}

fn producer_leaves(kind: Kind, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    let body = |gate: &Gate| {
        let mut producer = place.open()?.producer()?;
        producer.try_send(&kind.shape.message(0))?;
        gate.enter()?;
        drop(producer);
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    sending::survive(kind, &queue, consumer, no_doubt(1))?;
    place.leave()
}

/// An earlier consumer was killed when it held `held` messages.
fn consumer(kind: Kind, held: u64, kill: Kill<'_>) -> Outcome {
    let messages = 4;
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    for seq in 0..messages {
        producer.try_send(&kind.shape.message(seq))?;
    }
    let mut history = History::new();
    if held > 0 {
        die_holding(&place, &history, held)?;
        history.death(messages)?;
    }
    let body = |gate: &Gate| {
        let queue = place.open()?;
        gate.enter()?;
        let _consumer = queue.consumer()?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    history.death(messages)?;
    receiving::survive(kind, &queue, producer, &history, messages)?;
    place.leave()
}

fn die_holding(place: &TestDir, history: &History, held: u64) -> Outcome {
    let words = Words::new(1);
    let child = Child::fork(|| {
        let consumer = place.open()?.consumer()?;
        history.may_take(held);
        let _frames = consumer.recv_many(held as usize)?;
        (0..held).for_each(|seq| history.took(seq));
        words[0].store(1, Ordering::SeqCst);
        loop {
            std::thread::yield_now();
        }
    });
    while words[0].load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    child.kill()
}

/// It takes three messages, releases the first, and forgets the guards of the others. (Released out
/// of order: `detaching`.)
fn consumer_leaves(kind: Kind, kill: Kill<'_>) -> Outcome {
    let messages = 4;
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    for seq in 0..messages {
        producer.try_send(&kind.shape.message(seq))?;
    }
    let mut history = History::new();
    let body = |gate: &Gate| {
        let consumer = place.open()?.consumer()?;
        history.may_take(3);
        let (first, second, third) = (consumer.try_recv()?, consumer.try_recv()?, consumer.try_recv()?);
        (0..3).for_each(|seq| history.took(seq));
        history.releasing(0);
        drop(first);
        history.released(0);
        std::mem::forget((second, third));
        gate.enter()?;
        drop(consumer);
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    history.death(messages)?;
    receiving::survive(kind, &queue, producer, &history, messages)?;
    place.leave()
}
