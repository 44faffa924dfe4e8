//! A consumer that has released messages out of order is killed at every instruction of its detachment.

use super::attempts::{Kill, Step, everywhere};
use super::tracer::Gate;
use crate::process::{Kind, Outcome, Shape, Test, TestDir, ensure};

const MESSAGES: u64 = 8;

pub(crate) fn tests() -> Vec<Test> {
    [Kind::new("variable", 1024, Shape::Same(40)), Kind::new("fixed", 192, Shape::Fixed(24))]
        .map(|kind| {
            Test::new(format!("detaching: released out of order, {}", kind.name), move || {
                everywhere(kind.name, |kill| attempt(kind, kill))
            })
        })
        .into()
}

/// Messages 1, 2 and 4 of the six that are taken have been released.
fn attempt(kind: Kind, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    for seq in 0..MESSAGES {
        producer.try_send(&kind.shape.message(seq))?;
    }
    let body = |gate: &Gate| {
        let consumer = place.open()?.consumer()?;
        let mut frames = (0..6).map(|_| consumer.try_recv()).collect::<Result<Vec<_>, _>>()?;
        for (seq, frame) in frames.drain(..).enumerate().rev() {
            if matches!(seq, 1 | 2 | 4) {
                drop(frame);
            } else {
                frame.reject();
            }
        }
        drop(frames);
        gate.enter()?;
        drop(consumer);
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let consumer = queue.consumer()?;
    let mut found = Vec::new();
    while let Ok(frame) = consumer.try_recv() {
        let seq = (0..MESSAGES).find(|seq| *frame == *kind.shape.message(*seq));
        let seq = seq.ok_or_else(|| format!("no message of this queue: {:?}", &*frame))?;
        ensure!((frame.redeliveries() > 0) == (seq < 6), "{seq}: {} redeliveries", frame.redeliveries());
        found.push(seq);
    }
    // Released messages may be redelivered if the consumer was killed, nothing else may be lost,
    // and all messages are in order.
    let is_done = |seq: &u64| matches!(seq, 1 | 2 | 4);
    let kept: Vec<_> = found.iter().copied().filter(|seq| !is_done(seq)).collect();
    ensure!(kept == [0, 3, 5, 6, 7] && found.is_sorted(), "{found:?}");
    ensure!(!is_complete || found == kept, "it had detached: {found:?}");
    for seq in MESSAGES..50 {
        producer.try_send(&kind.shape.message(seq))?;
        ensure!(*consumer.try_recv()? == *kind.shape.message(seq), "it does not go on at {seq}");
    }
    drop((consumer, producer));
    kind.is_whole(&queue)?;
    place.leave()
}
