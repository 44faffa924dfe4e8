//! Consumers are killed at every instruction of what they do with messages.

use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue};

use super::attempts::{Kill, Step, everywhere};
use super::tracer::Gate;
use crate::process::{
    DeliveryObserver, History, Kind, Outcome, Random, Shape, Test, TestConsumer, TestDir, ensure,
};

const VARIABLE: Kind = Kind::new("variable", 1024, Shape::Same(40));
const FIXED: Kind = Kind::new("fixed", 192, Shape::Fixed(24));

/// A queue and the number of messages in it.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    kind: Kind,
    messages: u64,
    /// Also tried with operations that take many instructions, and in debug builds.
    is_special: bool,
}

const fn state(name: &'static str, kind: Kind, messages: u64) -> State {
    State { name, kind, messages, is_special: false }
}

const fn special(name: &'static str, kind: Kind, messages: u64) -> State {
    State { name, kind, messages, is_special: true }
}

const STATES: [State; 11] = [
    state("empty", VARIABLE, 0),
    state("one message", VARIABLE, 1),
    state("padding first", VARIABLE.start(992), 4),
    special("padding second", VARIABLE.start(944), 4),
    state("the end of the ring", VARIABLE.start(976), 4),
    state("full", VARIABLE.start(352), 21),
    state("empty", FIXED, 0),
    state("one message", FIXED, 1),
    state("last slot", FIXED.start(7), 4),
    special("a run wraps", FIXED.start(6), 4),
    state("full", FIXED.start(3), 8),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Take,
    TakeMany,
    /// Three are held. The youngest is dropped ...
    DropYoungest,
    /// ... then the oldest ...
    DropOldest,
    /// ... then the one in the middle.
    DropLast,
    TakeAfterHeld,
    Reject,
    TakeRejected,
    DropRejected,
    RejectRun,
}

use Operation::{
    DropLast, DropOldest, DropRejected, DropYoungest, Reject, RejectRun, Take, TakeAfterHeld, TakeMany,
    TakeRejected,
};

pub(crate) fn tests() -> Vec<Test> {
    [
        Take,
        TakeMany,
        DropYoungest,
        DropOldest,
        DropLast,
        TakeAfterHeld,
        Reject,
        TakeRejected,
        DropRejected,
        RejectRun,
    ]
    .map(|operation| Test::new(format!("receiving: {operation:?}"), move || all_states(operation)))
    .into()
}

fn all_states(operation: Operation) -> Outcome {
    // Many instructions, of generic bookkeeping that does not use the layout of frames.
    let is_long = matches!(operation, DropLast | DropRejected | RejectRun);
    for state in STATES {
        let is_fixed = matches!(state.kind.shape, Shape::Fixed(_));
        let is_simple = operation == Take && !cfg!(debug_assertions);
        if is_simple || state.is_special && !(is_long && is_fixed) {
            let name = format!("{}, {}", state.kind.name, state.name);
            everywhere(&name, |kill| attempt(state, operation, kill))?;
        }
    }
    Ok(())
}

fn attempt(state: State, operation: Operation, kill: Kill<'_>) -> Outcome {
    let State { kind, messages, .. } = state;
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    for seq in 0..messages {
        producer.try_send(&kind.shape.message(seq))?;
    }
    let mut history = History::new();
    let body = |gate: &Gate| {
        let consumer = place.open()?.consumer()?;
        perform(operation, &consumer, &history, gate)
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    history.death(messages)?;
    survive(kind, &queue, producer, &history, messages)?;
    place.leave()
}

/// What the child does. The messages begin with number 0; `Take` may find none.
fn perform(operation: Operation, consumer: &BytesConsumer, history: &History, gate: &Gate) -> Outcome {
    history.may_take(3);
    let took = |count: usize| (0..count as u64).for_each(|seq| history.took(seq));
    match operation {
        Take => {
            gate.enter()?;
            if let Ok(frame) = consumer.try_recv() {
                took(1);
                release(history, 0..1, frame);
            }
        }
        TakeMany => {
            gate.enter()?;
            let frames = consumer.try_recv_many(3)?;
            took(frames.len());
            release(history, 0..frames.len() as u64, frames);
        }
        DropYoungest | DropOldest | DropLast => {
            let mut frames =
                [Some(consumer.try_recv()?), Some(consumer.try_recv()?), Some(consumer.try_recv()?)];
            took(3);
            for (seq, step) in [(2, DropYoungest), (0, DropOldest), (1, DropLast)] {
                if step == operation {
                    gate.enter()?;
                }
                release(history, seq..seq + 1, frames[seq as usize].take());
                if step == operation {
                    gate.leave();
                }
            }
        }
        TakeAfterHeld => {
            let _held = consumer.try_recv()?;
            took(1);
            gate.enter()?;
            let frame = consumer.try_recv()?;
            took(2);
            release(history, 1..2, frame);
            gate.leave();
        }
        Reject => {
            gate.enter()?;
            let frame = consumer.try_recv()?;
            took(1);
            frame.reject();
        }
        TakeRejected | DropRejected => {
            consumer.try_recv()?.reject();
            took(1);
            if operation == TakeRejected {
                gate.enter()?;
            }
            let frame = consumer.try_recv()?;
            ensure!(frame.redeliveries() == 1, "{} redeliveries", frame.redeliveries());
            if operation == TakeRejected {
                gate.leave();
            }
            gate.enter()?;
            release(history, 0..1, frame);
        }
        RejectRun => {
            let frames = consumer.try_recv_many(2)?;
            took(frames.len());
            gate.enter()?;
            frames.reject();
        }
    }
    gate.leave()
}

fn release<G>(history: &History, seqs: std::ops::Range<u64>, guard: G) {
    seqs.clone().for_each(|seq| history.releasing(seq));
    drop(guard);
    seqs.for_each(|seq| history.released(seq));
}

/// Another consumer takes over and gets all that was not released; the producer that lives goes on.
pub(crate) fn survive(
    kind: Kind,
    queue: &BytesQueue,
    mut producer: BytesProducer,
    history: &History,
    messages: u64,
) -> Outcome {
    let consumer = queue.consumer()?;
    let mut next = messages;
    let mut test_consumer =
        TestConsumer::new(&consumer, history.stream(kind.shape), history, 3, Random::new(next));
    History::take_all(&mut test_consumer, next)?;
    for _ in 0..50 {
        producer.try_send(&kind.shape.message(next))?;
        next += 1;
        History::take_all(&mut test_consumer, next)?;
    }
    drop((test_consumer, producer));
    drop(consumer);
    kind.is_whole(queue)
}
