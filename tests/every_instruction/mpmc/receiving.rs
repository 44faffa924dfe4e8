//! Consumers are killed at every instruction of what they do with messages.

use ringway::mpmc::BytesConsumer;

use super::state::{
    BOUND, Gone, LARGE, Mark, Marks, ONE, SMALL, State, die_while, special, state, survive_receiver,
};
use crate::every_instruction::attempts::{Kill, Step, at_events, everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{MpmcKind, Outcome, Test, TestDir, ensure, forge};

const AT_MOST_ONCE: MpmcKind = MpmcKind { name: "4 slots, at most once", ..SMALL.at_most_once() };
const LETTERS: MpmcKind = MpmcKind { name: "4 slots, dead letters", ..SMALL.max_redeliveries(1) };
/// A dead producer has claimed two positions after the first message; another has sent after them.
const HOLES: MpmcKind = MpmcKind { name: "tombstones", slots: 8, ..SMALL.max_participants(3) };

const STATES: [State; 8] = [
    state("one", SMALL, 1, 0),
    state("full", SMALL, 4, 0),
    special("the slots wrap", SMALL.start((1 << 33) - 6), 6, 3),
    state("behind padding", LARGE, 4, 3),
    special("full", AT_MOST_ONCE, 4, 0),
    special("passed", HOLES, 3, 0),
    state("full", BOUND, 3, 0),
    state("full", ONE, 3, 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    TakeNone,
    TakeAndRelease,
    TakeManyAndRelease,
    /// Three are held; the second is released.
    Release,
    Reject,
    RejectRun,
    TakeRejected,
    PanicWhileHolding,
}

use Operation::{
    PanicWhileHolding, Reject, RejectRun, Release, TakeAndRelease, TakeManyAndRelease, TakeNone, TakeRejected,
};

pub(super) fn tests() -> Vec<Test> {
    let operations = [
        TakeNone,
        TakeAndRelease,
        TakeManyAndRelease,
        Release,
        Reject,
        RejectRun,
        TakeRejected,
        PanicWhileHolding,
    ];
    let mut tests: Vec<_> = operations
        .map(|operation| Test::new(format!("mpmc receiving: {operation:?}"), move || all_states(operation)))
        .into();
    // A hundred thousand instructions in a debug build.
    if !cfg!(debug_assertions) {
        tests.push(Test::new("mpmc receiving: burying a dead letter", || {
            at_events("dead letters", |kill| dead_letter(state("one", LETTERS, 1, 0), kill))
        }));
    }
    tests
}

fn all_states(operation: Operation) -> Outcome {
    if operation == TakeNone {
        let state = state("empty", SMALL, 2, 2);
        return everywhere(&state.full_name(), |kill| attempt(state, operation, kill));
    }
    for state in STATES {
        let is_simple = operation == TakeAndRelease;
        if !is_simple && !state.is_special
            || state.kind.is_at_most_once && matches!(operation, TakeRejected | TakeManyAndRelease)
        {
            continue;
        }
        let name = state.full_name();
        let attempt = |kill: Kill<'_>| attempt(state, operation, kill);
        match operation {
            // Tens of thousands of instructions of unwinding, none of them the library's.
            PanicWhileHolding if state.kind.name != SMALL.name => {}
            PanicWhileHolding => at_events(&name, attempt)?,
            TakeManyAndRelease if state.kind.name != SMALL.name => at_events(&name, attempt)?,
            _ => everywhere(&name, attempt)?,
        }
    }
    Ok(())
}

fn attempt(state: State, operation: Operation, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue =
        if state.kind.name == HOLES.name { with_holes(state, &place)? } else { state.create(&place)? };
    let marks = Marks::new();
    let body = |gate: &Gate| {
        let consumer = place.open_mpmc()?.consumer()?;
        perform(operation, &consumer, &marks, gate)
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    let may_take = match operation {
        TakeNone => 0,
        TakeAndRelease | Reject | TakeRejected | PanicWhileHolding => 1,
        TakeManyAndRelease | Release => 3,
        RejectRun => 2,
    };
    let before = u64::from(operation == TakeRejected);
    survive_receiver(state, &queue, &Gone { marks: &marks, may_take, unseen: 0, before })?;
    drop(queue);
    place.leave()
}

fn with_holes(state: State, place: &TestDir) -> Outcome<ringway::mpmc::BytesQueue> {
    let queue = state.kind.create(place)?;
    let mut producer = queue.producer()?;
    producer.try_send(&state.kind.shape.message(0))?;
    die_while(
        || {
            std::mem::forget(place.open_mpmc()?.producer()?);
            Ok(())
        },
        || forge::claim(place, &queue, 2),
    )?;
    for seq in 1..state.sent {
        producer.try_send(&state.kind.shape.message(seq))?;
    }
    drop(producer);
    Ok(queue)
}

/// What the child does with the first messages.
fn perform(operation: Operation, consumer: &BytesConsumer, marks: &Marks, gate: &Gate) -> Outcome {
    let mark_all = |count: usize, mark| (0..count as u64).for_each(|seq| marks.set(seq, mark));
    match operation {
        TakeNone => {
            gate.enter()?;
            ensure!(consumer.try_recv().is_err(), "a message came");
        }
        TakeAndRelease => {
            gate.enter()?;
            let frame = consumer.try_recv()?;
            marks.set(0, Mark::Taken);
            release(marks, 0, frame);
        }
        TakeManyAndRelease => {
            gate.enter()?;
            let frames = consumer.try_recv_many(3)?;
            let count = frames.len();
            mark_all(count, Mark::Taken);
            mark_all(count, Mark::Releasing);
            drop(frames);
            mark_all(count, Mark::Released);
        }
        Release => {
            let frames = (consumer.try_recv()?, consumer.try_recv()?, consumer.try_recv()?);
            mark_all(3, Mark::Taken);
            gate.enter()?;
            release(marks, 1, frames.1);
            gate.leave();
        }
        Reject => {
            gate.enter()?;
            let frame = consumer.try_recv()?;
            marks.set(0, Mark::Taken);
            marks.set(0, Mark::Rejecting);
            frame.reject();
        }
        RejectRun => {
            let first = consumer.try_recv()?;
            marks.set(0, Mark::Taken);
            let second = consumer.try_recv_many(1)?;
            marks.set(1, Mark::Taken);
            gate.enter()?;
            marks.set(1, Mark::Rejecting);
            second.reject();
            marks.set(0, Mark::Rejecting);
            first.reject();
        }
        TakeRejected => {
            consumer.try_recv()?.reject();
            gate.enter()?;
            let frame = consumer.try_recv()?;
            marks.set(0, Mark::Taken);
            ensure!(frame.redeliveries() == 1, "{} redeliveries", frame.redeliveries());
            release(marks, 0, frame);
        }
        PanicWhileHolding => {
            let frame = consumer.try_recv()?;
            marks.set(0, Mark::Taken);
            gate.enter()?;
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _frame = frame;
                marks.set(0, Mark::Rejecting);
                std::panic::resume_unwind(Box::new(()));
            }));
            ensure!(unwound.is_err(), "nothing was unwound");
        }
    }
    gate.leave()
}

