//! `join` and `task_done` beside participants that are killed.

use std::time::Duration;

use ringway::TaskError;

use super::{MOMENT, comes, holder, sender, small, with_queue};
use crate::process::{Outcome, ensure, forge};

/// The positions of a dead producer are unfinished until they are tombstones. There is no consumer
/// that would find it.
pub(crate) fn join_recovers() -> Outcome {
    with_queue(&small(), |place, queue| {
        let dead = sender(place, &[])?;
        forge::claim(place, queue, 3)?;
        ensure!(queue.unfinished()? == 3, "a claim counts");
        ensure!(queue.join_timeout(MOMENT).is_err_and(|error| error.is_timeout()), "it is alive");
        dead.kill()?;
        // The last attempt recovers.
        queue.join_timeout(Duration::ZERO)?;
        ensure!(queue.stats().tombstones == 3, "{:?}", queue.stats());
        ensure!(queue.consumer()?.task_done().is_err_and(|error| error.is_too_many()), "nothing was sent");
        Ok(())
    })
}

/// The message comes again, and still counts.
pub(crate) fn consumer_dies() -> Outcome {
    with_queue(&small(), |place, queue| {
        queue.producer()?.send(b"job")?;
        holder(place, 1)?.kill()?;
        ensure!(queue.join_timeout(MOMENT).is_err_and(|error| error.is_timeout()), "nothing is done");
        let consumer = queue.consumer()?;
        comes(&consumer, b"job", 1)?;
        ensure!(queue.unfinished()? == 1, "released, and not done");
        consumer.task_done()?;
        queue.join()?;
        Ok(())
    })
}

pub(crate) fn forked() -> Outcome {
    with_queue(&small(), |_, queue| {
        let consumer = queue.consumer()?;
        crate::process::Child::fork(|| {
            ensure!(matches!(queue.join(), Err(TaskError::Forked)), "{:?}", queue.join());
            ensure!(matches!(queue.unfinished(), Err(TaskError::Forked)), "it is the parent's");
            ensure!(matches!(consumer.task_done(), Err(TaskError::Forked)), "it is the parent's");
            std::mem::forget(consumer);
            Ok(())
        })
        .join()
    })
}
