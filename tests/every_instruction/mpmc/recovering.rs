//! A participant that recovers after a death is killed as well; then another one recovers.

use std::time::Duration;

use ringway::mpmc::BytesQueue;

use super::state::{
    Gone, Mark, Marks, SMALL, State, die, die_while, no_doubt, state, survive_receiver, survive_sender,
};
use crate::every_instruction::attempts::{Kill, Step, at_events};
use crate::every_instruction::tracer::Gate;
use crate::process::{MpmcKind, Outcome, Test, TestDir, ensure, forge};

const PLACES: MpmcKind = SMALL.max_participants(4);

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("mpmc recovering: nobody is dead", || {
            at_events("two messages", |kill| after_holder(state("two", PLACES, 2, 0), 0, 0, kill))
        }),
        Test::new("mpmc recovering: after a claimer", || {
            let state = state("two", PLACES, 4, 2);
            at_events("two positions", |kill| after_claimer(state, 2, recover, kill))
        }),
        Test::new("mpmc recovering: in join, after a claimer", || {
            let state = state("two", PLACES, 4, 2);
            at_events("two positions", |kill| after_claimer(state, 2, join, kill))
        }),
        Test::new("mpmc recovering: after a consumer", || {
            at_events("it held two", |kill| after_holder(state("full", PLACES, 4, 0), 2, 0, kill))?;
            at_events("it held one, and had taken one", |kill| {
                after_holder(state("wrapped", PLACES.start((1 << 34) - 2), 4, 0), 1, 1, kill)
            })?;
            let dropped = MpmcKind { name: "at most once", ..PLACES.at_most_once() };
            at_events("at most once", |kill| after_holder(state("full", dropped, 4, 0), 2, 1, kill))
        }),
    ]
}

/// How a process comes to recover.
type Call = fn(&BytesQueue) -> Outcome;

fn recover(queue: &BytesQueue) -> Outcome {
    queue.recover()?;
    Ok(())
}

/// No message is declared done: it gives up, and has recovered before.
fn join(queue: &BytesQueue) -> Outcome {
    match queue.join_timeout(Duration::ZERO) {
        Err(error) if error.is_timeout() => Ok(()),
        other => Err(format!("nothing is done, and join returned {other:?}").into()),
    }
}

/// A process recovers, and is killed.
fn recovery(place: &TestDir, call: Call, kill: Kill<'_>) -> Outcome {
    let body = |gate: &Gate| {
        let queue = place.open_mpmc()?;
        gate.enter()?;
        call(&queue)?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    Ok(())
}

/// A producer has died that had claimed `count` positions.
fn after_claimer(state: State, count: u64, call: Call, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let consumer = queue.consumer()?;
    let attach = || {
        std::mem::forget(place.open_mpmc()?.producer()?);
        Ok(())
    };
    die_while(attach, || forge::claim(&place, &queue, count))?;
    recovery(&place, call, kill)?;
    survive_sender(state.kind, &queue, consumer, state.taken, no_doubt(state.sent))?;
    // The killed participant may not have counted them.
    ensure!(queue.stats().tombstones <= count, "{:?}", queue.stats());
    drop(queue);
    place.leave()
}

/// A consumer has died that held the first `held` messages and had taken the `taken` next ones.
fn after_holder(state: State, held: u64, taken: u64, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let marks = Marks::new();
    if held > 0 {
        die(|| {
            let consumer = place.open_mpmc()?.consumer()?;
            for seq in 0..held {
                std::mem::forget(consumer.try_recv()?);
                marks.set(seq, Mark::Taken);
            }
            std::mem::forget(consumer);
            Ok(())
        })?;
    }
    if taken > 0 {
        // Another one: attaching would find the first.
        let attach = || {
            std::mem::forget(place.open_mpmc()?.consumer()?);
            Ok(())
        };
        die_while(attach, || forge::take(&place, &queue, taken))?;
    }
    recovery(&place, recover, kill)?;
    let gone = Gone { marks: &marks, may_take: held, unseen: taken, before: 0 };
    survive_receiver(state, &queue, &gone)?;
    drop(queue);
    place.leave()
}