fn release<G>(marks: &Marks, seq: u64, guard: G) {
    marks.set(seq, Mark::Releasing);
    drop(guard);
    marks.set(seq, Mark::Released);
}

/// A message was rejected twice; the child is to dead-letter it. Then it is in the queue, or in the
/// dead-letter queue, or, if the child died between the two, in both; and nothing else is.
fn dead_letter(state: State, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let consumer = queue.consumer()?;
    consumer.try_recv()?.reject();
    consumer.try_recv()?.reject();
    drop(consumer);
    let body = |gate: &Gate| {
        let consumer = place.open_mpmc()?.consumer()?;
        gate.enter()?;
        ensure!(consumer.try_recv().is_err(), "it was to be dead-lettered");
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    ensure!(!is_complete || queue.stats().dead_letters == 1, "{:?}", queue.stats());
    let consumer = queue.consumer()?;
    ensure!(consumer.try_recv().is_err(), "it was to be dead-lettered by now");
    drop(consumer);
    let letters = queue.dead_letters()?;
    let reader = letters.consumer()?;
    let mut count = 0;
    while let Ok(letter) = reader.try_recv() {
        ensure!(state.kind.shape.is(0, &letter), "a letter was changed");
        ensure!(letter.dead_letter().is_some_and(|origin| origin.position == 0), "its origin was changed");
        count += 1;
    }
    ensure!(count == 1, "{count} letters");
    drop(reader);
    state.kind.is_whole(&letters)?;
    drop(letters);
    state.kind.is_whole(&queue)?;
    drop(queue);
    place.leave()
}
