//! Producers are killed at every instruction of what they do.

use ringway::SendError;
use ringway::broadcast::{BytesProducer, Start, Subscribe};

use super::{SHAPE, SLOTS, create, is_whole, next, open};
use crate::every_instruction::attempts::{Kill, Step, at_events, everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{Doubt, Outcome, ProducerNotes, Stream, Test, TestDir, ensure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    TrySend,
    BatchOfThree,
    /// Attaches after a writer that died after its commit, and sends.
    Attach,
}

use Operation::{Attach, BatchOfThree, TrySend};

pub(super) fn tests() -> Vec<Test> {
    [TrySend, BatchOfThree, Attach]
        .map(|operation| {
            Test::new(format!("broadcast: killed producer: {operation:?}"), move || {
                for producers in [1, 2] {
                    // Empty; the next message is the first that overwrites one; further on.
                    for sent in [0, SLOTS, SLOTS + 3] {
                        let name = format!("{producers} producers, {sent} messages");
                        let attempt = |kill: Kill<'_>| attempt(producers, sent, operation, kill);
                        match operation {
                            // Debug builds take ten times as many instructions.
                            _ if cfg!(debug_assertions) && sent != SLOTS => {}
                            TrySend if sent == SLOTS => everywhere(&name, attempt)?,
                            TrySend => at_events(&name, attempt)?,
                            BatchOfThree | Attach if sent == SLOTS => at_events(&name, attempt)?,
                            _ => {}
                        }
                    }
                }
                Ok(())
            })
        })
        .into()
}

fn attempt(producers: usize, sent: u64, operation: Operation, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = create(&place, producers, (1 << 33) - 2)?;
    let witness = queue.consumer_with(&Subscribe::reliable().from(Start::Oldest))?;
    let mut stream = Stream::new(SHAPE, 0);
    let mut producer = queue.producer()?;
    for seq in 0..sent {
        producer.try_send(&SHAPE.message(seq))?;
        stream.accept(&next(&witness)?.ok_or("nothing came")?.1)?;
    }
    drop(producer);
    let notes = ProducerNotes::new();
    notes.reset(sent);
    let body = |gate: &Gate| {
        let queue = open(&place)?;
        let early = (operation != Attach).then(|| queue.producer()).transpose()?;
        gate.enter()?;
        let mut producer = match early {
            Some(producer) => producer,
            None => queue.producer()?,
        };
        perform(operation, &mut producer, sent, producers == 1, &notes)?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let doubt = notes.doubt();
    ensure!(!is_complete || doubt.sent == doubt.about, "it is complete, and in doubt: {doubt:?}");
    survive(&mut stream, doubt, || Ok(next(&witness)?.map(|(_, message)| message)), &queue)?;
    drop(witness);
    is_whole(&queue)?;
    drop(queue);
    place.leave()
}

/// The witness receives what was committed, and what a successor sends.
fn survive(
    stream: &mut Stream,
    doubt: Doubt,
    mut receive: impl FnMut() -> Outcome<Option<Vec<u8>>>,
    queue: &ringway::broadcast::BytesQueue,
) -> Outcome {
    stream.doubt(doubt)?;
    let mut producer = queue.producer_timeout(super::SOON)?;
    let mut seq = doubt.resume;
    for _ in 0..3 * SLOTS {
        while let Some(message) = receive()? {
            stream.accept(&message)?;
        }
        producer.try_send(&SHAPE.message(seq))?;
        seq += 1;
    }
    while let Some(message) = receive()? {
        stream.accept(&message)?;
    }
    let settled = stream.settle()?;
    ensure!(settled == seq, "message {settled} would come next, but {seq} is to be sent next");
    Ok(())
}

fn perform(
    operation: Operation,
    producer: &mut BytesProducer,
    first: u64,
    one_writer: bool,
    notes: &ProducerNotes,
) -> Outcome {
    let sent = match operation {
        TrySend | Attach => {
            notes.set_about(first + 1, true);
            producer.try_send(&SHAPE.message(first)).map(|()| 1)
        }
        BatchOfThree => {
            let mut batch = producer.batch()?;
            for seq in first..first + 3 {
                let message = SHAPE.message(seq);
                batch.try_reserve(message.len())?.copy_from_slice(&message);
            }
            notes.set_about(first + 3, one_writer);
            batch.commit()
        }
    };
    let sent = match sent {
        Ok(sent) => sent as u64,
        Err(SendError::Full) => 0,
        Err(error) => return Err(error.into()),
    };
    notes.set_about(first + sent, false);
    notes.set_sent(first + sent);
    Ok(())
}
