//! Producers are killed at every instruction of what they do with messages.

use ringway::SendError;
use ringway::mpmc::BytesProducer;

use super::state::{BOUND, FIXED, LARGE, ONE, SMALL, State, special, state, survive_sender};
use crate::every_instruction::attempts::{Kill, Step, at_events, everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{Outcome, ProducerNotes, Test, TestDir, ensure};

const STATES: [State; 13] = [
    state("empty", SMALL, 0, 0),
    state("one", SMALL, 1, 0),
    state("full", SMALL, 4, 0),
    state("the slots wrap", SMALL, 6, 4),
    special("room for two", SMALL.start((1 << 34) - 3), 6, 4),
    special("behind padding", LARGE, 4, 3),
    state("no room in the lane", LARGE, 3, 0),
    special("the slots wrap", FIXED, 1, 1),
    state("room for one", FIXED, 2, 1),
    special("room for all", BOUND, 2, 2),
    state("room for one", BOUND, 5, 3),
    state("full", BOUND, 3, 0),
    state("room for one", ONE, 3, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    TrySend,
    Send,
    SendManyThree,
    BatchOfThree,
    ClaimAndCommit,
}

use Operation::{BatchOfThree, ClaimAndCommit, Send, SendManyThree, TrySend};

pub(super) fn tests() -> Vec<Test> {
    [TrySend, Send, SendManyThree, BatchOfThree, ClaimAndCommit]
        .map(|operation| {
            Test::new(format!("mpmc sending: {operation:?}"), move || {
                for state in STATES {
                    if operation != TrySend && !state.is_special {
                        continue;
                    }
                    let name = state.full_name();
                    let attempt = |kill: Kill<'_>| attempt(state, operation, kill);
                    // Batches take many instructions, and differ little from one another.
                    let is_long = matches!(operation, BatchOfThree | SendManyThree);
                    if operation == BatchOfThree || is_long && state.kind.name != SMALL.name {
                        at_events(&name, attempt)?;
                    } else {
                        everywhere(&name, attempt)?;
                    }
                }
                Ok(())
            })
        })
        .into()
}

fn attempt(state: State, operation: Operation, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let consumer = queue.consumer()?;
    let notes = ProducerNotes::new();
    notes.reset(state.sent);
    let body = |gate: &Gate| {
        let mut producer = place.open_mpmc()?.producer()?;
        let data: Vec<_> = (state.sent..state.sent + 3).map(|seq| state.kind.shape.message(seq)).collect();
        gate.enter()?;
        perform(operation, &mut producer, &data, state.sent, &notes)?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let doubt = notes.doubt();
    ensure!(!is_complete || doubt.sent == doubt.about, "it is complete, and in doubt: {doubt:?}");
    survive_sender(state.kind, &queue, consumer, state.taken, doubt)?;
    drop(queue);
    place.leave()
}

/// What the child does. `data` are the messages from `first` on; of several messages, some of the
/// first may be committed.
fn perform(
    operation: Operation,
    producer: &mut BytesProducer,
    data: &[Vec<u8>],
    first: u64,
    notes: &ProducerNotes,
) -> Outcome {
    let sent = match operation {
        TrySend => {
            notes.set_about(first + 1, true);
            producer.try_send(&data[0]).map(|()| 1)
        }
        Send => {
            notes.set_about(first + 1, true);
            producer.send(&data[0]).map(|()| 1)
        }
        SendManyThree => {
            notes.set_about(first + 3, false);
            producer.try_send_many(data)
        }
        BatchOfThree => {
            let mut batch = producer.batch()?;
            for message in data {
                match batch.try_reserve(message.len()) {
                    Ok(payload) => payload.copy_from_slice(message),
                    Err(SendError::Full) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            notes.set_about(first + batch.len() as u64, false);
            batch.commit()
        }
        ClaimAndCommit => producer.try_reserve(data[0].len()).and_then(|mut claim| {
            claim.copy_from_slice(&data[0]);
            notes.set_about(first + 1, true);
            claim.commit().map(|()| 1)
        }),
    };
    let sent = match sent {
        Ok(sent) => sent as u64,
        Err(SendError::Full) => 0,
        Err(error) => return Err(error.into()),
    };
    // What was not sent cannot be delivered any more.
    notes.set_about(first + sent, false);
    notes.set_sent(first + sent);
    Ok(())
}
