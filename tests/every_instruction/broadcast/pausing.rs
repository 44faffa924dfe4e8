//! Consumers are paused at every instruction while a producer sends as many messages as it can: no
//! byte of a frame that they hold changes, and each message that they receive is that of its position.

use ringway::SendError;
use ringway::broadcast::Start;

use super::{MODES, Mode, SHAPE, SLOTS, create, is_whole, open};
use crate::every_instruction::attempts::{Pause, Step, paused_everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{Outcome, Test, TestDir, ensure};

pub(super) fn tests() -> Vec<Test> {
    MODES
        .map(|mode| {
            Test::new(format!("broadcast: paused consumer: {mode:?}"), move || {
                paused_everywhere("receive and seek", 2, |pause| receive(mode, pause))
            })
        })
        .into()
}

fn receive(mode: Mode, pause: Pause<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = create(&place, 1, 0)?;
    let mut producer = queue.producer()?;
    for seq in 0..SLOTS + 2 {
        producer.try_send(&SHAPE.message(seq))?;
    }
    let body = |gate: &Gate| {
        let mut consumer = open(&place)?.consumer_with(&mode.from(Start::Oldest))?;
        let (mut received, mut lagged) = (0, 0);
        let begin = consumer.next_position();
        gate.enter()?;
        for _ in 0..2 {
            match consumer.try_recv() {
                Ok(frame) => {
                    for _ in 0..2 {
                        ensure!(SHAPE.is(frame.position(), &frame), "bytes of {} changed", frame.position());
                    }
                    ensure!(frame.position() == begin + received + lagged, "at {}", frame.position());
                    received += 1;
                }
                Err(ringway::RecvError::Lagged(missed)) if mode != Mode::Reliable => lagged += missed,
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(consumer.next_position() == begin + received + lagged, "{received} and {lagged}");
        consumer.seek(Start::Oldest)?;
        gate.leave()
    };
    let mut seq = SLOTS + 2;
    pause(Step { file: &place.path(), body: Box::new(body) }, &mut || {
        for _ in 0..2 * SLOTS {
            match producer.try_send(&SHAPE.message(seq)) {
                Ok(()) => seq += 1,
                Err(SendError::Full) if mode != Mode::Lossy => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    drop(producer);
    is_whole(&queue)?;
    drop(queue);
    place.leave()
}
