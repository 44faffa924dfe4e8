//! Consumers are killed at every instruction of declaring a message done.

use std::time::Duration;

use super::state::{Gone, Mark, Marks, SMALL, State, special, state, survive_receiver};
use crate::every_instruction::attempts::{Kill, Step, everywhere};
use crate::every_instruction::tracer::Gate;
use crate::process::{Outcome, Test, TestDir, ensure};

const STATES: [State; 2] =
    [state("full", SMALL, 4, 0), special("the slots wrap", SMALL.start((1 << 34) - 3), 6, 4)];

pub(super) fn tests() -> Vec<Test> {
    let run =
        || STATES.iter().try_for_each(|state| everywhere(&state.full_name(), |kill| done(*state, kill)));
    vec![Test::new("mpmc tasks: done", run)]
}

/// A consumer declares the first message done, and releases it after that. What it holds when it is
/// killed comes again; what is counted is counted once.
fn done(state: State, kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = state.create(&place)?;
    let marks = Marks::new();
    let body = |gate: &Gate| {
        let consumer = place.open_mpmc()?.consumer()?;
        let _frame = std::mem::ManuallyDrop::new(consumer.try_recv()?);
        marks.set(0, Mark::Taken);
        gate.enter()?;
        consumer.task_done()?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let unfinished = queue.unfinished()?;
    let counted = state.sent - unfinished;
    ensure!(counted <= 1 && !is_complete || counted == 1, "{unfinished} of {} are unfinished", state.sent);
    survive_receiver(state, &queue, &Gone { marks: &marks, may_take: 1, unseen: 0, before: 0 })?;
    // The survivors declare the rest done, and `join` returns.
    let consumer = queue.consumer()?;
    while queue.unfinished()? > 0 {
        consumer.task_done()?;
    }
    ensure!(consumer.task_done().is_err_and(|error| error.is_too_many()), "one too many was counted");
    queue.join_timeout(Duration::ZERO)?;
    drop((consumer, queue));
    place.leave()
}
