//! Participants are paused at every instruction while others recover after a death and go on; then
//! they go on as well. A living participant loses nothing by it, wherever it is paused.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};

use super::state::{FIXED, SMALL, State, die_while, state};
use crate::every_instruction::attempts::{Pause, Step, paused_everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{MpmcKind, Outcome, Shape, Test, TestDir, Words, ensure};

/// The participant that is paused, one that sends, one that receives, one that dies.
const FOUR: MpmcKind = MpmcKind { name: "16 slots", slots: 16, ..SMALL.max_participants(4) };
const FOUR_FIXED: MpmcKind = MpmcKind { slots: 16, ..FIXED.max_participants(4) };
/// What others send.
const OTHERS: u64 = 1000;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (name, count, stride) in [("send", 1, 1), ("try_send_many", 3, 5)] {
        tests.push(Test::new(format!("mpmc pausing: {name}"), move || {
            paused_everywhere("empty", stride, |pause| sender(state("empty", FOUR, 0, 0), count, pause))?;
            paused_everywhere("the slots wrap", stride, |pause| {
                sender(state("wraps", FOUR_FIXED, 15, 14), count, pause)
            })
        }));
    }
    for (name, operation, stride) in [
        ("take and release", Taking::Release, 1),
        ("take and reject", Taking::Reject, 2),
        ("take three", Taking::Three, 7),
    ] {
        tests.push(Test::new(format!("mpmc pausing: {name}"), move || {
            paused_everywhere("four messages", stride, |pause| {
                receiver(state("four", FOUR, 4, 0), operation, pause)
            })
        }));
    }
    tests
}

/// Which messages were delivered, and how many times.
#[derive(Default)]
struct Seen(BTreeMap<u64, u64>);

impl Seen {
    fn note(&mut self, shape: Shape, bytes: &[u8]) -> Outcome {
        let seq = Shape::number(bytes).filter(|seq| shape.is(*seq, bytes)).ok_or("a torn message came")?;
        *self.0.entry(seq).or_default() += 1;
        Ok(())
    }

    fn drain(&mut self, shape: Shape, consumer: &BytesConsumer) -> Outcome {
        while let Ok(frame) = consumer.try_recv() {
            self.note(shape, &frame)?;
        }
        Ok(())
    }

    fn is(&self, expected: impl Iterator<Item = u64>) -> Outcome {
        let expected: BTreeMap<u64, u64> = expected.map(|seq| (seq, 1)).collect();
        ensure!(self.0 == expected, "these came so often: {:?}, expected: {expected:?}", self.0);
        Ok(())
    }
}

/// Others die, recover, send and receive.
fn others(
    place: &TestDir,
    queue: &BytesQueue,
    shape: Shape,
    producer: &mut BytesProducer,
    consumer: &BytesConsumer,
    seen: &mut Seen,
) -> Outcome {
    let attach = || {
        std::mem::forget(place.open_mpmc()?.producer()?);
        Ok(())
    };
    die_while(attach, || Ok(()))?;
    let recovery = queue.recover()?;
    ensure!((recovery.deaths, recovery.tombstones, recovery.requeued) == (1, 0, 0), "{recovery:?}");
    seen.drain(shape, consumer)?;
    producer.try_send(&shape.message(OTHERS))?;
    seen.drain(shape, consumer)
}

fn sender(state: State, count: u64, pause: Pause<'_>) -> Outcome {
    let (kind, shape) = (state.kind, state.kind.shape);
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    let mut seen = Seen::default();
    let body = |gate: &Gate| {
        let mut producer = place.open_mpmc()?.producer()?;
        let data: Vec<_> = (state.sent..state.sent + count).map(|seq| shape.message(seq)).collect();
        gate.enter()?;
        match &data[..] {
            [message] => producer.send(message)?,
            messages => ensure!(producer.try_send_many(messages)? == messages.len(), "there is room for all"),
        }
        gate.leave()
    };
    pause(Step { file: &place.path(), body: Box::new(body) }, &mut || {
        others(&place, &queue, shape, &mut producer, &consumer, &mut seen)
    })?;
    seen.drain(shape, &consumer)?;
    seen.is((state.taken..state.sent + count).chain([OTHERS]))?;
    drop((producer, consumer));
    kind.is_whole(&queue)?;
    drop(queue);
    place.leave()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    Release,
    Reject,
    Three,
}

fn receiver(state: State, operation: Taking, pause: Pause<'_>) -> Outcome {
    let (kind, shape) = (state.kind, state.kind.shape);
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    let mut seen = Seen::default();
    // What it got for good.
    let words = Words::new(2 * OTHERS as usize);
    let body = |gate: &Gate| {
        let consumer = place.open_mpmc()?.consumer()?;
        let note = |bytes: &[u8]| -> Outcome {
            let seq =
                Shape::number(bytes).filter(|seq| shape.is(*seq, bytes)).ok_or("a torn message came")?;
            words[seq as usize].fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        gate.enter()?;
        match operation {
            // Others may have been faster.
            Taking::Release => {
                if let Ok(frame) = consumer.try_recv() {
                    note(&frame)?;
                }
            }
            Taking::Reject => {
                if let Ok(frame) = consumer.try_recv() {
                    frame.reject();
                }
            }
            Taking::Three => {
                if let Ok(frames) = consumer.try_recv_many(3) {
                    frames.iter().try_for_each(note)?;
                }
            }
        }
        gate.leave()
    };
    pause(Step { file: &place.path(), body: Box::new(body) }, &mut || {
        others(&place, &queue, shape, &mut producer, &consumer, &mut seen)
    })?;
    seen.drain(shape, &consumer)?;
    for (seq, word) in words.iter().enumerate().filter(|(_, word)| word.load(Ordering::SeqCst) != 0) {
        *seen.0.entry(seq as u64).or_default() += word.load(Ordering::SeqCst);
    }
    seen.is((state.taken..state.sent).chain([OTHERS]))?;
    drop((producer, consumer));
    kind.is_whole(&queue)?;
    drop(queue);
    place.leave()
}
