//! Producers are killed at every instruction of what they do with messages.

use ringway::SendError;
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue};

use super::attempts::{Kill, Step, everywhere};
use super::tracer::Gate;
use crate::process::{Doubt, Kind, Outcome, ProducerNotes, Shape, Stream, Test, TestDir, ensure};

/// Messages of 40 bytes in frames of 48: a ring of 1024 bytes takes 21 of them.
const VARIABLE: Kind = Kind::new("variable", 1024, Shape::Same(40));
/// Frames of exactly one granule: 15 of them fill the ring except for the next commit word.
const GRANULE: Kind = Kind::new("variable, granule 64", 1024, Shape::Same(56)).align(64);
/// Eight cells.
const FIXED: Kind = Kind::new("fixed", 192, Shape::Fixed(24));

/// A queue and the number of messages in it.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    kind: Kind,
    messages: u64,
    /// Also tried with operations that differ little from others, and in debug builds.
    is_special: bool,
}

const fn state(name: &'static str, kind: Kind, messages: u64) -> State {
    State { name, kind, messages, is_special: false }
}

const fn special(name: &'static str, kind: Kind, messages: u64) -> State {
    State { name, kind, messages, is_special: true }
}

const STATES: [State; 17] = [
    state("empty", VARIABLE, 0),
    state("one message", VARIABLE, 1),
    state("padding before the end", VARIABLE.start(992), 0),
    special("padding behind messages", VARIABLE.start(504), 10),
    special("the first of three wraps to the end exactly", VARIABLE.start(976), 0),
    special("the second of three behind padding", VARIABLE.start(960), 0),
    special("room for one", VARIABLE, 20),
    state("full", VARIABLE, 21),
    state("empty", GRANULE, 0),
    state("the end of the ring", GRANULE.start(960), 3),
    special("room for one", GRANULE.start(320), 14),
    state("empty", FIXED, 0),
    state("one message", FIXED, 1),
    state("last slot", FIXED.start(7), 0),
    special("a batch wraps", FIXED.start(6), 0),
    special("room for one", FIXED.start(3), 7),
    state("full", FIXED.start(3), 8),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    TrySend,
    Send,
    BatchOfThree,
    SendManyThree,
    ClaimAndTruncate,
    ClaimAndAbort,
    BatchAndDrop,
}

use Operation::{BatchAndDrop, BatchOfThree, ClaimAndAbort, ClaimAndTruncate, Send, SendManyThree, TrySend};

pub(crate) fn tests() -> Vec<Test> {
    [TrySend, Send, BatchOfThree, SendManyThree, ClaimAndTruncate, ClaimAndAbort, BatchAndDrop]
        .map(|operation| Test::new(format!("sending: {operation:?}"), move || all_states(operation)))
        .into()
}

fn all_states(operation: Operation) -> Outcome {
    let differs_little = matches!(operation, Send | BatchOfThree | SendManyThree | BatchAndDrop);
    for state in STATES {
        let is_fixed = matches!(state.kind.shape, Shape::Fixed(_));
        let left_out = !state.is_special && (differs_little || cfg!(debug_assertions));
        if left_out || is_fixed && operation == ClaimAndTruncate {
            continue;
        }
        let name = format!("{}, {}", state.kind.name, state.name);
        everywhere(&name, |kill| attempt(state, operation, kill))?;
    }
    Ok(())
}

fn attempt(state: State, operation: Operation, kill: Kill<'_>) -> Outcome {
    let State { kind, messages, .. } = state;
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    fill(&queue, kind.shape, messages)?;
    let notes = ProducerNotes::new();
    notes.reset(messages);
    let body = |gate: &Gate| {
        let mut producer = place.open()?.producer()?;
        let data: Vec<_> = (messages..messages + 3).map(|seq| kind.shape.message(seq)).collect();
        gate.enter()?;
        perform(operation, &mut producer, &data, messages, &notes)?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let doubt = notes.doubt();
    ensure!(!is_complete || doubt.sent == doubt.about, "it is complete, and in doubt: {doubt:?}");
    survive(kind, &queue, consumer, doubt)?;
    place.leave()
}

pub(crate) fn fill(queue: &BytesQueue, shape: Shape, messages: u64) -> Outcome {
    let mut producer = queue.producer()?;
    for seq in 0..messages {
        producer.try_send(&shape.message(seq))?;
    }
    Ok(())
}

/// What the child does. `data` are the messages from `first` on.
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
        BatchOfThree => {
            let mut batch = producer.batch()?;
            for message in data {
                match batch.try_reserve(message.len()) {
                    Ok(payload) => payload.copy_from_slice(message),
                    Err(SendError::Full) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            notes.set_about(first + batch.len() as u64, true);
            batch.commit()
        }
        SendManyThree => {
            notes.set_about(first + 3, false);
            producer.try_send_many(data)
        }
        ClaimAndTruncate => producer.try_reserve(data[0].len() + 8).and_then(|mut claim| {
            claim[..data[0].len()].copy_from_slice(&data[0]);
            claim.truncate(data[0].len());
            notes.set_about(first + 1, true);
            claim.commit().map(|()| 1)
        }),
        ClaimAndAbort => producer.try_reserve(data[0].len()).map(|mut claim| {
            claim.fill(0xab);
            claim.abort();
            0
        }),
        BatchAndDrop => {
            let mut batch = producer.batch()?;
            for message in data {
                if let Ok(payload) = batch.try_reserve(message.len()) {
                    payload.fill(0xcd);
                }
            }
            Ok(0)
        }
    };
    let sent = match sent {
        Ok(sent) => sent as u64,
        Err(SendError::Full) => 0,
        Err(error) => return Err(error.into()),
    };
    // What was not sent cannot be delivered any more.
    notes.set_about(first + sent, operation != SendManyThree);
    notes.set_sent(first + sent);
    Ok(())
}

/// The consumer that lives takes what is there, another producer goes on, and the whole ring can be
/// used.
pub(crate) fn survive(kind: Kind, queue: &BytesQueue, consumer: BytesConsumer, doubt: Doubt) -> Outcome {
    let mut stream = Stream::new(kind.shape, 0);
    stream.doubt(doubt)?;
    let mut held = Vec::new();
    while let Ok(frame) = consumer.try_recv() {
        stream.accept(&frame)?;
        held.push(frame);
    }
    // Nothing is released yet, so that the successor finds all residue of the dead producer.
    let mut producer = queue.producer()?;
    let mut next = doubt.resume;
    while next < doubt.resume + 2 && producer.try_send(&kind.shape.message(next)).is_ok() {
        next += 1;
    }
    while let Ok(frame) = consumer.try_recv() {
        stream.accept(&frame)?;
        held.push(frame);
    }
    drop(held);
    for _ in 0..50 {
        producer.try_send(&kind.shape.message(next))?;
        stream.accept(&consumer.try_recv()?)?;
        next += 1;
    }
    let settled = stream.settle()?;
    ensure!(settled == next, "message {settled} would come next, but {next} is to be sent next");
    drop((producer, consumer));
    kind.is_whole(queue)
}
