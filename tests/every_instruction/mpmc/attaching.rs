//! Participants are killed while they attach and detach.

use super::state::{
    Gone, LARGE, Mark, Marks, SMALL, State, die, die_while, no_doubt, state, survive_receiver, survive_sender,
};
use crate::every_instruction::attempts::{Kill, Step, at_events};
use crate::every_instruction::tracer::Gate;
use crate::process::{Outcome, Test, TestDir, forge};

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("mpmc attaching: producer", || {
            at_events("a new lane", |kill| producer(state("empty", SMALL, 0, 0), false, kill))?;
            at_events("a lane that wraps", |kill| producer(state("padding", LARGE, 5, 3), false, kill))?;
            at_events("a dead one's lane", |kill| producer(state("two", SMALL, 2, 0), true, kill))
        }),
        Test::new("mpmc attaching: consumer", || {
            at_events("a dead one held a message", |kill| consumer(state("two", SMALL, 2, 0), true, kill))
        }),
        Test::new("mpmc detaching: producer", || at_events("4 slots", producer_leaves)),
        Test::new("mpmc detaching: consumer", || {
            at_events("it holds two", |kill| consumer_leaves(state("full", SMALL, 4, 0), kill))?;
            at_events("it holds two, at most once", |kill| {
                consumer_leaves(state("full", SMALL.at_most_once(), 4, 0), kill)
            })
        }),
    ]
}

/// Its predecessor may be dead, with a claim of one position.
fn producer(state: State, is_dead: bool, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let consumer = queue.consumer()?;
    if is_dead {
        let attach = || {
            std::mem::forget(place.open_mpmc()?.producer()?);
            Ok(())
        };
        die_while(attach, || forge::claim(&place, &queue, 1))?;
    }
    let body = |gate: &Gate| {
        let queue = place.open_mpmc()?;
        gate.enter()?;
        let _producer = queue.producer()?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    survive_sender(state.kind, &queue, consumer, state.taken, no_doubt(state.sent))?;
    drop(queue);
    place.leave()
}

fn producer_leaves(kill: Kill<'_>) -> Outcome {
    let state = state("empty", SMALL, 0, 0);
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let consumer = queue.consumer()?;
    let body = |gate: &Gate| {
        let mut producer = place.open_mpmc()?.producer()?;
        producer.try_send(&state.kind.shape.message(0))?;
        gate.enter()?;
        drop(producer);
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    survive_sender(state.kind, &queue, consumer, 0, no_doubt(1))?;
    drop(queue);
    place.leave()
}

/// Its predecessor may be dead, holding the first message.
fn consumer(state: State, is_dead: bool, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let marks = Marks::new();
    if is_dead {
        die(|| {
            let consumer = place.open_mpmc()?.consumer()?;
            std::mem::forget(consumer.try_recv()?);
            marks.set(0, Mark::Taken);
            std::mem::forget(consumer);
            Ok(())
        })?;
    }
    let body = |gate: &Gate| {
        let queue = place.open_mpmc()?;
        gate.enter()?;
        let _consumer = queue.consumer()?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    survive_receiver(state, &queue, &Gone { marks: &marks, may_take: is_dead.into(), unseen: 0, before: 0 })?;
    drop(queue);
    place.leave()
}

/// It takes three messages, releases the second, and forgets the guards of the others.
fn consumer_leaves(state: State, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let marks = Marks::new();
    let body = |gate: &Gate| {
        let consumer = place.open_mpmc()?.consumer()?;
        let (first, second, third) = (consumer.try_recv()?, consumer.try_recv()?, consumer.try_recv()?);
        std::mem::forget(first);
        drop(second);
        std::mem::forget(third);
        marks.set(0, Mark::Taken);
        marks.set(1, Mark::Released);
        marks.set(2, Mark::Taken);
        gate.enter()?;
        drop(consumer);
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    survive_receiver(state, &queue, &Gone { marks: &marks, may_take: 3, unseen: 0, before: 0 })?;
    drop(queue);
    place.leave()
}
