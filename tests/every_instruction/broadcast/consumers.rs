//! Consumers are killed at every instruction of what they do. A producer that lives goes on.

use ringway::broadcast::{BytesConsumer, Start};

use super::{MODES, Mode, SHAPE, SLOTS, SOON, create, is_whole, next, open};
use crate::every_instruction::attempts::{Kill, Step, at_events, everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{Outcome, Test, TestDir, ensure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Join,
    Receive,
    ReceiveMany,
    Seek,
    Leave,
}

use Operation::{Join, Leave, Receive, ReceiveMany, Seek};

pub(super) fn tests() -> Vec<Test> {
    [Join, Receive, ReceiveMany, Seek, Leave]
        .map(|operation| {
            Test::new(format!("broadcast: killed consumer: {operation:?}"), move || {
                for mode in MODES {
                    let name = format!("{mode:?}");
                    let attempt = |kill: Kill<'_>| attempt(mode, operation, kill);
                    match operation {
                        Receive if mode != Mode::Lossy => everywhere(&name, attempt)?,
                        _ => at_events(&name, attempt)?,
                    }
                }
                Ok(())
            })
        })
        .into()
}

fn attempt(mode: Mode, operation: Operation, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = create(&place, 1, 0)?;
    let mut producer = queue.producer()?;
    for seq in 0..SLOTS + 2 {
        producer.try_send(&SHAPE.message(seq))?;
    }
    let body = |gate: &Gate| {
        let queue = open(&place)?;
        let join = mode.from(Start::Oldest);
        if operation == Join {
            gate.enter()?;
            let _consumer = queue.consumer_with(&join)?;
            gate.leave();
        }
        let mut consumer = queue.consumer_with(&join)?;
        if operation == Seek {
            next(&consumer)?;
        }
        gate.enter()?;
        match operation {
            Leave => drop(consumer),
            Seek => ensure!(consumer.seek(Start::Oldest)? == queue.oldest(), "it is elsewhere"),
            ReceiveMany => drop(consumer.try_recv_many(3)?),
            _ => receive(&consumer)?,
        }
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    // It does not hold the producer up.
    let first = queue.newest();
    for seq in first..first + 2 * SLOTS {
        producer.send_timeout(&SHAPE.message(seq), SOON)?;
    }
    ensure!(producer.holdup().is_none(), "{:?}", producer.holdup());
    drop(producer);
    is_whole(&queue)?;
    drop(queue);
    place.leave()
}

fn receive(consumer: &BytesConsumer) -> Outcome {
    let frame = consumer.try_recv()?;
    ensure!(SHAPE.is(frame.position(), &frame), "another message came");
    drop(frame);
    Ok(())
}
