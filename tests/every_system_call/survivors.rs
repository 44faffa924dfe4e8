//! Survivors of a participant's death: whatever call fails, once or always, what the dead
//! participant held is redelivered, or the cause is reported.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use ringway::asynchronous::AsyncConsumer;
use ringway::mpmc::BytesConsumer;
use ringway::{Interest, RecvError, SendError, WaitSet};

use super::checks::{SOON, many, many_works};
use super::injector::{Gate, Operation, always_fails, each_call_fails};
use crate::process::{Child, Outcome, Test, TestDir, ensure, in_parallel};

/// The calls that a survivor makes.
const CALLS: [i64; 4] = [libc::SYS_fcntl, libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_membarrier];
/// The time of a call; failures that last are reported sooner.
const TIME: Duration = Duration::from_millis(400);

type Body = fn(&TestDir, &Gate) -> Outcome;

pub(crate) fn tests() -> Vec<Test> {
    let ways: [(&str, Body); 6] = [
        ("survive in recv_timeout", |place, gate| {
            receives(place, gate, |consumer| came(consumer.recv_timeout(TIME).map(drop)))
        }),
        ("survive in try_recv", |place, gate| {
            receives(place, gate, |consumer| polls(|| consumer.try_recv().map(drop)))
        }),
        ("survive in recv_many_timeout", |place, gate| {
            receives(place, gate, |consumer| came(consumer.recv_many_timeout(8, TIME).map(drop)))
        }),
        ("survive in a WaitSet", |place, gate| {
            receives(place, gate, |consumer| {
                let waited = WaitSet::new().wait_timeout(&mut [Interest::messages(consumer)], TIME).map(drop);
                ensure!(waited.is_ok(), "the set says {waited:?}");
                came(consumer.try_recv().map(drop))
            })
        }),
        ("survive in a task", awaits),
        ("survive in send_timeout", sends),
    ];
    let operation = |name, body, without| Operation { name, prepare: make, body, check: many_works, without };
    let mut tests = Vec::new();
    for (name, body) in ways {
        tests.push(Test::new(name, move || each_call_fails(operation(name, body, None))));
        tests.push(Test::new(format!("{name}, a call always fails"), move || {
            in_parallel(CALLS.len(), |part| {
                for error in [Errno::EPERM, Errno::EINVAL, Errno::ENOMEM] {
                    always_fails(operation(name, body, Some((CALLS[part], error))))?;
                }
                Ok(())
            })
        }));
    }
    tests
}

fn make(place: &TestDir) -> Outcome {
    place.create_mpmc(&many()).map(drop)
}

/// Another participant fills the queue, takes a number of messages and is killed.
fn dies_with(place: &TestDir, count: usize) -> Outcome {
    Child::fork(|| {
        let queue = place.open_mpmc()?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send_many(&vec![b"held by the dead"; count])?;
        let _held = (0..count).map(|_| consumer.recv()).collect::<Result<Vec<_>, _>>()?;
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    })
    .reap()
}

/// Progress, or the cause.
fn came(found: Result<(), RecvError>) -> Outcome {
    match found {
        Ok(()) => Ok(()),
        Err(RecvError::RecoveryFailed(failed)) => {
            let text = failed.to_string();
            let is_told = text.contains(" failed: ") && text.contains("has died");
            ensure!(is_told, "the error does not say what failed: {text}");
            Ok(())
        }
        Err(other) => Err(format!("taken for nothing there: {other:?}").into()),
    }
}

fn polls(mut attempt: impl FnMut() -> Result<(), RecvError>) -> Outcome {
    let begin = Instant::now();
    loop {
        match attempt() {
            Err(RecvError::Empty) if begin.elapsed() < SOON => {}
            found => return came(found),
        }
    }
}

fn receives(place: &TestDir, gate: &Gate, receive: impl Fn(&BytesConsumer) -> Outcome) -> Outcome {
    let queue = place.open_mpmc()?;
    let consumer = queue.consumer()?;
    dies_with(place, 1)?;
    gate.around(|| receive(&consumer))??;
    // It works again, whatever has failed.
    queue.recover()?;
    drop(consumer);
    let after = queue.consumer()?;
    while after.try_recv().is_ok() {}
    Ok(())
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

/// A runtime that polls all the time: wakes are another thread's, which is not traced.
fn awaits(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    let mut consumer = AsyncConsumer::new(queue.consumer()?)?;
    dies_with(place, 1)?;
    gate.around(|| {
        let waker = Waker::from(Arc::new(Nothing));
        let begin = Instant::now();
        loop {
            match consumer.poll_recv(&mut Context::from_waker(&waker)) {
                Poll::Ready(found) => return came(found.map(drop)),
                Poll::Pending => pass_time(Duration::from_millis(2)),
            }
            ensure!(begin.elapsed() < SOON, "neither a message nor a cause");
        }
    })??;
    queue.recover()?;
    drop(consumer);
    let after = queue.consumer()?;
    while after.try_recv().is_ok() {}
    Ok(())
}

/// Waits for `time`, without a system call.
fn pass_time(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// A full queue, all of whose messages are held by a dead consumer: they are to be requeued, or the
/// cause reported.
fn sends(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    let mut producer = queue.producer()?;
    dies_with(place, 8)?;
    let sent = gate.around(|| producer.send_timeout(b"one more", TIME))?;
    let requeued = queue.stats().requeued;
    match sent {
        Err(SendError::Timeout { .. }) => {
            ensure!(requeued == 8, "the dead one's room was taken for taken: {requeued}")
        }
        Err(SendError::RecoveryFailed(_)) => {}
        other => return Err(format!("there was no room, and {other:?}").into()),
    }
    queue.recover()?;
    let after = queue.consumer()?;
    while after.try_recv().is_ok() {}
    Ok(())
}
